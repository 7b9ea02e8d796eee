"""A function as data: what it does, without where it stands.

The function and what it reaches become numbered nodes, each described once by plain data that
names others by number. So cycles end, depth costs no stack, and the whole is hashed as JSON.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import (
    CodeType,
    EllipsisType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

from milo_core.encoding import encode, opaque_types
from milo_pipeline.persistence._values import digest

_PLAIN: Final = (complex, EllipsisType, range, PurePath, date, time, timedelta, Decimal)
"""Types beyond those of the encoding whose ``repr`` says all there is to say."""

_FOLLOWED: Final = (
    FunctionType,
    MethodType,
    functools.partial,
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    list,
    tuple,
    dict,
)

_ANNOTATIONS: Final = frozenset({"__annotate__", "__annotate_func__"})


def code_fingerprint(handler: Callable[..., Any]) -> str:
    """A hash of what ``handler`` does, the same in every process and for every hash seed.

    Counted: its bytecode and constants, nested functions, docstrings, defaults, the values it
    closes over, the parts of a ``partial``, a method's object and a callable object's state
    and class; of the globals it names, functions and classes of the same module, in turn, and
    values that can be written down or whose class is of the handler's module.

    Not counted: names of files, line numbers, comments, annotations. Not followed: functions
    and classes of other modules reached as globals or attributes, what is looked up by a name
    made at run time, and objects that have no plain form, which count as their type. Built-in
    functions count as their name. Another version of Python may have another bytecode, and
    then has another fingerprint; from 3.13 on the compiler keeps the line of a class that is
    written inside a function, so it counts there.

    >>> from functools import partial
    >>> code_fingerprint(partial(print, 1)) == code_fingerprint(partial(print, 1))
    True
    >>> code_fingerprint(partial(print, 1)) == code_fingerprint(partial(print, 2))
    False
    """
    return digest(*(json.dumps(each) for each in _Walk(handler).descriptions()))


class _Walk:
    """Describes one thing after the other, until nothing new is reached."""

    def __init__(self, first: object) -> None:
        self._module = _module_of(first)
        self._numbers: dict[int, int] = {}
        self._found: list[Any] = []  # keeps alive what is numbered by its id
        self._number(first)

    def descriptions(self) -> Iterator[Any]:
        described = 0
        while described < len(self._found):
            yield self._describe(self._found[described])
            described += 1

    def _number(self, value: object) -> dict[str, int]:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._found)
            self._found.append(value)
        return {"node": number}

    def _describe(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, functools.partial):
            return ["partial", *map(self._part, (value.func, value.args, value.keywords))]
        if isinstance(value, MethodType):
            return ["method", self._part(value.__func__), self._number(value.__self__)]
        if isinstance(value, staticmethod | classmethod):
            return [type(value).__name__, self._part(value.__func__)]
        if isinstance(value, property):
            return ["property", *map(self._part, (value.fget, value.fset, value.fdel))]
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, functools.cached_property):
            return ["cached_property", self._part(value.func)]
        if isinstance(value, list | tuple | dict):
            return self._container(value)
        if hasattr(value, "__wrapped__"):  # lru_cache and its like
            return ["wrapped", _name_of(type(value)), self._part(value.__wrapped__)]
        return self._instance(value)

    def _function(self, function: FunctionType) -> Any:
        return [
            "function",
            _code(function.__code__),
            self._part(function.__defaults__),
            self._part(function.__kwdefaults__),
            [self._cell(cell) for cell in function.__closure__ or ()],
            [
                [name, self._global(function.__globals__[name], function.__module__)]
                for name in sorted(_names(function.__code__))
                if name in function.__globals__ and not _is_special(name)
            ],
        ]

    def _container(self, value: Any) -> Any:
        items = list(value.items()) if isinstance(value, dict) else value
        return ["container", self._number(type(value)), [self._part(item) for item in items]]

    def _cell(self, cell: Any) -> Any:
        try:
            return self._part(cell.cell_contents)
        except ValueError:  # named in the function, not assigned yet
            return ["empty"]

    def _class(self, kind: type) -> Any:
        """Its own attributes and those of its bases, as far as they are of the same module."""
        return [
            "class",
            [
                [base.__qualname__, [[name, self._part(vars(base)[name])]]]
                for base in kind.__mro__
                if base.__module__ == kind.__module__ and base.__module__ != "builtins"
                for name in sorted(vars(base))
                if _counts(name, vars(base)[name])
            ],
            [_name_of(base) for base in kind.__mro__],
        ]

    def _instance(self, value: Any) -> Any:
        if hasattr(value, "__qualname__"):  # a built-in function
            return ["named", _name_of(value)]
        state = {**getattr(value, "__dict__", {})}
        for base in type(value).__mro__:
            for name, slot in vars(base).items():
                if isinstance(slot, MemberDescriptorType) and hasattr(value, name):
                    state[f"{base.__qualname__}.{name}"] = slot.__get__(value)
        parts = [[name, self._part(state[name])] for name in sorted(state)]
        return ["instance", self._number(type(value)), parts]

    def _global(self, value: Any, module: str | None) -> Any:
        """A global that a function of ``module`` names; only what is of that module is followed."""
        if isinstance(value, FunctionType | type) or hasattr(value, "__wrapped__"):
            own = getattr(value, "__module__", None) == module
            return self._number(value) if own else ["elsewhere", _name_of(value)]
        return self._part(value)

    def _part(self, value: Any) -> Any:
        """``value`` where it is plain, its number where it is followed, else its name."""
        data = plain_form(value)
        if data is not None:
            return data
        if isinstance(value, type):
            return ["type", _name_of(value)]
        if _is_followed(value) or type(value).__module__ == self._module:
            return self._number(value)
        return ["other", _name_of(value)]


def _is_followed(value: object) -> bool:
    return isinstance(value, _FOLLOWED) or hasattr(value, "__wrapped__")


def plain_form(value: Any) -> Any:
    """``value`` as data that tells it from all others, ``None`` where there is no such form.

    More values have one than can be read back: paths, dates, patterns.
    """
    if isinstance(value, _PLAIN):
        return ["plain", _name_of(type(value)), repr(value)]
    if isinstance(value, re.Pattern):
        return ["pattern", encode(value.pattern), value.flags]
    if isinstance(value, Enum):  # of any class, and combined flags as well
        return ["enum", _name_of(type(value)), encode(value.value)]
    data = encode(value)
    return None if opaque_types(data) else ["value", data]


def _code(code: CodeType) -> Any:
    return [
        code.co_code.hex(),
        code.co_exceptiontable.hex(),
        [_constant(each) for each in code.co_consts],
        [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars],
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
    ]


def _constant(value: Any) -> Any:
    """What the compiler has put into a code object; nested no deeper than the source was."""
    if isinstance(value, CodeType):
        return ["code", _code(value)]
    if isinstance(value, tuple):
        return ["tuple", [_constant(each) for each in value]]
    if isinstance(value, frozenset):  # whose own order changes from process to process
        return ["frozenset", sorted((_constant(each) for each in value), key=json.dumps)]
    if isinstance(value, slice):  # a constant since Python 3.14
        return ["slice", [_constant(each) for each in (value.start, value.stop, value.step)]]
    return plain_form(value) or ["other", repr(value)]


def _names(code: CodeType) -> set[str]:
    """Every global (and attribute) that ``code`` or a function nested in it names."""
    names, rest = set[str](), [code]
    while rest:
        here = rest.pop()
        names.update(here.co_names)
        rest.extend(each for each in here.co_consts if isinstance(each, CodeType))
    return names


def _counts(name: str, value: object) -> bool:
    """Whether a class's attribute is what somebody wrote: of the special ones, functions."""
    if isinstance(value, FunctionType | classmethod | staticmethod):
        return name not in _ANNOTATIONS
    return not _is_special(name) and not isinstance(value, MemberDescriptorType)


def _module_of(handler: Any) -> str | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    module = getattr(handler, "__module__", None)
    return None if module == "builtins" else module


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _name_of(value: Any) -> str:
    """The name of a class, function or module, or of the class of anything else."""
    if isinstance(value, ModuleType):
        return value.__name__
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', None)}:{named.__qualname__}"
