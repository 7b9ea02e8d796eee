"""Calling a phase's handler: whether it wants its context, and what its errors read like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, TypeAlias

from milo_effects import Call

Context: TypeAlias = dict[str, Any]


def call_of(handler: Callable[..., Any], context: Context) -> Call:
    """The effect that calls ``handler``, with its dependencies' results if it asks for them."""
    if not wants_context(handler):
        return Call(handler)
    return Call(handler, (), {"context": context})


def wants_context(handler: Callable[..., Any]) -> bool:
    """Whether ``handler`` has a parameter named ``context`` that can be given by name.

    Reading the code object of a plain function is a hundred times faster than a signature,
    and most handlers are plain functions.
    """
    if type(handler) is FunctionType and not hasattr(handler, "__wrapped__"):
        code = handler.__code__
        first = code.co_posonlyargcount
        named = code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]
        return "context" in named
    own = _parameters(handler, follow_wrapped=False)
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in own.values()):
        own = _parameters(handler, follow_wrapped=True)  # a wrapper that passes everything on
    return "context" in own and own["context"].kind in _BY_NAME


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _parameters(
    handler: Callable[..., Any], *, follow_wrapped: bool
) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(handler, follow_wrapped=follow_wrapped).parameters
    except (TypeError, ValueError):  # built-in functions may have none to read
        return {}


def message_of(error: BaseException) -> str:
    """What a status says of ``error``; never empty, and with its type where it is no Exception."""
    try:
        text = str(error)
    except Exception:  # foreign code, whose fault must not hide the error it was to describe
        text = ""
    if isinstance(error, Exception) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
