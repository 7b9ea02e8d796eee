"""Sagas in a list: which of them are asked for, and what is read of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from milo_durable.errors import SagaDefinitionError
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus

_HEX = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class SagaSummary:
    """A saga without its context and its history, which may be long; see ``SagaSnapshot``."""

    id: UUID
    saga_name: str
    definition_version: int
    aggregation_id: str
    status: SagaStatus
    current_step_index: int
    retry_count: int
    awaiting: Mapping[str, Any] | None
    deadline_at: datetime | None
    error: str | None
    created_at: datetime
    updated_at: datetime
    branches: Mapping[str, Branch] = field(default_factory=dict)

    @classmethod
    def of(cls, saga: SagaSnapshot) -> SagaSummary:
        """What a list would show of this saga."""
        return cls(*[getattr(saga, name) for name in COLUMNS])


COLUMNS = tuple(SagaSummary.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sagas are asked for; what is ``None`` does not matter."""

    statuses: tuple[SagaStatus, ...] | None
    name: str | None
    aggregation_id: str | None
    ids: tuple[UUID, UUID] | None
    """The first and the last of a range."""
    limit: int


def read_filter(
    status: SagaStatus | str | Iterable[SagaStatus | str] | None,
    name: str | None,
    aggregation_id: str | None,
    id_prefix: str | None,
    limit: Any,
) -> Filter:
    """The arguments of ``SagaAdmin.list_sagas``, read.

    Raises:
        SagaDefinitionError: one of them cannot be meant.
    """
    for what, given in (("name", name), ("aggregation_id", aggregation_id)):
        if not isinstance(given, str | None):
            raise SagaDefinitionError(f"{what} must be a text, not {given!r:.200}")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise SagaDefinitionError(f"limit must be a whole number from 1, not {limit!r:.200}")
    ids = None if id_prefix is None else _ids_beginning_with(id_prefix)
    return Filter(_statuses(status), name, aggregation_id, ids, limit)


def _statuses(given: Any) -> tuple[SagaStatus, ...] | None:
    if given is None:
        return None
    try:
        return tuple(map(SagaStatus, [given] if isinstance(given, str) else given))
    except (TypeError, ValueError) as cause:
        raise SagaDefinitionError(
            f"status must be one or several of {', '.join(SagaStatus)}, not {given!r:.200}"
        ) from cause


def _ids_beginning_with(prefix: object) -> tuple[UUID, UUID]:
    digits = prefix.replace("-", "").lower() if isinstance(prefix, str) else ""
    if not _HEX.fullmatch(digits):
        raise SagaDefinitionError(
            f"id_prefix must be the beginning of a saga's id, such as '3f2a9c1e', not "
            f"{prefix!r:.200}"
        )
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
