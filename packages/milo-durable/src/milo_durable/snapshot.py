"""A saga as it stands, and as the engine drives it: read once, replaced with each transition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from milo_durable.status import SagaStatus


@dataclass(frozen=True, slots=True)
class Branch:
    """A step in flight that may have others beside it; what the row says where there is one step.

    ``RUNNING``, ``SUSPENDED`` (until its next attempt, or an event), ``TIMEOUT`` or ``FAILED``.
    """

    status: SagaStatus
    token: UUID
    deadline_at: datetime | None = None
    retry_count: int = 0
    awaiting: Mapping[str, Any] | None = None
    error: str | None = None
    crash_count: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it stands in the row."""
        deadline = None if self.deadline_at is None else self.deadline_at.isoformat()
        return {
            "status": str(self.status),
            "token": str(self.token),
            "deadline_at": deadline,
            "retry_count": self.retry_count,
            "awaiting": self.awaiting,
            "error": self.error,
            "crash_count": self.crash_count,
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Branch:
        """As it stands in the row."""
        deadline = given["deadline_at"]
        return cls(
            status=SagaStatus(given["status"]),
            token=UUID(given["token"]),
            deadline_at=None if deadline is None else datetime.fromisoformat(deadline),
            retry_count=given["retry_count"],
            awaiting=given["awaiting"],
            error=given["error"],
            crash_count=given["crash_count"],
        )


@dataclass(frozen=True, slots=True)
class SagaSnapshot:
    """All that is stored of a saga. Reading one takes no lock; it may be old when you look.

    A saga whose steps may run beside each other has its steps in flight in ``branches``, by
    their id. The plain fields then are those of the step that matters most: one that waits for
    an event, or else the first; ``status`` and ``deadline_at`` sum them up.

    ``crash_count`` is how many workers in a row have died, or fallen silent, at the current step.
    """

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
    branches: Mapping[str, Branch] = field(default_factory=dict)
    crash_count: int = 0

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What completed steps returned, as JSON, by their id."""
        outputs: Mapping[str, Any] = self.context.get("outputs", {})
        return outputs
