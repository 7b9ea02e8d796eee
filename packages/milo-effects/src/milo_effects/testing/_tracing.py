"""A simulation's trace: what every saga does, in words."""

from __future__ import annotations

from milo_effects.monitors import SagaMonitor
from milo_effects.task import SagaTask
from milo_effects.testing._describing import describe, name_of
from milo_effects.testing._world import Note


class Tracer(SagaMonitor):
    """Hands a line for each event to ``note``."""

    def __init__(self, note: Note) -> None:
        self._note = note

    def saga_started(self, task: SagaTask, started_by: SagaTask | None) -> None:
        by = "" if started_by is None else f" by {started_by.saga_id}"
        what = "" if task.generator is None else f": {name_of(task.generator)}"
        self._note(task.saga_id, f"started{by}{what}")

    def effect_yielded(self, task: SagaTask, effect: object) -> None:
        self._note(task.saga_id, f"yields {describe(effect)}")

    def effect_answered(self, task: SagaTask, effect: object, value: object) -> None:
        self._note(task.saga_id, f"gets {describe(value)}")

    def effect_failed(self, task: SagaTask, effect: object, error: BaseException) -> None:
        self._note(task.saga_id, f"gets thrown {describe(error)}")

    def saga_cancelled(self, task: SagaTask) -> None:
        self._note(task.saga_id, "is cancelled")

    def saga_ended(self, task: SagaTask) -> None:
        if task.error is None:
            self._note(task.saga_id, f"returned {describe(task.value)}")
        else:
            self._note(task.saga_id, f"ended with {describe(task.error)}")
