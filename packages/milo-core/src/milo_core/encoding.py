"""A canonical JSON form of values, equal in every process, that can be read back.

Plain JSON values stand for themselves; everything else is an object with the tag ``"~"``:

    (1, 2)          {"~": "tuple", "v": [1, 2]}
    {3, 1}          {"~": "set", "v": [1, 3]}
    b"hi"           {"~": "bytes", "v": "6869"}
    Point(1, 2)     {"~": "data", "t": "app:Point", "v": {"x": 1, "y": 2}}
    Colour.RED      {"~": "enum", "t": "app:Colour", "v": "RED"}
    Path("a/b")     {"~": "path", "t": "PosixPath", "v": "a/b"}
    object()        {"~": "opaque", "t": "builtins:object"}    cannot be read back

Types are looked up among the modules already imported. Reading a value imports nothing, calls
no constructor of theirs and makes nothing but the above, so a forged file can lie but not act.

A path is one of its system: ``Path`` is a ``PosixPath`` or a ``WindowsPath`` and is read back
where that is so; a ``PurePosixPath`` and a ``PureWindowsPath`` are read back anywhere.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import BuiltinFunctionType
from typing import Any

TAG = "~"
_LONG = 4096  # bits; far longer numbers are slow, and then refused, in decimal
_DEEPEST = 100  # a number, not the stack's end, which is elsewhere for every caller
_PATHS: dict[str, type[PurePath]] = {
    kind.__name__: kind for kind in (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
}
_SPLIT = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # JSON would read it as one character


def encode(value: Any) -> Any:
    """``value`` as JSON-ready data.

    Never raises: what has no form, contains itself or nests more than a hundred deep becomes
    ``opaque`` at that place.
    """
    try:
        return _encode(value, ())
    except Exception:  # foreign attributes; the mark shows in the recording and in its replay
        return _opaque(value)


def decode(data: Any) -> Any:
    """The value that ``encode`` made ``data`` of.

    Raises:
        LookupError: a type is not imported here or not what it was, or the value was
            opaque; the message names the type.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if TAG not in data:
        return {key: decode(item) for key, item in data.items()}
    decoder = _DECODERS.get(data[TAG])
    if decoder is None:
        raise LookupError(f"it holds a {data[TAG]!r}, which this version does not know")
    return decoder(data)


def opaque_types(data: Any) -> list[str]:
    """The type names of everything in ``data`` that cannot be read back."""
    names, rest = [], [data]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(reversed(item))
        elif isinstance(item, dict) and item.get(TAG) == "opaque":
            names.append(item["t"])
        elif isinstance(item, dict):
            rest.extend(reversed(item.values()))
    return names


def _encode(value: Any, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind is int and value.bit_length() > _LONG:
        return _tagged("int", hex(value))
    if value is None or kind in (bool, int):
        return value
    if kind is str:
        return _text(value)
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind in (bytes, bytearray):
        return _tagged(kind.__name__, value.hex())
    if isinstance(value, Enum):
        return _enum(value, kind)
    if id(value) in above or len(above) == _DEEPEST:
        return _opaque(value)
    above = (*above, id(value))
    if kind is list:
        return [_encode(item, above) for item in value]
    if kind is tuple:
        return _tagged("tuple", [_encode(item, above) for item in value])
    if kind in (set, frozenset):
        return _tagged(kind.__name__, _sorted([_encode(item, above) for item in value]))
    if kind is dict:
        return _mapping(value, above)
    return _composite(value, kind, above)


def _mapping(value: dict[Any, Any], above: tuple[int, ...]) -> Any:
    """Dicts keep their order, which reducers can see."""
    pairs = [[_encode(key, above), _encode(item, above)] for key, item in value.items()]
    if all(type(key) is str for key, _ in pairs) and TAG not in value:
        return dict(pairs)
    return _tagged("dict", pairs)


def _composite(value: Any, kind: type, above: tuple[int, ...]) -> Any:
    if _is_path(kind):
        return _path(value, kind)
    if not _findable(kind):
        return _opaque(value)
    if _is_record(kind):
        names = [f.name for f in fields(kind) if hasattr(value, f.name)]
        parts = {name: _encode(getattr(value, name), above) for name in names}
        return {**_tagged("data", parts), "t": _name(kind)}
    if _is_namedtuple(kind):
        items = [_encode(item, above) for item in value]
        return {**_tagged("namedtuple", items), "t": _name(kind)}
    return _opaque(value)


def _enum(value: Enum, kind: type[Enum]) -> Any:
    if not _findable(kind) or value.name not in kind.__members__:
        return _opaque(value)
    return {**_tagged("enum", value.name), "t": _name(kind)}


def _path(value: PurePath, kind: type[PurePath]) -> Any:
    """By its text, if that means the same path again: Python 3.11 writes ``./c:`` as ``c:``."""
    text, name = str(value), kind.__name__
    if _PATHS.get(name) is not kind:  # a class of somebody's own may hold more
        return _opaque(value)
    again = kind(text)
    if again != value or again.anchor != value.anchor:
        return _opaque(value)
    return {**_tagged("path", _text(text)), "t": name}


def _text(value: str) -> Any:
    if _SPLIT.search(value) is None:
        return value
    return _tagged("str", value.encode("utf-8", "surrogatepass").hex())


def _is_record(kind: type) -> bool:
    """A dataclass of fields alone; one that is an exception or a list as well holds more."""
    return is_dataclass(kind) and not any(
        isinstance(vars(base).get("__new__"), BuiltinFunctionType) for base in kind.__mro__[:-1]
    )


def _is_path(kind: type) -> bool:
    return issubclass(kind, PurePath)


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {TAG: tag, "v": value}


def _opaque(value: Any) -> dict[str, Any]:
    return {TAG: "opaque", "t": _name(type(value))}


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _findable(kind: type) -> bool:
    """Whether the type's name leads back to it, which it does not for local classes."""
    try:
        return _find(_name(kind)) is kind
    except LookupError:
        return False


def _find(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, "__dict__", {}).get(part)  # getattr(found, part) may import it
    if not isinstance(found, type):
        raise LookupError(f"{name} is not imported here; import its module first")
    return found


def _restore_data(data: dict[str, Any]) -> Any:
    """Fill the fields in without ``__init__``, which might refuse or change them."""
    kind = _find(data["t"])
    if not _is_record(kind):
        raise LookupError(f"{data['t']} is no dataclass")
    known = {f.name for f in fields(kind)}
    made: Any = object.__new__(kind)
    for name, item in data["v"].items():
        if name not in known:
            raise LookupError(f"{data['t']} has no field {name!r}")
        object.__setattr__(made, name, decode(item))
    return made


def _restore_namedtuple(data: dict[str, Any]) -> Any:
    kind, items = _find(data["t"]), _items(data)
    if not _is_namedtuple(kind) or len(items) != len(kind._fields):
        raise LookupError(f"{data['t']} is no named tuple of {len(items)} fields")
    return tuple.__new__(kind, items)


def _restore_enum(data: dict[str, Any]) -> Any:
    kind, name = _find(data["t"]), data["v"]
    if not issubclass(kind, Enum) or name not in kind.__members__:
        raise LookupError(f"{data['t']} is no enum with a member {name!r}")
    return kind.__members__[name]


def _restore_path(data: dict[str, Any]) -> PurePath:
    kind, text = _PATHS.get(data["t"]), decode(data["v"])
    if kind is None or type(text) is not str:  # what is no text might be asked for its path
        raise LookupError(f"{data['t']} is no path, or not written as one")
    try:
        return kind(text)
    except NotImplementedError as cause:
        raise LookupError(
            f"a {data['t']} can be read on its own system only; record a Pure{data['t']} "
            "to read it anywhere"
        ) from cause


def _refuse(data: dict[str, Any]) -> Any:
    raise LookupError(f"a {data['t']} was not recorded, only that it was there")


def _items(data: dict[str, Any]) -> list[Any]:
    return [decode(item) for item in data["v"]]


_DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "int": lambda data: int(data["v"], 16),
    "float": lambda data: float(data["v"]),
    "str": lambda data: bytes.fromhex(data["v"]).decode("utf-8", "surrogatepass"),
    "bytes": lambda data: bytes.fromhex(data["v"]),
    "bytearray": lambda data: bytearray.fromhex(data["v"]),
    "tuple": lambda data: tuple(_items(data)),
    "set": lambda data: set(_items(data)),
    "frozenset": lambda data: frozenset(_items(data)),
    "dict": lambda data: {decode(key): decode(item) for key, item in data["v"]},
    "data": _restore_data,
    "namedtuple": _restore_namedtuple,
    "enum": _restore_enum,
    "path": _restore_path,
    "opaque": _refuse,
}
