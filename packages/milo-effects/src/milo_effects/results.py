"""What handlers answer, and how a waiting saga is resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

SEND: Final = "send"
NEXT: Final = "next"
THROW: Final = "throw"
CONT: Final = "cont"
WAIT: Final = "wait"


class Resume(Protocol):
    """How what a saga waits for lets it go on. From any thread, once; later calls do nothing."""

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

Cancel: TypeAlias = Callable[[], Any]
Start: TypeAlias = Callable[[Resume], Cancel]


class EffectResult:
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
        that stops it, which must be harmless afterwards. It may call ``resume`` itself.
        Should stopping take time, the function returns ``WINDING_DOWN`` and ``resume`` is
        called at the end.
        """
        return cls(WAIT, start=start)
