"""Telling from outside that work is to end, without anybody having to look."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CancelToken:
    """Is cancelled once, for good, and calls whoever asked to be told.

    >>> token = CancelToken()
    >>> undo = token.on_cancel(lambda: print("told"))
    >>> token.cancel()
    told
    >>> token.is_cancelled
    True
    """

    def __init__(self) -> None:
        # Re-entrant, because a signal handler may cancel while its thread is in here.
        self._lock = threading.RLock()
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], object]] = {}

    @property
    def is_cancelled(self) -> bool:
        """Has ``cancel`` been called?"""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel, and call every callback on this thread; again is harmless.

        All of them are called, whatever one of them raises.

        Raises:
            ExceptionGroup: what callbacks raised.
        """
        with self._lock:
            self._cancelled = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        errors = []
        for callback in callbacks:
            try:
                callback()
            except Exception as error:  # raised below, when everybody has been told
                errors.append(error)
        if errors:
            raise ExceptionGroup("callbacks of a CancelToken failed", errors)

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback`` when the token is cancelled; at once, if it has been.

        The returned function takes that back. A callback that is being called on another
        thread by then may still run to its end.
        """
        key = object()
        with self._lock:
            is_late = self._cancelled
            if not is_late:
                self._callbacks[key] = callback
        if is_late:
            callback()

        def undo() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return undo


_current: ContextVar[CancelToken | None] = ContextVar("milo_capture_cancel", default=None)


def current_cancel() -> CancelToken | None:
    """The token of the innermost ``cancelled_by`` around the caller, or ``None``."""
    return _current.get()


@contextmanager
def cancelled_by(token: CancelToken) -> Iterator[None]:
    """In the block, a ``run`` that is given no token ends when ``token`` is cancelled.

    That holds for the block's context, and for threads that it starts while it is captured.

    >>> with cancelled_by(CancelToken()) as _:
    ...     current_cancel().is_cancelled
    False
    """
    outer = _current.get()
    _current.set(token)
    try:
        yield
    finally:
        # Not by a token of the variable: a coroutine's block may be left in another context.
        if _current.get() is token:
            _current.set(outer)


def enter_cancel(token: CancelToken | None) -> None:
    """From now on, this context is cancelled by ``token``."""
    _current.set(token)
