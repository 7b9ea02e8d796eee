"""The response of a phase's process: made there, turned into a result or an error here."""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from logging import getLogger
from struct import Struct
from traceback import format_exception
from types import TracebackType
from typing import TYPE_CHECKING, Any

from milo_capture import CompletedRun
from milo_pipeline.errors import ProcessDied, TransferError
from milo_pipeline.executors._sources import MAIN, MAIN_THERE

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase

_log = getLogger(__name__)

_HEADER = Struct("!?Q")
"""Whether the handler returned, and how many bytes follow."""


def result_of(phase: Phase, done: CompletedRun) -> Any:
    """What the handler returned in a process that has ended.

    Raises:
        BaseException: what the handler raised.
        TransferError: that, or what it returned, cannot be brought here.
        ProcessDied: the response is missing or cut off.
    """
    response = Response.read(done.response)
    if response is None:
        raise ProcessDied(phase.name, done.returncode)
    if done.returncode:
        _log.warning(
            "the process of phase %r ended with exit code %s after its handler had ended",
            phase.name,
            done.returncode,
        )
    if response.returned:
        return _result(phase.name, response.body)
    failure: Failure = pickle.loads(response.body)
    raise failure.as_error(phase.name)


@dataclass(frozen=True, slots=True)
class Response:
    """What a process hands back: a pickled result, or a pickled ``Failure``."""

    returned: bool
    body: bytes | memoryview

    @classmethod
    def read(cls, written: bytes) -> Response | None:
        """The response that was ``written``; ``None`` if some of it is missing."""
        if len(written) < _HEADER.size:
            return None
        returned, size = _HEADER.unpack_from(written)
        body = memoryview(written)[_HEADER.size :]
        return cls(returned, body) if len(body) == size else None

    @classmethod
    def of(cls, result: object) -> Response:
        """Of what the handler returned, or of its failing to be pickled."""
        try:
            return cls(True, pickle.dumps(result, pickle.HIGHEST_PROTOCOL))
        except Exception as cause:  # foreign objects can raise anything; raised over there
            kind, reason = _qualified(type(result)), f"{type(cause).__name__}: {cause}"
            return cls.of_failure(NotPickled(kind, reason))

    @classmethod
    def of_failure(cls, failure: Failure) -> Response:
        """Of what kept the handler from returning."""
        return cls(False, pickle.dumps(failure))

    def write(self, pipe: int) -> None:
        """Write all of it, as fast as it is taken."""
        for piece in (_HEADER.pack(self.returned, len(self.body)), self.body):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(pipe, rest) :]


class Failure(ABC):
    """Why there is no result."""

    @abstractmethod
    def as_error(self, phase: str) -> BaseException:
        """What is raised for it where the pipeline runs."""


@dataclass(frozen=True)
class Raised(Failure):
    """The handler raised; ``pickled`` is ``None`` where the error cannot be, for ``reason``."""

    kind: str
    message: str
    trace: str
    pickled: bytes | None
    reason: str = ""

    @classmethod
    def by_handler(cls, error: BaseException) -> Raised:
        """Of ``error``, caught where the handler was called."""
        kind, message = _qualified(type(error)), _text(error)
        try:
            pickled, reason = pickle.dumps(error), ""
        except Exception as cause:  # foreign objects can raise anything
            pickled, reason = None, f"pickling it raised {type(cause).__name__}: {cause}"
        return cls(kind, message, _trace(error), pickled, reason)

    def as_error(self, phase: str) -> BaseException:
        error = self._unpickled(phase)
        error.add_note(f"In the process of phase {phase!r}:\n{self.trace}")
        return error

    def _unpickled(self, phase: str) -> BaseException:
        if self.pickled is None:
            return self._lost(phase, self.reason)
        try:
            error = _load(self.pickled)
        except Exception as cause:  # as above; often an __init__ with arguments of its own
            lost = self._lost(phase, f"unpickling it raised {type(cause).__name__}: {cause}")
            lost.__cause__ = cause
            return lost
        if isinstance(error, BaseException):
            return error
        return self._lost(phase, f"unpickling it gave a {type(error).__name__}")

    def _lost(self, phase: str, reason: str) -> TransferError:
        said = f"{self.kind}: {self.message}" if self.message else self.kind
        return TransferError(
            f"phase {phase!r} raised {said}; that error cannot leave its process, because "
            f"{reason}. Give its class an __init__ that passes all of its arguments on, "
            "or a __reduce__"
        )


@dataclass(frozen=True)
class NotPickled(Failure):
    """The handler returned a ``kind`` that cannot be pickled."""

    kind: str
    reason: str

    def as_error(self, phase: str) -> BaseException:
        return TransferError(
            f"phase {phase!r} returned a {self.kind} that cannot be pickled: {self.reason}; "
            "its process can only hand back what can be: return plain data"
        )


@dataclass(frozen=True)
class NotLoaded(Failure):
    """The process could not import the handler or what it is called with."""

    reason: str
    trace: str

    @classmethod
    def by_import(cls, error: BaseException) -> NotLoaded:
        """Of ``error``, caught where the request was unpickled."""
        return cls(f"{type(error).__name__}: {_text(error)}", _trace(error))

    def as_error(self, phase: str) -> BaseException:
        error = TransferError(
            f"the process of phase {phase!r} cannot import its work: {self.reason}; the handler "
            "and the classes of its arguments must be importable by name"
        )
        error.add_note(f"In the process of phase {phase!r}:\n{self.trace}")
        return error


def _result(phase: str, body: bytes | memoryview) -> Any:
    try:
        return _load(body)
    except Exception as cause:  # of foreign classes, which can raise anything
        raise TransferError(
            f"what phase {phase!r} returned cannot be unpickled: {type(cause).__name__}: {cause}"
        ) from cause


def _load(pickled: bytes | memoryview) -> Any:
    return _Unpickler(BytesIO(pickled)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The program's file has another name in the process than here."""
        return super().find_class(MAIN if module == MAIN_THERE else module, name)


def _qualified(kind: type) -> str:
    plain = kind.__module__ in ("builtins", MAIN, MAIN_THERE)
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    with suppress(Exception):  # foreign code, whose fault must not hide the error itself
        return str(error)
    return ""


def _trace(error: BaseException) -> str:
    """The traceback without the frames of ours that it begins with."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    with suppress(Exception):  # as above: it calls str() on every error of the chain
        return "".join(format_exception(error.with_traceback(trace))).rstrip()
    return type(error).__name__


def _is_ours(trace: TracebackType) -> bool:
    name: str = trace.tb_frame.f_globals.get("__name__", "")
    return name.startswith(__package__)
