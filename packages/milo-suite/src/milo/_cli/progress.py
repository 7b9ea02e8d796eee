"""The picture of a running pipeline: a row for each phase, a bar for all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from milo._cli.items import worth_a_row
from milo_pipeline import PhaseStatus, PipelineState
from milo_pipeline.text import in_words, one_line
from milo_tui.pipeline_picture import latest_of, words_of
from milo_tui.pipeline_view import STYLES
from milo_tui.symbols import Symbols

_UNDERWAY = ("running", "retrying")
_ASKED = (*_UNDERWAY, "failed")
"""What a phase is whose items are worth a look."""
_BAR_ROWS = 2
_FEWEST_ROWS = 3
_WIDEST_NAME = 40
_MOST_ITEMS = 5


def progress_picture(
    state: PipelineState, now: float, height: int, symbols: Symbols, note: str = ""
) -> RenderableType:
    """``state`` at the monotonic time ``now``, in at most ``height`` lines.

    A phase with items shows how many of them are done, and below it some that run or failed.

    Names, errors and captured lines stand as they are: nothing in them is markup, and
    control characters are left out. ``note`` comes below everything.
    """
    rows = max(_FEWEST_ROWS, height - _BAR_ROWS - bool(note))
    found = {phase.name: worth_a_row(phase) for phase in state.phases if phase.status in _ASKED}
    spare = max(rows - len(state.phases), rows // 3)
    spare = sum(map(len, _item_rows(found, found, spare).values()))
    shown = most_interesting(state.phases, rows - spare)
    items = _item_rows(found, [phase.name for phase in shown], spare)
    parts: list[RenderableType] = [_table(shown, items, now, symbols)]
    if len(shown) < len(state.phases):
        parts.append(_the_rest(state.phases, shown, symbols))
    parts.append(_overall(state, now))
    if note:
        parts.append(Text(note, style="bold yellow"))
    return Group(*parts)


def most_interesting(phases: Sequence[PhaseStatus], rows: int) -> list[PhaseStatus]:
    """All phases if they fit in ``rows``, else one fewer: at work, failed, then nearby ones.

    Nearby means close to the last phase that has begun. The order stays that of ``phases``.
    """
    if len(phases) <= rows:
        return list(phases)
    begun = [i for i, phase in enumerate(phases) if phase.status != "pending"]
    front = begun[-1] if begun else 0

    def interest(i: int) -> tuple[int, int]:
        status = phases[i].status
        rank = 0 if status in _UNDERWAY else 1 if status == "failed" else 2
        return rank, abs(i - front)

    chosen = sorted(range(len(phases)), key=interest)[: rows - 1]
    return [phases[i] for i in sorted(chosen)]


def _item_rows(
    found: Mapping[str, Sequence[PhaseStatus]], names: Iterable[str], rows: int
) -> dict[str, list[PhaseStatus | int]]:
    """The items of the phases ``names`` that get a row; a number stands for so many more.

    They take at most ``rows`` rows.
    """
    shown: dict[str, list[PhaseStatus | int]] = {}
    for name in names:
        items, most = found.get(name, ()), min(_MOST_ITEMS, rows)
        if not items or most < 2:
            continue
        if len(items) <= most:
            shown[name] = list(items)
        else:
            shown[name] = [*items[: most - 1], len(items) - (most - 1)]
        rows -= len(shown[name])
    return shown


def _table(
    phases: Sequence[PhaseStatus],
    items: Mapping[str, Sequence[PhaseStatus | int]],
    now: float,
    symbols: Symbols,
) -> Table:
    # Expanded, so that a long last column gives way instead of narrowing the others.
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=_WIDEST_NAME, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for phase in phases:
        sign, name = symbols.of(phase.status), one_line(phase.name)
        table.add_row(*_row(phase, Text(sign, style=STYLES.get(phase.status, "")), name, now))
        for item in items.get(phase.name, ()):
            if isinstance(item, int):
                table.add_row("", Text(f"{symbols.more} and {item} more", style="dim"))
            else:
                number = item.name.removeprefix(phase.name)
                name = f"{symbols.of(item.status)} {one_line(number)}"
                table.add_row(*_row(item, Text(""), name, now))
    return table


def _row(phase: PhaseStatus, sign: Text, name: str, now: float) -> tuple[Text, ...]:
    """What stands in the columns for a phase, or for an item of one."""
    style = STYLES.get(phase.status, "")
    return (
        sign,
        Text(name, style="" if phase.status != "pending" else "dim"),
        Text(words_of(phase, now), style=style),
        Text(latest_of(phase), style="red" if phase.status == "failed" else "dim"),
    )


def _the_rest(
    phases: Sequence[PhaseStatus], shown: Sequence[PhaseStatus], symbols: Symbols
) -> Text:
    rest = Counter(phase.status for phase in phases)
    rest.subtract(Counter(phase.status for phase in shown))
    listed = ", ".join(f"{number} {status}" for status, number in rest.items() if number)
    return Text(f"{symbols.more} and {listed}", style="dim")


def _overall(state: PipelineState, now: float) -> RenderableType:
    running = state.status == "running"
    elapsed = max(0.0, now - state.started_at) if running else state.elapsed
    bar = ProgressBar(total=1.0, completed=state.progress, width=40)
    line = Table.grid(padding=(0, 1))
    for _ in range(4):
        line.add_column(no_wrap=True)
    line.add_row(
        Text(one_line(state.name), style="bold"),
        bar,
        Text(f"{state.progress:.0%}"),
        Text(in_words(elapsed)),
    )
    return line
