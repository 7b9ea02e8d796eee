"""Effect descriptors: frozen data that a saga yields and a handler carries out.

Two equal descriptors compare equal, so a saga can be tested by stepping through it.
What each one sends back is in its docstring; what can go wrong is thrown at the ``yield``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from milo_core import Action

Backoff: TypeAlias = Literal["exponential", "linear", "fixed"]
BACKOFFS: tuple[Backoff, ...] = ("exponential", "linear", "fixed")


@dataclass(frozen=True, slots=True)
class Call:
    """Run ``fn(*args, **kwargs)`` on a worker. Sends back what it returns.

    An ``async def`` runs on the runtime's event loop and holds no worker.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_call(self, self.fn, self.args)


@dataclass(frozen=True, slots=True)
class TryCall:
    """As ``Call``. Sends back ``(result, None)``, or ``(None, error)`` when ``fn`` raises."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_call(self, self.fn, self.args)


@dataclass(frozen=True, slots=True)
class Retry:
    """As ``Call``, up to ``max_attempts`` times while ``fn`` raises an ``Exception``.

    Attempt k (from 0) is followed by a wait of ``base_delay * 2**k`` seconds (exponential),
    ``base_delay * (k + 1)`` (linear) or ``base_delay`` (fixed), at most ``max_delay``. The
    wait holds no worker. The last error is thrown into the saga.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    backoff: Backoff = "exponential"
    base_delay: float = 1.0
    max_delay: float = 30.0

    def __post_init__(self) -> None:
        _check_call(self, self.fn, self.args)
        if self.max_attempts < 1:
            raise ValueError(
                f"Retry needs max_attempts of at least 1, was given {self.max_attempts}"
            )
        if self.backoff not in BACKOFFS:
            raise ValueError(
                f"Retry knows the backoffs {', '.join(BACKOFFS)}, was given {self.backoff!r}"
            )
        _check_seconds(self, "base_delay", self.base_delay)
        _check_seconds(self, "max_delay", self.max_delay)

    def delay(self, attempt: int) -> float:
        """The seconds to wait after the failed ``attempt``, counted from 0."""
        if self.backoff == "exponential":
            wanted = self.base_delay * 2.0 ** min(attempt, 1000)
        elif self.backoff == "linear":
            wanted = self.base_delay * (attempt + 1)
        else:
            wanted = self.base_delay
        return min(wanted, self.max_delay) if self.backoff != "fixed" else wanted


@dataclass(frozen=True, slots=True)
class Put:
    """Dispatch ``action``. Sends back ``None`` once the state has changed.

    A ``Take`` yielded directly afterwards sees every action dispatched after this one.
    """

    action: Action

    def __post_init__(self) -> None:
        if not isinstance(self.action, Action):
            raise TypeError(
                f"Put takes an Action, was given {self.action!r}; write Put(Action('TYPE'))"
            )


@dataclass(frozen=True, slots=True)
class Select:
    """Sends back the state, or ``selector(state)``."""

    selector: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait ``seconds``, holding no worker. Sends back ``None``."""

    seconds: float

    def __post_init__(self) -> None:
        _check_seconds(self, "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Take:
    """Wait for the next action of a type. Sends back the action.

    With ``timeout`` seconds, ``TimeoutError`` is thrown when none came by then.
    """

    action_type: str
    timeout: float | None = None

    def __post_init__(self) -> None:
        _check_action_type(self, self.action_type)
        if self.timeout is not None:
            _check_seconds(self, "timeout", self.timeout)


@dataclass(frozen=True, slots=True)
class Fork:
    """Start ``saga``, a generator or a function that returns one, and go on at once.

    Sends back its ``SagaTask``. The new saga is on its own, unless ``attached``: then it is
    cancelled with this one. Its errors never reach this saga.
    """

    saga: Any
    attached: bool = False


@dataclass(frozen=True, slots=True)
class TakeEvery:
    """Start ``saga(action)`` for every action of a type, in order. Never sends anything back.

    The sagas are attached: they are cancelled with this one.
    """

    action_type: str
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        _check_action_type(self, self.action_type)
        _check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class TakeLatest:
    """As ``TakeEvery``, and the saga started before is cancelled first."""

    action_type: str
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        _check_action_type(self, self.action_type)
        _check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class Debounce:
    """Start ``saga`` in ``seconds``, unless this saga debounces it again or ends by then.

    Sends back ``None`` at once. The saga it starts is attached.
    """

    seconds: float
    saga: Callable[[], Any]

    def __post_init__(self) -> None:
        _check_seconds(self, "seconds", self.seconds)
        _check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class Timeout:
    """Carry out ``effect`` (or a saga), or throw ``TimeoutError`` after ``seconds``.

    Sends back what the effect would. What runs out of time is cancelled. A call that cannot
    be interrupted runs on, in a worker set aside for it, and its result is dropped.
    """

    effect: Any
    seconds: float

    def __post_init__(self) -> None:
        _check_seconds(self, "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Race:
    """Run several sagas or effects at the same time. Sends back the first one's result.

    If the first to end fails, its error is thrown. The others are cancelled and have ended
    when this saga goes on.
    """

    sagas: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Run several sagas or effects at the same time. Sends back their results, in order.

    The first error is thrown, once the others have been cancelled and have ended.
    """

    sagas: tuple[Any, ...]


def _check_call(effect: object, fn: object, args: object) -> None:
    if not callable(fn):
        raise TypeError(
            f"{type(effect).__name__} takes a function and its arguments apart, was given "
            f"{fn!r:.200}; write {type(effect).__name__}(fn, (arg, ...), {{...}})"
        )
    if isinstance(args, str | bytes) or not hasattr(args, "__iter__"):
        raise TypeError(
            f"{type(effect).__name__}(args=...) takes a tuple, was given {args!r:.200}; "
            "write (arg,) for a single argument"
        )


def _check_seconds(effect: object, name: str, value: object) -> None:
    if not isinstance(value, int | float) or not value >= 0:
        raise ValueError(
            f"{type(effect).__name__}({name}=...) takes seconds of 0 or more, was given {value!r}"
        )


def _check_action_type(effect: object, action_type: object) -> None:
    if not isinstance(action_type, str):
        raise TypeError(
            f"{type(effect).__name__} takes an action's type, a string, was given "
            f"{action_type!r:.200}"
        )


def _check_factory(effect: object, saga: object) -> None:
    if not callable(saga):
        raise TypeError(
            f"{type(effect).__name__} takes a function that returns a saga, was given "
            f"{saga!r:.200}; a generator can run only once"
        )
