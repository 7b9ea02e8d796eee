"""Hooks: being told what happens to sagas, in the process in which it happens."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from milo_durable.events import NotifyEvent
from milo_durable.snapshot import SagaSnapshot

Told: TypeAlias = Awaitable[None] | None


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What a hook is told of a step: which one, of what saga, and what has come of it.

    ``saga`` is as it was stored with that, or as it was before when the step only begins.
    ``phase`` is ``"execute"`` or ``"compensate"``, and ``status`` as in the history:
    ``SUCCESS``, ``WAITING``, ``ERROR``, ``TIMEOUT``, and ``None`` when it begins. ``retry_at``
    is when a step that failed is tried again, ``None`` if it is not. ``skipped`` is a step
    whose output an operator gave.
    """

    saga: SagaSnapshot
    step_id: str
    step_name: str
    phase: str
    attempt: int
    status: str | None = None
    output: Any = None
    error: str | None = None
    retry_at: datetime | None = None
    skipped: bool = False


class SagaHooks:
    """Override what you want to hear of, async or plain, and give ``hooks=[YourHooks()]``.

    A hook is called on the event loop, after the commit that it tells of, by the process that
    made it: never for what was rolled back, and at most once, for a process that is killed
    between the commit and the hook tells nobody. What has to happen belongs into a step. The
    saga goes on when its hooks are done, so slow ones hold it up. What a hook raises is logged
    and changes nothing.

        class Pager(SagaHooks):
            async def saga_ended(self, saga: SagaSnapshot) -> None:
                if saga.status == SagaStatus.FAILED:
                    await page(f"{saga.saga_name} {saga.aggregation_id}: {saga.error}")

        orchestrator = SagaOrchestrator(OrderSagaState, session_maker, hooks=[Pager()])
    """

    def headers(self, saga_name: str, aggregation_id: str) -> Mapping[str, str]:
        """Texts to keep with a saga that is about to start, in its ``context["headers"]``.

        Whatever process drives the saga finds them there. Never async.
        """
        return {}

    def around_step(self, step: StepEvent) -> AbstractContextManager[object]:
        """A block that each run of a step is in, forward or back, with the hooks that tell of it.

        Context variables that are set at its beginning are seen by the step, on a thread too.
        Nothing is told in it if the worker has lost the saga meanwhile. Never async.
        """
        return nullcontext()

    def saga_started(self, saga: SagaSnapshot) -> Told:
        """A saga was started; its first step has not begun."""

    def saga_resumed(self, saga: SagaSnapshot) -> Told:
        """``resume`` or an operator has set it going, forward or back: ``saga.status`` says."""

    def saga_ended(self, saga: SagaSnapshot) -> Told:
        """It is COMPLETED, FAILED, COMPENSATED or TIMEOUT; an operator may revive some of them."""

    def event_accepted(self, saga: SagaSnapshot, event: NotifyEvent) -> Told:
        """An event was accepted, by ``notify`` or from the inbox; the step runs again."""

    def step_started(self, step: StepEvent) -> Told:
        """A step is about to be executed."""

    def step_succeeded(self, step: StepEvent) -> Told:
        """A step has returned ``step.output``, or was skipped."""

    def step_waiting(self, step: StepEvent) -> Told:
        """A step waits for an event; ``step.saga.awaiting`` says which."""

    def step_failed(self, step: StepEvent) -> Told:
        """A step raised, or took too long, or its event did not come in time."""

    def compensation_started(self, step: StepEvent) -> Told:
        """A step is about to be undone."""

    def compensation_succeeded(self, step: StepEvent) -> Told:
        """A step has been undone."""

    def compensation_failed(self, step: StepEvent) -> Told:
        """A step could not be undone."""
