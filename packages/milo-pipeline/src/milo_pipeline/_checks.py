"""Refusing what a definition cannot mean, in one tone: whose, what was expected, what came."""

from __future__ import annotations

import math

from milo_pipeline.errors import DefinitionError


def refuse_unless(holds: bool, owner: str, complaint: str) -> None:
    """Raise ``DefinitionError("owner: complaint")`` unless ``holds``."""
    if not holds:
        raise DefinitionError(f"{owner}: {complaint}")


def refuse_unless_count(owner: str, field: str, value: object) -> None:
    """Refuse everything but a whole number of at least 0; ``True`` is not one."""
    counts = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    refuse_unless(counts, owner, f"{field} must be a whole number of at least 0, not {value!r}")


def refuse_unless_name(owner: str, value: object) -> None:
    """Refuse everything but text with something to read in it."""
    named = isinstance(value, str) and bool(value.strip())
    refuse_unless(named, owner, f"the name must be text and not empty, not {value!r}")


def is_seconds(value: object) -> bool:
    """Whether ``value`` is a finite number of at least 0; ``True`` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0
