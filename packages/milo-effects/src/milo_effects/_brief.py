"""Short texts about sagas for people: what is done, by which function, on which line.

No text is long, whatever it is about, and none fails: what cannot be shown is named by its
type. The first two call foreign ``__repr__`` and ``__str__`` methods, so no lock may be held.

>>> from milo_effects.effects import Call, Race, Take
>>> brief(Race((Call(max, (1, 2)), Take("GO", timeout=5.0))))
"Race((Call(max, args=(1, 2)), Take('GO', timeout=5.0)))"
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from types import FunctionType, GeneratorType, MethodType
from typing import Any, Final

from milo_effects.task import SagaTask, TaskState

_OURS: Final = os.path.dirname(__file__) + os.sep
_LONGEST: Final = 200


def brief(value: object) -> str:
    """``value`` as it might be written in a program, on one line and shortened."""
    try:
        text = _brief.repr(value)
    except Exception:  # foreign code; a log line with less in it is still a log line
        text = f"<{type(value).__qualname__}>"
    return _shortened(text)


def brief_error(error: BaseException) -> str:
    """The error's type and message, as the last line of a traceback has them."""
    try:
        message = str(error)
    except Exception:  # foreign code, as above
        message = "(its message cannot be shown)"
    name = type(error).__qualname__
    return _shortened(f"{name}: {message}" if message else name)


def saga_name(saga: object) -> str:
    """The name of a generator, or of the function that makes one; none for those of Milo.

    The latter run one effect, or an effect that is made of others, which says more.
    """
    while isinstance(saga, partial):
        saga = saga.func
    if isinstance(saga, MethodType):
        saga = saga.__func__
    if isinstance(saga, GeneratorType):
        code = saga.gi_code
    elif isinstance(saga, FunctionType):
        code = saga.__code__
    else:
        return ""
    return "" if code.co_filename.startswith(_OURS) else saga.__qualname__.split("<locals>.")[-1]


def saga_line(task: SagaTask) -> str:
    """File and line where the saga's innermost generator stands; nothing while it runs."""
    line = ""
    # Tasks begin to run under this lock, so none of these generators does meanwhile.
    with task.runtime.runner.scheduler.lock:
        generator = None if task.state == TaskState.RUNNING else task.generator
        while isinstance(generator, GeneratorType):
            frame = generator.gi_frame
            path = generator.gi_code.co_filename
            if frame is not None and not path.startswith(_OURS):
                line = f"{os.path.basename(path)}:{frame.f_lineno}"
            generator = generator.gi_yieldfrom
    return line


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


class _Brief(reprlib.Repr):
    """Descriptors by what is not a default in them, functions and generators by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxstring = self.maxother = 80

    def repr1(self, x: Any, level: int) -> str:
        if is_dataclass(x) and not isinstance(x, type) and level > 0:
            return f"{type(x).__name__}({', '.join(self._parts(x, level - 1))})"
        name = saga_name(x) or (getattr(x, "__name__", "") if callable(x) else "")
        return name or super().repr1(x, level)

    def _parts(self, x: Any, level: int) -> Iterator[str]:
        for number, field in enumerate(fields(x)):
            value = getattr(x, field.name)
            make = field.default_factory
            if value is field.default or (callable(make) and value == make()):
                continue
            text = self.repr1(value, level)
            is_optional = callable(make) or field.default is not MISSING
            yield f"{field.name}={text}" if number and is_optional else text


_brief: Final = _Brief()
