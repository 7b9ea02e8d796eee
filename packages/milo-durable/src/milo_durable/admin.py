"""What operators call: looking, trying again, skipping, undoing, giving up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic
from uuid import UUID

from typing_extensions import TypeVar

from milo_durable import _work
from milo_durable._deciding.back import begin_compensation, is_undoing
from milo_durable._deciding.branch_calls import aborted_branches, run_again, run_all_again
from milo_durable._deciding.branch_deadlines import expired
from milo_durable._deciding.branch_outcomes import after_branch
from milo_durable._deciding.branches import focused
from milo_durable._deciding.choosing import chosen_step
from milo_durable._deciding.forward import after_execution
from milo_durable._deciding.outside import aborted, after_expiry, again, input_of_last_attempt
from milo_durable._deciding.transition import Moment, Succeeded, Transition
from milo_durable.definition import SagaDefinition
from milo_durable.engine import SagaEngine, read_id
from milo_durable.errors import SagaDataError, SagaStateError
from milo_durable.models import SagaStateMixin
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import TERMINAL, SagaStatus
from milo_durable.summary import SagaSummary, read_filter

# The default is for SagaAdmin(engine), which needs no annotation then.
Model = TypeVar("Model", bound=SagaStateMixin, default=SagaStateMixin)

RETRY: Final = "try its step again"
SKIP: Final = "skip its step"
EXPIRE: Final = "have its wait ended"
Decide = Callable[[SagaSnapshot, SagaDefinition, Moment], Transition]


class SagaAdmin(Generic[Model]):
    """Finding sagas, and operations on single ones, by id.

    Those raise ``SagaNotFoundError`` for an unknown one; what sets a saga going drives it until
    it ends or waits.
    """

    def __init__(self, engine: SagaEngine) -> None:
        self._engine = engine

    async def get_saga(self, saga_id: UUID) -> SagaSnapshot:
        """The saga as it stands; nothing is locked."""
        return await self._engine.get(read_id(saga_id))

    async def list_sagas(
        self,
        *,
        status: SagaStatus | Iterable[SagaStatus] | None = None,
        name: str | None = None,
        aggregation_id: str | None = None,
        id_prefix: str | None = None,
        limit: int = 100,
    ) -> list[SagaSummary]:
        """Up to ``limit`` sagas, those started last first; nothing is locked.

        Of each only what fits in a line is read, not its history. What is given has to fit:
        ``id_prefix`` is how the id begins, ``status`` may be several. An index has all sagas in
        this order, others those of a status and those with an id. ``name`` and the
        ``aggregation_id`` of sagas that have ended are looked for one row after the other.

            for saga in await admin.list_sagas(status=SagaStatus.FAILED, limit=20):
                print(saga.id, saga.saga_name, saga.error)

        Raises:
            SagaDefinitionError: an argument that cannot be meant.
        """
        asked = read_filter(status, name, aggregation_id, id_prefix, limit)
        async with self._engine.database.reading() as connection:
            return await self._engine.table.summaries(connection, asked)

    async def retry_step(self, saga_id: UUID, step_id: str | None = None) -> SagaSnapshot:
        """Run the current step again, now: of a suspended saga, or one in TIMEOUT or FAILED.

        Where several steps are in flight, ``step_id`` says which; of a FAILED saga all run
        that can, and ``step_id`` has to be one that failed.

        Raises:
            SagaStateError: it is in another status, or has been undone in part.
            ActiveSagaAlreadyExistsError: another saga of its aggregation is active.
        """

        def retry(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
            return _retry(saga, definition, step_id, moment)

        return await self._change_and_drive("admin.retry", saga_id, retry)

    async def skip_step(
        self, saga_id: UUID, mock_output: Any, step_id: str | None = None
    ) -> SagaSnapshot:
        """Go on as if the current step of a suspended saga had returned ``mock_output``.

        Where several steps are in flight, ``step_id`` says which.

        Raises:
            SagaStateError: it is not suspended.
            SagaDataError: the step's model does not take the output, or the step was not tried
                yet and its ``input_map`` fails.
        """

        def skip(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
            chosen = chosen_step(saga, definition, step_id, (SagaStatus.SUSPENDED,), SKIP)
            view = focused(saga, definition, chosen) if saga.branches else saga
            step = definition.steps[view.current_step_index]
            output = Succeeded(step.types.output_to_json(mock_output), skipped=True)
            given = _what_it_is_undone_with(view, definition)
            if saga.branches:
                return after_branch(saga, definition, chosen, output, given, moment)
            return after_execution(saga, definition, output, given, moment)

        return await self._change_and_drive("admin.skip", saga_id, skip)

    async def compensate_step(self, saga_id: UUID) -> SagaSnapshot:
        """Begin to undo what was completed, or go on with it after a failure.

        Raises:
            SagaStateError: its status does not allow it, or there is nothing to undo.
            ActiveSagaAlreadyExistsError: another saga of its aggregation is active.
        """
        return await self._change_and_drive("admin.compensate", saga_id, _compensate)

    async def expire(self, saga_id: UUID, step_id: str | None = None) -> SagaSnapshot:
        """End the wait for an event now, as if its time had passed.

        What follows is what the step's ``on_timeout`` says, ``TIMEOUT`` by default. Where
        several steps are in flight, ``step_id`` says which.

        Raises:
            SagaStateError: it does not wait for an event.
        """

        def expire(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
            return _expire(saga, definition, step_id, moment)

        return await self._change_and_drive("admin.expire", saga_id, expire)

    async def abort(self, saga_id: UUID) -> SagaSnapshot:
        """End the saga where it is: FAILED, with the error ``aborted``. Nothing is undone.

        Raises:
            SagaStateError: it has ended already.
        """
        return await self._change_and_drive("admin.abort", saga_id, _abort)

    async def _change_and_drive(self, commit: str, saga_id: UUID, decide: Decide) -> SagaSnapshot:
        engine = self._engine

        def decided(saga: SagaSnapshot) -> Transition:
            return decide(saga, engine.definitions.of(saga), engine.moment())

        saga, following = await engine.change(commit, read_id(saga_id), decided)
        if not following:
            return saga
        await engine.drive(following)
        return await engine.get(saga.id)


def _retry(
    saga: SagaSnapshot, definition: SagaDefinition, step_id: str | None, moment: Moment
) -> Transition:
    waiting = (SagaStatus.SUSPENDED, SagaStatus.TIMEOUT)
    if saga.branches and saga.status == SagaStatus.FAILED:
        if step_id is not None:
            chosen_step(saga, definition, step_id, (SagaStatus.FAILED,), RETRY)
        return run_all_again(saga, definition, moment)
    if saga.branches:
        chosen = chosen_step(saga, definition, step_id, waiting, RETRY)
        return run_again(saga, definition, chosen, moment)
    chosen_step(saga, definition, step_id, (*waiting, SagaStatus.FAILED), RETRY)
    if is_undoing(saga, definition):
        hint = "it was being undone; start another, or go on with compensate_step"
        raise SagaStateError(saga.id, saga.status, RETRY, hint)
    return again(saga, definition, moment)


def _compensate(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    allowed = (
        *(SagaStatus.SUSPENDED, SagaStatus.FAILED, SagaStatus.TIMEOUT),
        *(SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED),
    )
    _refuse_unless(saga, allowed, "be undone")
    undoing = begin_compensation(saga, definition, moment)
    if undoing is None:
        hint = "no step of it has been completed; abort it instead"
        raise SagaStateError(saga.id, saga.status, "be undone", hint)
    return undoing


def _expire(
    saga: SagaSnapshot, definition: SagaDefinition, step_id: str | None, moment: Moment
) -> Transition:
    chosen = chosen_step(saga, definition, step_id, (SagaStatus.SUSPENDED,), EXPIRE)
    view = focused(saga, definition, chosen) if saga.branches else saga
    if view.awaiting is None:
        hint = "that is for suspended sagas that wait for an event"
        raise SagaStateError(saga.id, saga.status, EXPIRE, hint)
    if saga.branches:
        return expired(saga, definition, chosen, moment)
    return after_expiry(saga, definition, moment)


def _abort(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    if saga.status in TERMINAL:
        raise SagaStateError(saga.id, saga.status, "be aborted", "it has ended")
    if saga.branches:
        return aborted_branches(saga, definition, moment)
    return aborted(saga, moment)


def _what_it_is_undone_with(saga: SagaSnapshot, definition: SagaDefinition) -> Any:
    """What the current step was given last, or would be given now if it was not tried yet."""
    step = definition.steps[saga.current_step_index]
    given = input_of_last_attempt(saga, step.step_id)
    if given is not None:
        return given
    try:
        return _work.given_now(saga, definition)[1]
    except Exception as cause:  # the input_map's, or a value it should not have made
        raise SagaDataError(
            f"{step.step_id} of saga {saga.id} cannot be skipped: it was not tried yet, and its "
            f"input_map fails, so it could not be undone later ({_work.told(cause)}); abort the "
            "saga instead"
        ) from cause


def _refuse_unless(saga: SagaSnapshot, allowed: tuple[SagaStatus, ...], asked: str) -> None:
    if saga.status not in allowed:
        hint = f"that is for sagas in {', '.join(allowed)}"
        raise SagaStateError(saga.id, saga.status, asked, hint)
