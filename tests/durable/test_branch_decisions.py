"""The decisions about branches, driven through random graphs by random workers that may die."""

from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_tools import START, Plain, Step

from milo_durable import FixedRetry, NotifyEvent, SagaBuilder, SagaSnapshot, SagaStatus
from milo_durable._deciding.back import after_compensation
from milo_durable._deciding.branch_calls import accept
from milo_durable._deciding.branch_deadlines import due
from milo_durable._deciding.branch_outcomes import after_branch, begun
from milo_durable._deciding.branches import focused, is_held, step_in_view
from milo_durable._deciding.transition import Failed, Moment, Succeeded, Waits
from milo_durable.events import StepAwaitEvent
from milo_durable.status import ACTIVE, WORKING

LEASE, GRACE = timedelta(minutes=5), timedelta(seconds=5)


@st.composite
def graphs(draw):
    """What each step depends on, how it fares at its attempts, and whether it can be undone."""
    steps = []
    for index in range(draw(st.integers(2, 7))):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        fares = draw(st.sampled_from(["well", "well", "well", "late", "badly", "waits"]))
        steps.append((sorted(needs), fares, draw(st.booleans())))
    return steps


class World:
    """One saga in a row, workers with views of it, and the time."""

    def __init__(self, steps, compensate_on_failure):
        self.steps = steps
        builder, refs = SagaBuilder(), []
        for needs, fares, undoes in steps:
            refs.append(
                builder.add_step(
                    step=Step("s", []) if undoes else Plain(),
                    input_map=lambda *outputs: outputs[0],
                    depends_on=[refs[need] for need in needs],
                    retry_policy=FixedRetry(1 if fares == "late" else 0, LEASE),
                )
            )
        self.definition = builder.build(compensate_on_failure=compensate_on_failure)
        self.now, self.views, self.begun_steps = START, [], []
        blank = dict.fromkeys(SagaSnapshot.__dataclass_fields__)
        blank |= {"id": uuid4(), "context": {}, "step_history": (), "branches": {}}
        blank |= {"status": SagaStatus.RUNNING, "current_step_index": 0, "retry_count": 0}
        self.saga = SagaSnapshot(**blank)
        self.carry_out(begun(self.saga, self.definition, self.moment()))

    def moment(self):
        return Moment(self.now, uuid4(), LEASE, GRACE)

    def carry_out(self, transition):
        """What the table and the engine do with a transition."""
        self.saga = transition.after
        if transition.entry is not None:
            history = (*self.saga.step_history, transition.entry)
            self.saga = SagaSnapshot(
                **{
                    **{name: getattr(self.saga, name) for name in SagaSnapshot.__slots__},
                    "step_history": history,
                }
            )
        self.begun_steps += transition.started
        self.views += [focused(self.saga, self.definition, each) for each in transition.started]
        self.check()

    def check(self):
        """What holds in every state."""
        saga, done = self.saga, set(self.saga.outputs)
        for step_id, branch in saga.branches.items():
            assert step_id not in done
            assert {f"step_{need}" for need in self.steps[int(step_id[5:])][0]} <= done
            assert branch.deadline_at is not None or branch.status != SagaStatus.RUNNING
        if saga.status == SagaStatus.RUNNING:
            assert saga.deadline_at is not None
        assert len({each.token for each in saga.branches.values()}) == len(saga.branches)
        assert (saga.status in ACTIVE) == (
            saga.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED)
            or any(each.status in ACTIVE for each in saga.branches.values())
        )

    # What may happen

    def finish(self, view):
        """A worker comes back from a step."""
        self.views.remove(view)
        step_id = step_in_view(view, self.definition)
        if not is_held(self.saga, step_id, view.step_execution_token):
            return
        fares = self.steps[view.current_step_index][1]
        attempt = self.begun_steps.count(step_id)
        outcome = Succeeded({"word": step_id})
        if fares == "badly" or (fares == "late" and view.retry_count == 0):
            outcome = Failed("refused")
        elif fares == "waits" and not self.saga.context.get("events"):
            outcome = Waits(StepAwaitEvent())
        elif fares == "waits" and attempt == 1:
            outcome = Waits(StepAwaitEvent(["never", "come"]))
        self.carry_out(
            after_branch(self.saga, self.definition, step_id, outcome, None, self.moment())
        )

    def die(self, view):
        """A worker never comes back."""
        self.views.remove(view)

    def later(self, view=None):
        """The next deadline passes."""
        if self.saga.deadline_at is not None:
            self.now = max(self.now, self.saga.deadline_at)
        while transition := due(self.saga, self.definition, self.moment()):
            self.carry_out(transition)

    def tell(self, token):
        """An event comes, for a branch or for whichever takes it."""
        event = NotifyEvent({}, event_id=str(uuid4()), event_type="come")
        _, transition = accept(self.saga, lambda _: self.definition, token, event, self.moment())
        if transition is not None:
            self.carry_out(transition)


def undone_in(world):
    """The steps that are undone from here on, in order."""
    while world.saga.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED):
        saga, definition = world.saga, world.definition
        yield saga.current_step_index
        undone = Succeeded(None)
        world.carry_out(after_compensation(saga, definition, undone, None, world.moment()))


@settings(max_examples=150, deadline=None)
@given(graphs(), st.booleans(), st.data())
def test_every_graph_comes_to_an_end_in_order(steps, compensate_on_failure, data):
    """Whatever dies, each step that has completed did so once, and after what it depends on."""
    world = World(steps, compensate_on_failure)
    if world.definition.is_chain:
        return
    for _ in range(200):
        if world.saga.status not in ACTIVE or world.saga.status in WORKING[1:]:
            break
        does = [(world.finish, view) for view in world.views]
        if len(world.begun_steps) < 30:  # enough has died by then
            does += [(world.die, view) for view in world.views]
        does += [(world.tell, each.token) for each in world.saga.branches.values()]
        does += [(world.tell, None), (world.later, None)]
        act, on_what = data.draw(st.sampled_from(does))
        act(on_what)
    else:
        while world.saga.status in ACTIVE and world.saga.status not in WORKING[1:]:
            for view in list(world.views):
                world.finish(view)
            world.tell(None)
            world.later()
    _check_end(world)


def _check_end(world):
    saga, definition = world.saga, world.definition
    successes = [
        int(entry["step_id"][5:]) for entry in saga.step_history if entry["status"] == "SUCCESS"
    ]
    assert len(successes) == len(set(successes)) == len(saga.outputs)
    for place, index in enumerate(successes):
        assert set(world.steps[index][0]) <= set(successes[:place])
    has_failed = any(entry["status"] == "ERROR" for entry in saga.step_history)
    if saga.status == SagaStatus.COMPLETED:
        assert len(successes) == len(world.steps) and not saga.branches
        return
    assert has_failed
    if saga.status == SagaStatus.FAILED:
        assert not (definition.compensate_on_failure and successes)
        assert [each.status for each in saga.branches.values()] == [SagaStatus.FAILED]
        return
    undone = list(undone_in(world))
    assert world.saga.status == SagaStatus.COMPENSATED
    assert undone == sorted((i for i in successes if world.steps[i][2]), reverse=True)
    assert isinstance(world.saga.step_execution_token, UUID) and world.saga.error
