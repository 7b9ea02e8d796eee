"""A captured line: through a phase of a pipeline, and through a feed, beside the proxy alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from measure import SHORT_TURNS, Row, best_of, main, per_call
from milo_capture import LineFeed, capture
from milo_pipeline import Phase, Pipeline

COUNT = 20_000


def print_lines() -> None:
    for number in range(COUNT):
        print(f"line {number}")


class Proxy:
    """The least a stand-in for ``sys.stdout`` can do: it keeps what is written."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


def proxy_alone() -> None:
    real = sys.stdout
    sys.stdout = Proxy()
    try:
        print_lines()
    finally:
        sys.stdout = real


def through_a_phase() -> None:
    pipeline = Pipeline("printing", Phase("print", handler=print_lines), capture_output=True)
    pipeline.run().raise_for_status()


def collected() -> None:
    with capture():
        print_lines()


def through_a_feed() -> None:
    def deliver(batch: Sequence[object]) -> None:
        count[0] += len(batch)

    count = [0]
    feed: LineFeed[str] = LineFeed(deliver)
    with feed, feed.capture("print"):
        print_lines()
    if count != [COUNT]:
        raise AssertionError(f"{count[0]} of {COUNT} lines were delivered")


def rows() -> Iterator[Row]:
    measured: list[Callable[[], None]] = [proxy_alone, through_a_phase, through_a_feed, collected]
    floor, phase, feed, block = best_of(
        *[per_call(work, COUNT) for work in measured], turns=SHORT_TURNS
    )
    yield Row("captured line, end to end, one action a line", phase, floor, 8.0, absolute=True)
    yield Row("captured line through LineFeed", feed, floor, 5.0, absolute=True)
    yield Row("captured line, collected in a block", block, floor, 4.0, absolute=True)


if __name__ == "__main__":
    main("milo-capture", rows)
