"""What descriptors check when they are made, so that a mistake is told where it was made."""

from __future__ import annotations


def check_call(effect: object, fn: object, args: object) -> None:
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


def check_seconds(effect: object, name: str, value: object) -> None:
    if not isinstance(value, int | float) or not value >= 0:
        raise ValueError(
            f"{type(effect).__name__}({name}=...) takes seconds of 0 or more, was given {value!r}"
        )


def check_action_type(effect: object, action_type: object) -> None:
    if not isinstance(action_type, str):
        raise TypeError(
            f"{type(effect).__name__} takes an action's type, a string, was given "
            f"{action_type!r:.200}"
        )


def check_factory(effect: object, saga: object) -> None:
    if not callable(saga):
        raise TypeError(
            f"{type(effect).__name__} takes a function that returns a saga, was given "
            f"{saga!r:.200}; a generator can run only once"
        )
