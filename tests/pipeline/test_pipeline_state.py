"""States as values: immutable, comparable, copyable, put together when they are read."""

import copy
import dataclasses
import pickle

import pytest

from milo_pipeline import Phase, PhaseLog, PhaseStatus, Pipeline, PipelineState, actions


def run_so_far():
    """A state made by the reducer, with nothing read from it yet."""
    phases = (Phase(name, print, parallel=True, max_logs=40) for name in "abc")
    reducer, state = Pipeline("p", *phases).build_reducer(), None
    for action in (
        actions.pipeline_start(1.0),
        *(actions.phase_start(name, 1, 2.0) for name in "abc"),
        *(actions.phase_log("b", str(n), "stdout", 3.0) for n in range(50)),
        actions.phase_complete("b", None, 4.0),
    ):
        state = reducer(state, action)
    return state


def by_hand(state):
    """The same state through the published constructors."""
    phases = tuple(
        PhaseStatus(
            *(p.name, p.status, p.started_at, p.elapsed, p.error, p.attempt, p.logs),
            items=p.items,
            logs_dropped=p.logs_dropped,
            source=p.source,
        )
        for p in state.phases
    )
    return PipelineState(
        state.name,
        phases,
        state.current_phase,
        state.started_at,
        state.elapsed,
        state.progress,
        state.status,
        error=state.error,
    )


def test_states_are_equal_by_their_published_fields():
    """Made by the reducer or by hand: equal fields are equal states with equal hashes and reprs."""
    state = run_so_far()
    same = by_hand(run_so_far())
    assert state == same
    assert hash(state) == hash(same)
    assert repr(state) == repr(same)
    assert state != dataclasses.replace(same, error="no disk")


def pickled(state):
    return pickle.loads(pickle.dumps(state))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_states_can_be_copied_and_pickled(again):
    """A copy is equal and goes on the same way: which phase began last is not lost."""
    state = run_so_far()
    copied = again(state)
    assert copied == state
    reducer = Pipeline("p", *(Phase(name, print) for name in "abc")).build_reducer()
    ending = actions.phase_complete("c", None, 5.0)
    assert reducer(copied, ending) == reducer(state, ending)
    assert reducer(copied, ending).current_phase == "a"


def test_states_can_be_replaced():
    """``dataclasses.replace`` works on both, and the reducer takes the new state up."""
    state = run_so_far()
    b = dataclasses.replace(state.phases[1], error="seen")
    changed = dataclasses.replace(state, phases=(state.phases[0], b, state.phases[2]))
    assert changed.phases[1].error == "seen"
    assert len(changed.phases[1].logs) == 40
    reducer = Pipeline("p", *(Phase(name, print) for name in "abc")).build_reducer()
    later = reducer(changed, actions.phase_complete("a", None, 5.0))
    assert (later.phases[1], later.progress) == (b, 2 / 3)


@pytest.mark.parametrize("make", [run_so_far, lambda: PipelineState("p", (PhaseStatus("a"),))])
def test_states_cannot_be_changed(make):
    """Assigning to any field, or to a new one, is refused."""
    state = make()
    for target, field in ((state, "status"), (state, "phases"), (state.phases[0], "logs")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(target, field, ())
    with pytest.raises((AttributeError, TypeError)):
        state.colour = "blue"


def test_phases_and_logs_are_put_together_once():
    """Reading ``phases`` and ``logs`` twice gives the same tuples."""
    state = run_so_far()
    assert isinstance(state.phases, tuple)
    assert state.phases is state.phases
    assert isinstance(state.phases[1].logs, tuple)
    assert state.phases[1].logs is state.phases[1].logs
    assert [log.line for log in state.phases[1].logs] == [str(n) for n in range(10, 50)]


def test_an_unknown_attribute_is_an_attribute_error():
    """A misspelled attribute names itself and its class."""
    with pytest.raises(AttributeError, match="PipelineState has no attribute 'phase'"):
        _ = run_so_far().phase
    with pytest.raises(AttributeError, match="PhaseStatus has no attribute 'log'"):
        _ = run_so_far().phases[0].log


def test_any_iterable_of_phases_and_logs_is_taken():
    """Lists given to the constructors become tuples, so that states stay hashable."""
    status = PhaseStatus("a", logs=[PhaseLog("line")])
    state = PipelineState("p", [status])
    assert state.phases == (PhaseStatus("a", logs=(PhaseLog("line"),)),)
    assert isinstance(hash(state), int)


def test_plain_data_comes_out_of_a_state():
    """``dataclasses.asdict`` shows the published fields and nothing else."""
    data = dataclasses.asdict(run_so_far())
    published = "name phases current_phase started_at elapsed progress status error"
    assert list(data) == published.split()
    assert data["phases"][1]["logs"][0] == {"line": "10", "stream": "stdout", "timestamp": 3.0}
