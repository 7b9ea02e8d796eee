"""A canonical JSON form of values, equal in every process, that can be read back.

Plain JSON values stand for themselves; everything else is an object with the tag ``"~"``:

    (1, 2)          {"~": "tuple", "v": [1, 2]}
    {3, 1}          {"~": "set", "v": [1, 3]}
    b"hi"           {"~": "bytes", "v": "6869"}
    Point(1, 2)     {"~": "data", "t": "app:Point", "v": {"x": 1, "y": 2}}
    Colour.RED      {"~": "enum", "t": "app:Colour", "v": "RED"}
    object()        {"~": "opaque", "t": "builtins:object"}    cannot be read back

Types are looked up among the modules already imported; reading a value imports and runs
nothing.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

TAG = "~"
_LONG = 4096  # bits; far longer numbers are slow, and then refused, in decimal


def encode(value: Any) -> Any:
    """``value`` as JSON-ready data. Never raises: what has no form becomes ``opaque``."""
    try:
        return _encode(value, ())
    except RecursionError:
        return _opaque(value)


def decode(data: Any) -> Any:
    """The value that ``encode`` made ``data`` of.

    Raises:
        LookupError: a type is not imported here, or the value was opaque; names the type.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if TAG not in data:
        return {key: decode(item) for key, item in data.items()}
    return _DECODERS[data[TAG]](data)


def opaque_types(data: Any) -> list[str]:
    """The type names of everything in ``data`` that cannot be read back."""
    if isinstance(data, list):
        return [name for item in data for name in opaque_types(item)]
    if not isinstance(data, dict):
        return []
    if data.get(TAG) == "opaque":
        return [data["t"]]
    return opaque_types(list(data.values()))


def _encode(value: Any, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind is int and value.bit_length() > _LONG:
        return _tagged("int", hex(value))
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind in (bytes, bytearray):
        return _tagged(kind.__name__, value.hex())
    if isinstance(value, Enum):
        return _enum(value, kind)
    if id(value) in above:
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
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: _encode(item, above) for key, item in value.items()}
    pairs = [[_encode(key, above), _encode(item, above)] for key, item in value.items()]
    return _tagged("dict", pairs)


def _composite(value: Any, kind: type, above: tuple[int, ...]) -> Any:
    if not _findable(kind):
        return _opaque(value)
    if is_dataclass(kind):
        parts = {f.name: _encode(getattr(value, f.name, None), above) for f in fields(kind)}
        return {**_tagged("data", parts), "t": _name(kind)}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        items = [_encode(item, above) for item in value]
        return {**_tagged("namedtuple", items), "t": _name(kind)}
    return _opaque(value)


def _enum(value: Enum, kind: type[Enum]) -> Any:
    if not _findable(kind) or value.name not in kind.__members__:
        return _opaque(value)
    return {**_tagged("enum", value.name), "t": _name(kind)}


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
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise LookupError(name)
    return found


def _restore_data(data: dict[str, Any]) -> Any:
    """Fill the fields in without ``__init__``, which might refuse or change them."""
    kind: type = _find(data["t"])
    if not is_dataclass(kind):
        raise LookupError(data["t"])
    made: Any = object.__new__(kind)
    for name, item in data["v"].items():
        object.__setattr__(made, name, decode(item))
    return made


def _refuse(data: dict[str, Any]) -> Any:
    raise LookupError(data["t"])


def _items(data: dict[str, Any]) -> list[Any]:
    return [decode(item) for item in data["v"]]


_DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "int": lambda data: int(data["v"], 16),
    "float": lambda data: float(data["v"]),
    "bytes": lambda data: bytes.fromhex(data["v"]),
    "bytearray": lambda data: bytearray.fromhex(data["v"]),
    "tuple": lambda data: tuple(_items(data)),
    "set": lambda data: set(_items(data)),
    "frozenset": lambda data: frozenset(_items(data)),
    "dict": lambda data: {decode(key): decode(item) for key, item in data["v"]},
    "data": _restore_data,
    "namedtuple": lambda data: _find(data["t"])(*_items(data)),
    "enum": lambda data: _find(data["t"])[data["v"]],
    "opaque": _refuse,
}
