"""Telling from outside that work is to end, without anybody having to look."""

import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType

# Of all tokens, which is held for a few instructions; a token of its own each would be most of
# what a token costs. Re-entrant, because a signal handler may cancel while its thread is in here.
_lock = threading.RLock()


class CancelToken:
    """Is cancelled once, for good, and calls whoever asked to be told.

    >>> token = CancelToken()
    >>> undo = token.on_cancel(lambda: print("told"))
    >>> token.cancel()
    told
    >>> token.is_cancelled
    True
    """

    __slots__ = ("__weakref__", "_callbacks", "_cancelled")

    def __init__(self) -> None:
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], object]] | None = None

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
        with _lock:
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, None
        errors = []
        for callback in (callbacks or {}).values():
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
        with _lock:
            is_late = self._cancelled
            if not is_late:
                self._callbacks = self._callbacks or {}
                self._callbacks[key] = callback
        if is_late:
            callback()

        def undo() -> None:
            with _lock:
                if self._callbacks is not None:
                    self._callbacks.pop(key, None)

        return undo


_current: ContextVar[CancelToken | None] = ContextVar("milo_capture_cancel", default=None)


def current_cancel() -> CancelToken | None:
    """The token of the innermost ``cancelled_by`` around the caller, or ``None``."""
    return _current.get()


class cancelled_by:  # noqa: N801  # reads as the function it is used as
    """In the block, a ``run`` that is given no token ends when ``token`` is cancelled.

    That holds for the block's context, and for threads that it starts while it is captured.

    >>> with cancelled_by(CancelToken()):
    ...     current_cancel().is_cancelled
    False
    """

    __slots__ = ("_before", "_token")

    def __init__(self, token: CancelToken) -> None:
        self._token = token

    def __enter__(self) -> None:
        self._before: Token[CancelToken | None] = _current.set(self._token)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if _current.get() is self._token:
            try:
                _current.reset(self._before)  # leaves an empty context as empty as it was
            except ValueError:  # a coroutine's block is left in another context
                before = self._before.old_value
                _current.set(None if before is Token.MISSING else before)


def enter_cancel(token: CancelToken | None) -> None:
    """From now on, this context is cancelled by ``token``."""
    _current.set(token)
