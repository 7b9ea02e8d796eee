"""What tells whether a phase is still the one that was recorded: short texts to compare.

All of them are equal in every process, whatever its hash seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from milo_pipeline.persistence._code import code_fingerprint, plain_form
from milo_pipeline.persistence._inputs import input_fingerprint
from milo_pipeline.persistence._values import Unencodable, digest, pack
from milo_pipeline.persistence.errors import FingerprintError
from milo_pipeline.phase import Phase

__all__ = [
    "Definition",
    "code_fingerprint",
    "define",
    "input_fingerprint",
    "params_fingerprint",
    "value_fingerprint",
]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a phase is, as far as its result depends on it, and what it waits for."""

    fingerprint: str
    depends_on: tuple[str, ...] = ()


def define(phase: Phase, params: Mapping[str, Any] | None = None) -> Definition:
    """What ``phase`` is now: its name, handler, dependencies and the parameters it is given.

    Its description, policy, weight, ``parallel`` and ``max_logs`` change how it runs or
    looks, not what it returns, and are left out.

    Raises:
        FingerprintError: a parameter that cannot be written down.

    >>> define(Phase("a", print)) == define(Phase("a", print, weight=3))
    True
    >>> define(Phase("a", print)) == define(Phase("a", print), {"draft": True})
    False
    """
    depends_on = tuple(phase.depends_on)
    parts = (
        phase.name,
        code_fingerprint(phase.handler),
        value_fingerprint(sorted(depends_on)),
        params_fingerprint(params),
    )
    return Definition(digest(*parts), depends_on)


def params_fingerprint(params: Mapping[str, Any] | None) -> str:
    """A hash of parameters by name, in any order; a value may also be a path or a date.

    Raises:
        FingerprintError: a parameter that has no form of its own; names it and its type.

    >>> params_fingerprint({"a": 1, "b": 2}) == params_fingerprint({"b": 2, "a": 1})
    True
    """
    forms = {name: plain_form(value) for name, value in (params or {}).items()}
    for name, form in forms.items():
        if form is None:
            kind = type((params or {})[name])
            raise FingerprintError(
                f"parameter {name!r}, a {kind.__module__}:{kind.__qualname__}, cannot be told "
                "from others like it; give plain values, paths, dataclasses or enums"
            )
    return digest(json.dumps(forms, sort_keys=True))


def value_fingerprint(value: Any) -> str:
    """A hash of ``value`` and its types, as a result.

    Dicts are told apart by their order as well.

    Raises:
        FingerprintError: ``value`` has parts that cannot be written down; names their types.
    """
    try:
        return digest(pack(value))
    except Unencodable as error:
        raise FingerprintError(
            f"a {' and a '.join(error.types)} cannot be told from another like it; give plain "
            "values, paths, dataclasses or enums"
        ) from error
