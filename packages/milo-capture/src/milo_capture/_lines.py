"""Lines, and putting them together from the pieces in which they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Line:
    r"""One line of output: its text without the line end, its stream, and when it was whole.

    A line ends at ``\n`` or ``\r\n``; every other control character is kept in ``text``.
    ``timestamp`` is ``time.monotonic()`` at the write that ended the line, or at the end
    of the capture for a last line that nothing ended.
    """

    text: str
    stream: StreamName
    timestamp: float


_new = object.__new__
_set_text = Line.__dict__["text"].__set__
_set_stream = Line.__dict__["stream"].__set__
_set_timestamp = Line.__dict__["timestamp"].__set__


def made_line(text: str, stream: StreamName, timestamp: float) -> Line:
    """A ``Line``, at half the price of a frozen class's constructor."""
    line = _new(Line)
    _set_text(line, text)
    _set_stream(line, stream)
    _set_timestamp(line, timestamp)
    return line


class LineAssembler:
    r"""Whole lines from pieces of text.

    For one thread and one stream, so that two threads printing at once keep their lines
    apart. Not locked: its sink is.

    >>> assembler = LineAssembler()
    >>> assembler.add("one, ")
    ()
    >>> assembler.add("two\nthree\r\nfo")
    ['one, two', 'three']
    >>> assembler.take_rest()
    'fo'
    """

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, text: str) -> Sequence[str]:
        """The lines that ``text`` completes, without their ends; what is left waits."""
        if "\n" not in text:
            self._pieces.append(text)
            return ()
        if text == "\n":  # every print ends with this write
            return (self.take_rest().removesuffix("\r"),)
        lines = text.split("\n")
        # Exchanged before it is joined: a signal handler that prints in between then adds
        # to one list or the other, never to a list that nobody reads again.
        pieces, self._pieces = self._pieces, [lines.pop()]
        pieces.append(lines[0])
        lines[0] = "".join(pieces)
        return [line.removesuffix("\r") for line in lines]

    def take_rest(self) -> str:
        """The text of the line that has not ended, ``""`` if there is none; it is gone then."""
        pieces, self._pieces = self._pieces, []
        return "".join(pieces)
