"""Which of the steps in flight a call from outside means."""

from __future__ import annotations

from collections.abc import Sequence

from milo_durable._deciding.branches import step_in_view
from milo_durable.definition import SagaDefinition
from milo_durable.errors import SagaStateError
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus


def chosen_step(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str | None,
    allowed: Sequence[SagaStatus],
    asked: str,
) -> str:
    """The id of the step that is meant: ``step_id``, or the only one in an allowed status.

    Raises:
        SagaStateError: there is no such step in flight, or several.
        SagaDefinitionError: the saga has no step ``step_id``.
    """
    if step_id is not None:
        definition.index_of(step_id)
    branches = saga.branches
    if not branches:
        current = step_in_view(saga, definition)
        branches = {current: Branch(saga.status, saga.step_execution_token)}
    fitting = [each for each in sorted(branches) if branches[each].status in allowed]
    if step_id is None and len(fitting) == 1:
        return fitting[0]
    if step_id is None and fitting:
        hint = f"say which step is meant: step_id= (or --step) one of {', '.join(fitting)}"
        raise SagaStateError(saga.id, saga.status, asked, hint)
    if step_id is None:
        hint = f"that is for {'steps' if saga.branches else 'sagas'} in {', '.join(allowed)}"
        raise SagaStateError(saga.id, saga.status, asked, hint)
    if step_id in fitting:
        return step_id
    stand = ", ".join(f"{each} is {branch.status}" for each, branch in sorted(branches.items()))
    hint = f"step {step_id} is not in {' or '.join(allowed)}; of those in flight, {stand}"
    raise SagaStateError(saga.id, saga.status, asked, hint)
