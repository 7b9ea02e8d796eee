"""The request to a phase's process: which function to call, with what, and how to import both."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from io import BytesIO
from struct import Struct
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from milo_pipeline.errors import TransferError
from milo_pipeline.executors._sources import MAIN, Source, imported, source_of

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase

_SIZE = Struct("!Q")

Work: TypeAlias = tuple[Callable[..., Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a process needs to know before it can unpickle its work."""

    argv: list[str]
    sources: Mapping[str, Source]


def pack(phase: Phase, arguments: Mapping[str, Any]) -> bytes:
    """The handler of ``phase`` and its arguments, as ``unpack`` takes them.

    Raises:
        TransferError: one of them cannot be pickled; it is named.
    """
    work = BytesIO()
    pickler = _Pickler(work)
    try:
        pickler.dump((phase.handler, dict(arguments)))
    except Exception as cause:  # of foreign objects, which can raise anything
        what = _which(phase, arguments)
        raise TransferError(
            f"{what} cannot be pickled for the process of phase {phase.name!r}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    preparation = pickle.dumps(Preparation(sys.argv, pickler.sources))
    size = len(preparation) + work.tell()
    return b"".join((_SIZE.pack(size), preparation, work.getbuffer()))


def read_request(pipe: int) -> bytes:
    """What ``pack`` made, from where the process gets it; for ``unpack``.

    Raises:
        EOFError: whoever sent it has ended in the midst of it.
    """
    with open(pipe, "rb", closefd=False) as file:
        size = file.read(_SIZE.size)
        request = file.read(_SIZE.unpack(size)[0]) if len(size) == _SIZE.size else b""
    if not request or len(request) < _SIZE.unpack(size)[0]:
        raise EOFError("the pipeline that started this process has ended")
    return request


def unpack(request: bytes) -> Work:
    """The handler and its arguments; imports what they need.

    Raises:
        Exception: whatever a module raises that does not import.
    """
    global _unpacking
    file = BytesIO(request)
    preparation: Preparation = pickle.load(file)
    sys.argv = preparation.argv
    _unpacking = True
    try:
        work: Work = _Unpickler(file, preparation.sources).load()
    finally:
        _unpacking = False
    return work


def is_unpacking() -> bool:
    """Whether this is a phase's process that has not found its handler yet."""
    return _unpacking


_unpacking = False


def why_not_importable(handler: Callable[..., Any]) -> str:
    """What keeps another process from importing ``handler``, as far as a look at it tells."""
    while isinstance(handler, partial):
        handler = handler.func
    if isinstance(handler, MethodType):
        owner = handler.__self__
        return _why_not_named(owner if isinstance(owner, type) else type(owner))
    if not hasattr(handler, "__qualname__"):
        return _why_not_named(type(handler))
    return _why_not_named(handler) or _why_not_found(handler)


def _why_not_named(named: Any) -> str:
    name = named.__qualname__
    if "<lambda>" in name:
        return "a lambda has no name to import it by"
    return f"{name} is defined inside a function" if "<locals>" in name else ""


def _why_not_found(function: Any) -> str:
    name, module = function.__qualname__, getattr(function, "__module__", None)
    if module is None:  # a method of a built-in type, for one
        return ""
    if module == MAIN and source_of(MAIN) is None:
        return "the program has no file to import it from"
    try:
        found = reduce(getattr, name.split("."), cast(Any, sys.modules.get(module)))
    except AttributeError:
        return f"{module} has no {name}"
    return "" if found is function else f"{module}.{name} is something else by now"


def _which(phase: Phase, arguments: Mapping[str, Any]) -> str:
    """The name of what cannot be pickled."""
    for what, value in _parts(phase, arguments):
        try:
            _Pickler(BytesIO()).dump(value)
        except Exception:  # as it did in ``pack``
            return what
    return "what the handler is given"


def _parts(phase: Phase, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield f"the handler {phase.handler!r:.200}", phase.handler
    for name, value in arguments.items():
        if name == "context" and isinstance(value, Mapping):
            for dependency, result in value.items():
                yield f"the result of {dependency!r}, a {type(result).__name__},", result
        else:
            yield f"the argument {name!r}, a {type(value).__name__},", value


class _Pickler(pickle.Pickler):
    """Notes the files of the modules that it refers to."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.sources: dict[str, Source] = {}

    def reducer_override(self, value: Any) -> Any:
        """Called for what is no plain data; everything is pickled as it would be without."""
        if isinstance(value, FunctionType | type) and value.__module__ not in self.sources:
            source = source_of(value.__module__)
            if source is not None:
                self.sources[value.__module__] = source
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, sources: Mapping[str, Source]) -> None:
        super().__init__(file)
        self._sources = sources

    def find_class(self, module: str, name: str) -> Any:
        """What is called ``name`` there, imported if need be."""
        return reduce(getattr, name.split("."), imported(module, self._sources))
