"""What stands in for ``sys.stdout`` and ``sys.stderr`` while anything is captured."""

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from milo_capture._lines import StreamName
from milo_capture._log_calls import LOG_CALLS
from milo_capture._replace import Replacement, Slot, replaced
from milo_capture._sink import Sink, context_sink, inside
from milo_capture._threads import THREAD_START


class StreamProxy(Replacement):
    """Text goes to the capture of the writing context, or through to the stream beneath.

    Whoever keeps the proxy can write to it for ever: it looks up the capture at every write
    and keeps none. Everything but ``write`` and ``writelines`` is the stream beneath:
    ``flush``, ``fileno``, ``encoding``, and also ``buffer``, so bytes written to
    ``sys.stdout.buffer`` are not captured.
    """

    def __init__(self, name: StreamName, beneath: Any) -> None:
        super().__init__(beneath)
        self._name: StreamName = name
        self._stream: Any = _Nowhere() if beneath is None else beneath

    def write(self, text: str, /) -> int:
        """Take all of ``text`` and answer its length; anything but ``str`` is a ``TypeError``."""
        sink = context_sink()
        if sink is None:
            return self._stream.write(text)  # type: ignore[no-any-return]  # any stream does
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        while sink is not None:
            if sink.write(self._name, text):
                return len(text)
            sink = sink.outer
        return self._stream.write(text)  # type: ignore[no-any-return]  # as above

    def writelines(self, lines: Iterable[str], /) -> None:
        """``write`` each of them; as with any stream, no line ends are added."""
        for line in lines:
            self.write(line)

    @contextmanager
    def passing_to(self, stream: Any) -> Iterator[None]:
        """In the block, what passes through goes to ``stream`` instead of the stream beneath."""
        beneath, self._stream = self._stream, stream
        try:
            yield
        finally:
            self._stream = beneath

    def number_beneath(self) -> int | None:
        """The file descriptor that the stream beneath writes to, if it has one."""
        try:
            return int(self._stream.fileno())
        except (AttributeError, OSError, ValueError):  # in memory, or closed
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<captured {self._name} over {self.beneath!r}>"


class _Nowhere(io.TextIOBase):
    """Beneath a stream that is ``None``, as in a windowed program: ``print`` does nothing."""

    def write(self, text: str, /) -> int:
        return len(text)


class HandlerStream(Replacement):
    """Stands in for the ``stream`` of every ``logging.StreamHandler``, made earlier or not.

    A handler that holds one of the streams that a proxy stands in for sees the proxy; any
    other stream is its own. Nothing is done to the handlers, so they may come and go.
    """

    def __get__(self, handler: logging.Handler | None, owner: type | None = None) -> Any:
        if handler is None:
            return self
        try:
            stream = vars(handler)["stream"]
        except KeyError:
            raise AttributeError("stream", name="stream", obj=handler) from None
        return _proxy_of(stream)

    def __set__(self, handler: logging.Handler, stream: Any) -> None:
        vars(handler)["stream"] = stream

    def __delete__(self, handler: logging.Handler) -> None:
        del vars(handler)["stream"]


_STDOUT: Slot[StreamProxy] = Slot(sys, "stdout", partial(StreamProxy, "stdout"))
_STDERR: Slot[StreamProxy] = Slot(sys, "stderr", partial(StreamProxy, "stderr"))
_SLOTS: tuple[Slot[Any], ...] = (
    _STDOUT,
    _STDERR,
    THREAD_START,
    LOG_CALLS,
    Slot(logging.StreamHandler, "stream", HandlerStream),
)


def proxies_in_use() -> tuple[StreamProxy, ...]:
    """Every proxy that stands in for a stream, also those that somebody has hidden."""
    return (*_STDERR.in_use, *_STDOUT.in_use)


def _proxy_of(stream: Any) -> Any:
    """The proxy over ``stream``, or ``stream`` where nothing stands in for it."""
    for proxy in proxies_in_use():
        if proxy.beneath is stream and stream is not None:
            return proxy
    return stream


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
