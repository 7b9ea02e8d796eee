"""What milo-durable raises, each below what also catches it.

SagaError
├── SagaDefinitionError           a saga was written in a way it cannot run
├── UnknownSagaError              no saga of that name, or version, is registered here
├── SagaNotFoundError             no row with that id
├── SagaStateError                the saga's status does not allow it
├── ActiveSagaAlreadyExistsError  another saga of this aggregation id is active
├── SagaDataError                 a value that JSON or a step's model does not take
└── InvalidEventError             an event without what it needs
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID


class SagaError(Exception):
    """Base of everything this package raises."""


class SagaDefinitionError(SagaError, ValueError):
    """A step, definition or registration that cannot be meant."""


class UnknownSagaError(SagaError, LookupError):
    """``name``, perhaps in this ``version``, is not registered with this orchestrator."""

    def __init__(self, name: str, known: Iterable[str], version: int | None = None) -> None:
        what = f"saga {name!r}" if version is None else f"version {version} of saga {name!r}"
        registered = ", ".join(sorted(known)) or "none"
        super().__init__(
            f"{what} is not registered here; registered: {registered}; call "
            f"orchestrator.register({name!r}, definition) first"
        )
        self.name, self.version = name, version


class SagaNotFoundError(SagaError, LookupError):
    """There is no saga with the id ``saga_id``."""

    def __init__(self, saga_id: UUID) -> None:
        super().__init__(f"there is no saga with the id {saga_id}")
        self.saga_id = saga_id


class SagaStateError(SagaError):
    """Saga ``saga_id`` is in ``status``, which does not allow what was asked for."""

    def __init__(self, saga_id: UUID, status: str, asked: str, hint: str) -> None:
        super().__init__(f"saga {saga_id} is {status}, so it cannot {asked}; {hint}")
        self.saga_id, self.status = saga_id, status


class ActiveSagaAlreadyExistsError(SagaError):
    """A saga of ``aggregation_id`` is active already; there is at most one."""

    def __init__(self, aggregation_id: str) -> None:
        super().__init__(
            f"a saga for {aggregation_id!r} is active already; wait until it has ended, or abort it"
        )
        self.aggregation_id = aggregation_id


class SagaDataError(SagaError, ValueError):
    """A value that cannot be stored as JSON, or that a step's model refuses."""


class InvalidEventError(SagaError, ValueError):
    """An event that lacks what it is told apart by, or who it is for."""
