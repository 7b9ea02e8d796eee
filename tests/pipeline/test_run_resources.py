"""Resources: phases share a number of units, whatever else they may run beside."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_tools import Gate, nothing, phase, run

from milo_pipeline import DefinitionError, Phase, Pipeline
from milo_pipeline._ready import ReadyQueue


def test_phases_wait_for_units_and_others_go_ahead():
    """Two of ``a``, ``b`` share one unit; ``c`` needs none and runs beside either."""
    gate, order = Gate(), []

    def first():
        gate.pass_through()
        order.append("a")

    result, _ = run(
        phase("a", first, parallel=True, resources={"db": 1}),
        phase("b", lambda: order.append("b"), parallel=True, resources={"db": 1}),
        phase("c", gate.set, parallel=True),
        resources={"db": 1},
        max_workers=3,
    )
    assert result.ok
    assert order == ["a", "b"]


def test_as_many_run_at_once_as_there_are_units():
    """Three of six, never more."""
    together, most, lock = [0], [0], threading.Lock()
    barrier = threading.Barrier(3, timeout=60)

    def use():
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
        barrier.wait()
        with lock:
            together[0] -= 1

    phases = [phase(f"p{i}", use, parallel=True, resources={"gpu": 2}) for i in range(6)]
    result, _ = run(*phases, resources={"gpu": 6}, max_workers=6)
    assert result.ok
    assert most == [3]


def test_units_of_a_failed_phase_are_given_back():
    """``keep_going``: whoever waits for them still runs."""

    def fail():
        raise ValueError("no")

    result, _ = run(
        phase("a", fail, parallel=True, resources={"db": 1}),
        phase("b", nothing, parallel=True, resources={"db": 1}),
        resources={"db": 1},
        keep_going=True,
    )
    assert {each.name: each.status for each in result.state.phases} == {
        "a": "failed",
        "b": "completed",
    }


@given(st.data())
def test_units_are_never_overdrawn_and_nobody_starves(data):
    """Random needs, ends in random order: the queue runs dry, each phase once, in its turn."""
    budget = {"x": data.draw(st.integers(1, 3)), "y": data.draw(st.integers(1, 3))}
    count = data.draw(st.integers(1, 14))
    phases = [
        Phase(
            f"p{i:02}",
            nothing,
            parallel=data.draw(st.booleans()),
            resources={
                name: data.draw(st.integers(1, budget[name]))
                for name in data.draw(st.sets(st.sampled_from(["x", "y"])))
            },
        )
        for i in range(count)
    ]
    queue = ReadyQueue(Pipeline("p", *phases, resources=budget).plan, budget, {})
    running, started = set(), []
    while len(started) < count or running:
        index = queue.next(something_runs=bool(running))
        if index is None:
            ended = data.draw(st.sampled_from(sorted(running)))
            running.discard(ended)
            queue.give_back(ended)
            continue
        assert phases[index].parallel or not running
        running.add(index)
        started.append(index)
        for name, units in budget.items():
            assert sum(phases[i].resources.get(name, 0) for i in running) <= units
    assert sorted(started) == list(range(count))
    for name in budget:  # who needs the same most keeps the order
        users = [i for i in started if set(phases[i].resources) == {name}]
        if all(phases[i].parallel for i in range(count)) and not any(
            len(each.resources) == 2 for each in phases
        ):
            assert users == sorted(users)


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: Phase("a", nothing, resources=["db"]), "must be a mapping such as"),
        (lambda: Phase("a", nothing, resources={"db": -1}), "a whole number from 0, not -1"),
        (lambda: Phase("a", nothing, resources={"": 1}), "must be text and not empty"),
        (lambda: Pipeline("p", resources={"db": 0}), "a whole number from 1, not 0"),
        (
            lambda: Pipeline("p", Phase("a", nothing, resources={"db": 2}), resources={"db": 1}),
            "phase 'a': needs 2 of resource 'db', of which its pipeline has 1",
        ),
        (
            lambda: Pipeline("p", Phase("a", nothing, resources={"db": 1})),
            "of which its pipeline has 0; write Pipeline(..., resources={'db': 1})",
        ),
    ],
)
def test_needs_that_can_never_be_met_are_refused(define, message):
    """Where they are written."""
    with pytest.raises(DefinitionError) as refused:
        define()
    assert message in str(refused.value)
