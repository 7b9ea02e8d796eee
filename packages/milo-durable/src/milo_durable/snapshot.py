"""A saga as it stands, and as the engine drives it: read once, replaced with each transition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from milo_durable.status import SagaStatus


@dataclass(frozen=True, slots=True)
class SagaSnapshot:
    """All that is stored of a saga. Reading one takes no lock; it may be old when you look."""

    id: UUID
    saga_name: str
    definition_version: int
    aggregation_id: str
    status: SagaStatus
    current_step_index: int
    step_execution_token: UUID
    context: Mapping[str, Any]
    step_history: tuple[Mapping[str, Any], ...]
    deadline_at: datetime | None
    retry_count: int
    awaiting: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What completed steps returned, as JSON, by their id."""
        outputs: Mapping[str, Any] = self.context.get("outputs", {})
        return outputs
