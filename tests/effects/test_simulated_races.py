"""The simulator finds races: some put into the runner, some in the code of its users."""

import pytest

from milo_core import Action
from milo_effects import Delay, Fork, Join, Put, Race, SagaTask, Select, Take
from milo_effects._runner import Runner
from milo_effects.handlers._waiting import _Taking
from milo_effects.task import TaskState
from milo_effects.testing import Failure, explore, simulate


def set_count(state, action):
    return action.payload if action.type == "SET" else state


def ask_and_take(sim):
    """One saga asks, another answers; each answer is waited for."""
    sim.store()

    def server():
        while True:
            yield Take("ASK")
            yield Put(Action("ANSWER"))

    def client():
        for _ in range(3):
            yield Put(Action("ASK"))
            yield Take("ANSWER")

    sim.run_saga(server)
    sim.run()
    asking = sim.run_saga(client)
    sim.run()
    assert asking.done(), f"an answer is lost: {sim.stuck()}"


def cancel_whenever(sim):
    """A saga that would wait for ever is cancelled at some time."""
    sim.store()

    def patient():
        yield Take("NEVER")

    task = sim.run_saga(patient)
    sim.cancel(task)
    sim.run()
    assert task.done(), "it waits on"


def late_answer(sim):
    """An action comes before the end of its time, or behind it."""
    sim.store()

    def taker():
        try:
            yield Take("GO", timeout=1)
        except TimeoutError:
            yield Delay(1)

    def several():
        yield Join(((yield Fork(taker)), (yield Fork(taker)), (yield Fork(taker))))

    task = sim.run_saga(several)
    sim.dispatch(Action("GO"))
    task.result()
    assert sim.stores[0].runtime.takers.waiting() == 0, "somebody still waits"


@pytest.mark.parametrize("workload", [ask_and_take, cancel_whenever, late_answer])
def test_the_runner_holds_what_it_promises(workload):
    """No order of things loses a reply or a cancellation, or leaves a taker behind."""
    assert explore(workload) is None


def test_a_runner_that_loses_replies_is_found(monkeypatch):
    """Without its rule about replies the runner fails within 1,000 seeds, and again on replay."""
    forgetful = property(lambda task: None, lambda task, node: None)
    monkeypatch.setattr(SagaTask, "since", forgetful)
    failure = explore(ask_and_take, range(1000))
    assert failure is not None
    with pytest.raises(AssertionError, match="an answer is lost"):
        simulate(ask_and_take, seed=failure.seed)


def test_a_runner_that_misses_cancellations_in_a_turn_is_found(monkeypatch):
    """Other threads also get ahead in the midst of a saga's turn, and as a wait begins."""
    request = Runner.request_cancel

    def deaf(runner, task):
        if task.state != TaskState.RUNNING:
            request(runner, task)

    monkeypatch.setattr(Runner, "request_cancel", deaf)
    failure = explore(cancel_whenever)
    assert failure is not None
    assert "it waits on" in str(failure)


def test_a_timeout_that_leaves_its_taker_behind_is_found(monkeypatch):
    """What comes at any time comes too late with some seeds."""
    monkeypatch.setattr(_Taking, "_leave", lambda wait: None)
    failure = explore(late_answer)
    assert failure is not None
    assert "somebody still waits" in str(failure)


def lost_update(sim):
    """Two sagas read a number and put one more: each should count."""
    store = sim.store(set_count, 0)

    def increment():
        count = yield Select()
        yield Put(Action("SET", count + 1))

    for _ in range(2):
        sim.run_saga(increment)
    sim.run()
    assert store.state == 2


def late_winner(sim):
    """Whoever believes that of two equal delays the first one always wins."""
    sim.store()

    def racer():
        winner = yield Race({"first": Delay(1), "second": Delay(1)})
        return list(winner)

    assert sim.run_saga(racer).result() == ["first"]


def order_of_threads(sim):
    """Whoever believes that one thread's actions come before another's."""
    store = sim.store(lambda state, action: (*state, action.payload), ())
    sim.dispatch(Action("SET", 1))
    sim.dispatch(Action("SET", 2))
    sim.run()
    assert store.state[1:] == (1, 2)


@pytest.mark.parametrize("workload", [lost_update, late_winner, order_of_threads])
def test_a_race_in_user_code_is_found_and_replayed(workload):
    """A failing seed fails again, with the same trace, and says how."""
    failure = explore(workload)
    assert isinstance(failure, Failure)
    assert f"replay with seed={failure.seed}" in str(failure)
    with pytest.raises(AssertionError) as caught:
        simulate(workload, seed=failure.seed)
    assert f"replay with seed={failure.seed}" in caught.value.__notes__[0]
    again = explore(workload, [failure.seed])
    assert again.trace == failure.trace
    assert again.trace


@pytest.mark.parametrize("workload", [lost_update, late_winner, order_of_threads])
def test_without_a_seed_first_come_is_first_served(workload):
    """seed=None leaves nothing to chance, and so finds no race."""
    simulate(workload, seed=None)
