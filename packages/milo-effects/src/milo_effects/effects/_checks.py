"""What descriptors check when they are made, so that a mistake is told where it was made."""

from __future__ import annotations

from collections.abc import Mapping

from milo_effects.patterns import is_pattern
from milo_effects.task import SagaTask


def check_call(effect: object, fn: object, args: object) -> None:
    if not callable(fn):
        raise TypeError(
            f"{type(effect).__name__} takes a function and its arguments apart, was given "
            f"{fn!r:.200}; write {type(effect).__name__}(fn, (arg, ...), {{...}})"
        )
    if type(args) is tuple:  # as nearly always
        return
    if isinstance(args, (str, bytes)) or not hasattr(args, "__iter__"):
        raise TypeError(
            f"{type(effect).__name__}(args=...) takes a tuple, was given {args!r:.200}; "
            "write (arg,) for a single argument"
        )


def check_seconds(effect: object, name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(
            f"{type(effect).__name__}({name}=...) takes seconds of 0 or more, was given {value!r}"
        )


def check_pattern(effect: object, pattern: object) -> None:
    if not is_pattern(pattern):
        raise TypeError(
            f"{type(effect).__name__} takes an action's type, a tuple of types, a predicate or "
            f"'*', was given {pattern!r:.200}"
        )


def check_factory(effect: object, saga: object) -> None:
    if not callable(saga):
        raise TypeError(
            f"{type(effect).__name__} takes a function that returns a saga, was given "
            f"{saga!r:.200}; a generator can run only once"
        )


def check_fraction(effect: object, name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(
            f"{type(effect).__name__}({name}=...) takes a fraction from 0 to 1, was given {value!r}"
        )


def check_count(effect: object, name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{type(effect).__name__}({name}=...) takes a whole number of {least} or more, "
            f"was given {value!r}"
        )


def check_key(effect: object, key: object) -> None:
    if key is not None and not callable(key):
        raise TypeError(
            f"{type(effect).__name__}(key=...) takes a function of the action, was given "
            f"{key!r:.200}; write key=lambda action: action.payload"
        )


def check_tasks(effect: object, given: object, otherwise: str) -> None:
    tasks = given if isinstance(given, tuple) else (given,)
    wrong = [each for each in tasks if not isinstance(each, SagaTask)]
    if wrong:
        raise TypeError(
            f"{type(effect).__name__} takes the task of a saga, which Fork sends back, or one "
            f"tuple of tasks, was given {wrong[0]!r:.200}{otherwise}"
        )


def check_name(effect: object, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(
            f"{type(effect).__name__} takes names that are strings, was given {name!r:.200}"
        )


def check_names(effect: object, values: object) -> None:
    if not isinstance(values, Mapping):
        kind = type(effect).__name__
        raise TypeError(
            f"{kind} takes a mapping of names to values, was given {values!r:.200}; "
            f"write {kind}({{'name': value}})"
        )
    for name in values:
        check_name(effect, name)
