"""What handlers answer, and how a waiting saga is resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from milo_effects.task import SagaTask

SEND: Final = "send"
NEXT: Final = "next"
THROW: Final = "throw"
CONT: Final = "cont"
WAIT: Final = "wait"


class Resume(Protocol):
    """How what a saga waits for lets it go on: from any thread, and once.

    Calls after the wait was stopped, because the saga was cancelled, do nothing. A second call
    is a mistake of the handler's: the first answer is replaced by a ``ResumedTwiceError`` if
    the saga has not gone on with it yet, and otherwise the caller gets that error.
    """

    def send_later(self, value: Any) -> Callable[[], None] | None:
        """As ``send``, for callers that hold a lock: call what is returned after releasing it."""

    def send(self, value: Any) -> None:
        """Resume the saga with ``value``."""

    def next(self) -> None:
        """Resume the saga with ``None``."""

    def throw(self, error: BaseException) -> None:
        """Resume the saga by throwing ``error`` at its ``yield``."""


WINDING_DOWN: Final = "winding down"
"""A cancel function returns this when what it stops ends later, and resumes the saga then."""

Stop: TypeAlias = Callable[[], Any]
Start: TypeAlias = Callable[[Resume], Stop]


class Reply:
    """What a handler answers when it is more than a value."""

    __slots__ = ()


class EffectResult(Reply):
    """What an effect handler returns to tell the runner how to advance the saga.

    Handlers use the class methods. A handler answers at once (``send``, ``next``, ``throw``,
    ``cont``) or says how to begin waiting (``wait``).
    """

    __slots__ = ("action", "error", "start", "value")

    def __init__(
        self,
        action: str,
        value: Any = None,
        error: BaseException | None = None,
        *,
        start: Start | None = None,
    ) -> None:
        self.action = action
        self.value = value
        self.error = error
        self.start = start

    def __repr__(self) -> str:
        return f"EffectResult({self.action!r}, value={self.value!r}, error={self.error!r})"

    @classmethod
    def send(cls, value: Any) -> EffectResult:
        """Resume the saga with ``value``."""
        return cls(SEND, value)

    @classmethod
    def next(cls) -> EffectResult:
        """Resume the saga with ``None``."""
        return cls(NEXT)

    @classmethod
    def throw(cls, error: BaseException) -> EffectResult:
        """Throw ``error`` into the saga at its ``yield``."""
        return cls(THROW, None, error)

    @classmethod
    def cont(cls) -> EffectResult:
        """Look at cancellation, then resume the saga with ``None``."""
        return cls(CONT)

    @classmethod
    def wait(cls, start: Start) -> EffectResult:
        """Park the saga, which then holds no thread, until what ``start`` begins resumes it.

        ``start(resume)`` is called on the worker, begins the waiting and returns a function
        that stops it. It may call ``resume`` itself. Should stopping take time, the function
        returns ``WINDING_DOWN`` and ``resume`` is called at the end. It is also called when the
        saga has been resumed but is cancelled before it goes on, and must be harmless then.
        """
        return cls(WAIT, start=start)


class Wait(Reply):
    """One wait of one saga, and what resumes it: for handlers that many sagas wait with.

    ``EffectResult.wait`` needs a function, its closure and a token for each wait; a subclass
    of this is all three in one object. The runner sets ``task`` and calls ``begin`` once, on
    the worker. It may be resumed from within ``begin``. Of several resumes the first counts
    and later ones do nothing, so that what waits for two things at once needs no lock.
    """

    __slots__ = ("task",)

    task: SagaTask

    def begin(self) -> None:
        """Begin to wait. What it raises goes to the saga."""
        raise NotImplementedError

    def stop(self) -> Any:
        """Stop waiting, because the saga is cancelled; perhaps ``WINDING_DOWN``.

        Also called when it has been resumed and the saga is cancelled before it goes on: what
        it was given is not received and can be given to another.
        """
        raise NotImplementedError

    def send_later(self, value: Any) -> Callable[[], None] | None:
        """As ``Resume.send_later``."""
        return self.task.runtime.runner.resume(self, True, value)

    def send(self, value: Any) -> None:
        """As ``Resume.send``."""
        wake = self.task.runtime.runner.resume(self, True, value)
        if wake is not None:
            wake()

    def next(self) -> None:
        """As ``Resume.next``."""
        self.send(None)

    def throw(self, error: BaseException) -> None:
        """As ``Resume.throw``."""
        wake = self.task.runtime.runner.resume(self, False, error)
        if wake is not None:
            wake()
