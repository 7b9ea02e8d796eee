"""What milo-effects raises.

    MiloError
    └── EffectError
        ├── UnknownEffectError    a saga yielded something that no handler is registered for
        ├── HandlerError          a handler returned something that is no ``EffectResult``
        ├── ResumedTwiceError     a handler resumed one wait twice
        ├── RegistrationError     a handler or table cannot be registered
        ├── ChildCancelledError   a saga that another one waited for was cancelled
        ├── MissingValueError     a saga asked for a value that nobody has set for it
        ├── ChannelClosed         a channel has ended: nothing goes in or will come out
        ├── BufferFull            a message has no room in a channel's buffer
        ├── SubscriptionError     an event channel's ``subscribe`` gave no way to unsubscribe
        └── EffectTimeout         an effect took too long (a ``TimeoutError``, too)
    BaseException
    └── SagaCancelled             control flow: thrown into a saga that is being cancelled

``StateError`` of milo-core is raised for runtimes and stores used in a way they cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable

from milo_core.errors import MiloError


class SagaCancelled(BaseException):
    """Thrown once into a saga at its ``yield`` when it is cancelled.

    A ``BaseException``, so that ``except Exception`` in a saga lets it pass. Cleanup in
    ``finally`` may yield effects.
    """


class EffectError(MiloError):
    """Base of what goes wrong with effects and their handlers."""


class EffectTimeout(EffectError, TimeoutError):
    """An effect was not done in the time that ``Timeout`` or ``Take(timeout=...)`` gave it."""


class UnknownEffectError(EffectError):
    """A saga yielded ``effect``, for whose type no handler is registered."""

    def __init__(
        self, effect: object, known: Iterable[type], broken: Iterable[Exception] = ()
    ) -> None:
        self.effect = effect
        kind = type(effect)
        names = ", ".join(sorted(each.__name__ for each in known))
        hint = "Did you install the package that brings it?"
        if kind.__name__ == "generator":
            hint = "To run a saga inside this one write: yield from saga()"
        problems = "".join(f"\n{problem}" for problem in broken)
        super().__init__(
            f"no handler for {kind.__name__} (from {kind.__module__}), yielded as "
            f"{effect!r:.200}; registered: {names}. {hint}{problems}"
        )


class HandlerError(EffectError):
    """The handler of ``effect`` answered with ``answer``, which is no ``EffectResult``.

    With ``by_start``, ``answer`` is what the start function of its ``EffectResult.wait``
    returned instead of a function that stops the waiting.
    """

    def __init__(self, effect: object, answer: object, *, by_start: bool = False) -> None:
        self.effect = effect
        self.answer = answer
        kind = type(effect).__name__
        super().__init__(
            f"the start function that {kind} waits with returned {answer!r:.200}; it returns a "
            "function that stops the waiting"
            if by_start
            else f"the handler of {kind} returned {answer!r:.200}; a handler returns "
            "EffectResult.send(value), .next(), .throw(error), .cont() or .wait(start)"
        )


class ResumedTwiceError(EffectError):
    """The handler of ``effect`` resumed the saga a second time, with ``answer``."""

    def __init__(self, effect: object, answer: object) -> None:
        self.effect = effect
        self.answer = answer
        super().__init__(
            f"the handler of {effect!r:.200} resumed its saga twice, the second time with "
            f"{answer!r:.200}; each wait is resumed once, by whichever comes first: "
            "keep a flag, or stop what else might resume"
        )


class RegistrationError(EffectError):
    """A handler cannot be registered: it names no effect type, or the type is taken."""


class ChildCancelledError(EffectError):
    """A saga whose result was awaited was cancelled and has none."""


class MissingValueError(EffectError, LookupError):
    """``GetContext`` was given no default, and nobody has set a value under ``name``."""

    def __init__(self, name: str, saga_id: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        names = ", ".join(sorted(self.known)) or "nothing"
        super().__init__(
            f"no value {name!r} has been set for {saga_id}; set here or above: {names}. Yield "
            f"SetContext({{{name!r}: value}}) before this saga is started, or GetContext("
            f"{name!r}, default)"
        )


class ChannelClosed(EffectError):
    """``channel`` has been closed. For a saga that takes from it: the last message has been."""

    def __init__(self, channel: object, what: str) -> None:
        self.channel = channel
        super().__init__(f"{channel!r} is closed and {what} messages")


class BufferFull(EffectError):
    """A message came when the buffer of ``channel`` held ``limit`` messages, its limit."""

    def __init__(self, channel: object, limit: int) -> None:
        self.channel = channel
        self.limit = limit
        super().__init__(
            f"{channel!r} keeps {limit} messages, all there is room for, and was given one more; "
            "take from it faster, give it a larger Buffer or none, or let its Buffer drop: "
            f"Buffer({limit}, 'drop-oldest')"
        )


class SubscriptionError(EffectError):
    """The ``subscribe`` function of an ``EventChannel`` returned ``answer``, no function."""

    def __init__(self, subscribe: object, answer: object) -> None:
        self.subscribe = subscribe
        self.answer = answer
        super().__init__(
            f"EventChannel called {subscribe!r:.200}, which returned {answer!r:.200}; it "
            "returns a function that ends the subscription"
        )
