"""The lines of a block, to look at afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from milo_capture._fds import redirected_fds
from milo_capture._lines import Line
from milo_capture._sink import Sink
from milo_capture._streams import captured_by


class CapturedOutput:
    """What has been captured so far; nothing is added once the block has ended."""

    def __init__(self, collected: list[Line]) -> None:
        self._collected = collected

    @property
    def lines(self) -> list[Line]:
        """The lines so far, in the order in which they were completed; a list of your own."""
        return list(self._collected)

    @property
    def text(self) -> str:
        """The lines of both streams in order, each ended by one newline."""
        return "".join(f"{line.text}\n" for line in self._collected)


class _CollectingSink(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.collected: list[Line] = []

    def emit(self, line: Line) -> bool:
        self.collected.append(line)
        return False

    def wait_for_room(self) -> None:
        """There is always room in a list."""


@contextmanager
def capture(*, fds: bool = False) -> Iterator[CapturedOutput]:
    """The block's output is collected instead of shown.

    That is what its context and the threads it starts write to ``sys.stdout`` and
    ``sys.stderr`` until the block ends, also with an error. A last line without an end
    counts as a line. Blocks can be nested, the inner one gets the lines; a thread that
    outlives its block writes to the outer one, or through to the real stream.

    With ``fds`` that is also what C code and child processes write to the file descriptors 1
    and 2, wherever in the process they do. One block at a time can have them.

    Raises:
        CaptureError: another block has the file descriptors, or this is Windows.

    >>> with capture() as output:
    ...     print("hello")
    >>> output.text
    'hello\\n'
    >>> [(line.text, line.stream) for line in output.lines]
    [('hello', 'stdout')]
    """
    sink = _CollectingSink()
    with captured_by(sink), redirected_fds(fds):
        yield CapturedOutput(sink.collected)
