"""What stands in for ``sys.stdout`` and ``sys.stderr`` while anything is captured."""

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TextIO

from milo_capture._lines import StreamName
from milo_capture._replace import Replacement, Slot, replaced
from milo_capture._sink import Sink, context_sink, inside
from milo_capture._threads import THREAD_START


class StreamProxy(Replacement):
    """Text goes to the capture of the writing context, or through to the stream beneath.

    Whoever keeps the proxy (a ``logging`` handler made inside a capture) can write to it
    for ever: it looks up the capture at every write and keeps none. Everything but
    ``write`` and ``writelines`` is the stream beneath: ``flush``, ``fileno``, ``encoding``,
    and also ``buffer``, so bytes written to ``sys.stdout.buffer`` are not captured.
    """

    def __init__(self, name: StreamName, beneath: TextIO | None) -> None:
        super().__init__(beneath)
        self._name: StreamName = name
        self._stream = _Nowhere() if beneath is None else beneath

    def write(self, text: str, /) -> int:
        """Take all of ``text`` and answer its length; anything but ``str`` is a ``TypeError``."""
        sink = context_sink()
        if sink is None:
            return self._stream.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        while sink is not None:
            if sink.write(self._name, text):
                return len(text)
            sink = sink.outer
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        """``write`` each of them; as with any stream, no line ends are added."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<captured {self._name} over {self.beneath!r}>"


class _Nowhere(io.TextIOBase):
    """Beneath a stream that is ``None``, as in a windowed program: ``print`` does nothing."""

    def write(self, text: str, /) -> int:
        return len(text)


_SLOTS = (
    Slot(sys, "stdout", partial(StreamProxy, "stdout")),
    Slot(sys, "stderr", partial(StreamProxy, "stderr")),
    THREAD_START,
)


def replaced_streams() -> AbstractContextManager[None]:
    """The proxies are in place in the block, whoever captures."""
    return replaced(_SLOTS)


@contextmanager
def captured_by(sink: Sink) -> Iterator[None]:
    """What the block prints goes to ``sink``, which is closed at its end, as all is undone.

    Closing comes last because it may wait for room or be interrupted; by then the streams
    are back in place.
    """
    try:
        with replaced_streams(), inside(sink):
            yield
    finally:
        sink.close()
