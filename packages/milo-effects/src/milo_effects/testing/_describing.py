"""What values are called in a trace: the same in every process, for equal values.

``repr`` shows addresses, the order of a set, and numbers that count what this process has
made so far; none of them may make two runs of one seed look different.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import Any, Final

from milo_core import Action
from milo_effects.channels import Channel
from milo_effects.context import SagaContext

_LONGEST: Final = 200
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+|(?<=channel)-\d+")
_PLAIN: Final = (str, bytes, int, float, bool, complex, type(None), Enum)


def describe(value: object) -> str:
    """``value`` in a line of at most 200 characters."""
    text = _text(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def name_of(source: object) -> str:
    """What a saga, or a function that makes one, is called."""
    while isinstance(source, partial):
        source = source.func
    name = getattr(source, "__qualname__", None) or type(source).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _text(value: object) -> str:
    if isinstance(value, _PLAIN):
        return _ADDRESS.sub("", repr(value))
    if isinstance(value, SagaContext):
        return value.saga_id
    if isinstance(value, Channel):
        return _ADDRESS.sub("", repr(value))
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({_ADDRESS.sub('', str(value))!r})"
    if isinstance(value, Action):
        return _call("Action", (value.type,) if value.payload is None else _shallow(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _call(type(value).__name__, _shallow(value))
    return _collection(value)


def _collection(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_text, value))) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return name_of(value) if callable(value) or hasattr(value, "send") else _object(value)


def _object(value: object) -> str:
    return f"<{type(value).__qualname__}>"


def _call(name: str, values: tuple[Any, ...]) -> str:
    return f"{name}({', '.join(map(_text, values))})"


def _shallow(value: Any) -> tuple[Any, ...]:
    """The values of a dataclass, without those at the end that are what they are by default."""
    fields = [each for each in dataclasses.fields(value) if each.repr]
    values = [getattr(value, each.name) for each in fields]
    while fields and _is_default(fields[-1], values[-1]):
        fields.pop()
        values.pop()
    return tuple(values)


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return value is field.default
