"""Telling a free-threaded interpreter which objects many threads use at the same time.

Without a GIL, every use of an object by a thread that did not create it is an atomic count,
and threads that use the same object wait for each other's. An interpreter of 3.14 or later
can leave that count to its garbage collector for objects that live long anyway. That is worth
a third of the time of a dispatch from another thread, and more with several.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any


def share(*objects: Any) -> None:
    """Have the garbage collector count who uses ``objects``; nothing to do under a GIL."""
    if not getattr(sys, "_is_gil_enabled", _always)():
        defer = _deferral()
        for each in objects:
            defer(each)


def share_parts(owner: object, *names: str) -> None:
    """``share`` ``owner`` and its attributes of these names.

    They are looked up under a GIL, too, so that a wrong name is an ``AttributeError`` everywhere.
    """
    share(owner, *[getattr(owner, name) for name in names])


def _always() -> bool:
    return True


@cache
def _deferral() -> Callable[[Any], object]:
    """The interpreter's own function; where there is none, one that does nothing."""
    try:
        import ctypes

        function = ctypes.pythonapi.PyUnstable_Object_EnableDeferredRefcount
    except (ImportError, AttributeError):
        return id
    function.argtypes = [ctypes.py_object]
    return function
