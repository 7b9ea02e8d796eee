"""Two pipes to a program beside its standard streams: a request goes in, a response comes out."""

import os
from collections.abc import Mapping
from typing import Final

from milo_capture._pumping import Pump

_VARIABLE: Final = "MILO_CAPTURE_REQUEST"


class Exchange:
    """The caller's side: made before the program starts, moved by the pump of its process."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._response: list[bytes] = []
        their_reader, our_writer = os.pipe()
        try:
            our_reader, their_writer = os.pipe()
        except OSError:  # there are no file descriptors left
            os.close(their_reader)
            os.close(our_writer)
            raise
        self._theirs: tuple[int, ...] = (their_reader, their_writer)
        self._ours: tuple[int, ...] = (our_writer, our_reader)

    @property
    def passed(self) -> tuple[int, ...]:
        """The file descriptors that the program has to inherit."""
        return self._theirs

    @property
    def response(self) -> bytes:
        """What has come so far."""
        return b"".join(self._response)

    def environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        """``env``, with which the program finds its file descriptors."""
        return {**(os.environ if env is None else env), _VARIABLE: "{} {}".format(*self._theirs)}

    def begin(self, pump: Pump) -> None:
        """The program has been started: its ends are its own now."""
        self._close_theirs()
        writer, reader = self._ours
        # Not closed behind the request: that it is open is how the program knows we are there.
        pump.write(writer, self._request, lambda: None)
        pump.read_bytes(reader, self._response.append)

    def close(self) -> None:
        """Let go of every pipe."""
        self._close_theirs()
        ours, self._ours = self._ours, ()
        for pipe in ours:
            os.close(pipe)

    def _close_theirs(self) -> None:
        theirs, self._theirs = self._theirs, ()
        for pipe in theirs:
            os.close(pipe)


def request_pipes() -> tuple[int, int]:
    """In a program run with ``run(request=...)``: where to read it, and where to respond.

    The first file descriptor comes to its end when nobody waits for the program any more.
    Both belong to the caller; programs that this one starts do not have them.

    Raises:
        LookupError: this program was not run with a request, or has taken the pipes already.
    """
    numbers = os.environ.pop(_VARIABLE, None)
    if numbers is None:
        raise LookupError(
            "there is no request: this program was not started by run(..., request=...), "
            "or has called request_pipes() before"
        )
    reader, writer = map(int, numbers.split())
    os.set_inheritable(reader, False)
    os.set_inheritable(writer, False)
    return reader, writer
