"""Results as text that can be read back exactly, or not at all.

The text is milo-core's tagged JSON and, for each class in it, the names of its fields: a
class that has gained or lost one since must not come back with an attribute missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

from milo_core.encoding import TAG, decode, encode, opaque_types


class Unencodable(Exception):
    """A value has parts that cannot be written.

    Attributes:
        types: the names of their types, each once.
    """

    def __init__(self, types: tuple[str, ...]) -> None:
        super().__init__(", ".join(types))
        self.types = types


def pack(value: Any) -> str:
    """``value`` as text, the same in every process.

    Calls foreign code where ``value`` has attributes of its own, so no lock may be held.

    Raises:
        Unencodable: not even a part of it was written.
    """
    data = encode(value)
    if unknown := opaque_types(data):
        raise Unencodable(tuple(dict.fromkeys(unknown)))
    shapes = {name: _field_names(name) for name in sorted(set(_type_names(data)))}
    return json.dumps({"value": data, "types": shapes}, separators=(",", ":"))


def unpack(text: str) -> Any:
    """The value that ``pack`` wrote, of the same types all the way down.

    Raises:
        LookupError: a class in it is not imported here, or no longer has the same fields.
    """
    packed = json.loads(text)
    for name, before in packed["types"].items():
        if (now := _field_names(name)) != before:
            raise LookupError(f"{name} had the fields {before} and has {now}")
    return decode(packed["value"])


def digest(*parts: str) -> str:
    """A hash of these texts and of where each ends; 64 hexadecimal digits."""
    text = json.dumps(parts, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=32).hexdigest()


def _type_names(data: Any) -> Iterator[str]:
    rest = [data]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, dict):
            rest.extend(item.values())
            if item.get(TAG) in ("data", "namedtuple"):
                yield item["t"]


def _field_names(name: str) -> list[str]:
    """The fields of the class by this name; none if it is not imported or has none."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if is_dataclass(found):
        return [field.name for field in fields(found)]
    return list(getattr(found, "_fields", ()))
