"""What effects promise, held in every order of things."""

from collections import Counter

import pytest

from milo_core import Action
from milo_effects import (
    ActionChannel,
    All,
    Call,
    Channel,
    Debounce,
    Delay,
    Limit,
    Put,
    Race,
    Select,
    Semaphore,
    Take,
    TakeEvery,
    TakeLatest,
    TakeLeading,
)
from milo_effects.testing import explore

SEEDS = range(300)


def journal(state, action):
    return (*state, (action.type, action.payload))


def payloads(store, kind):
    """What was dispatched of one type, in order."""
    return [payload for each, payload in store.state if each == kind]


def channel_messages_reach_one_saga_each(sim):
    """Takers come, time out and are cancelled: no message is lost or doubled."""
    sim.store()
    channel, put, got = Channel(name="work"), [], []

    def taker():
        while True:
            try:
                message = yield Take(channel, timeout=1)
            except TimeoutError:
                continue
            got.append(message)

    def feed():
        put.append(len(put))
        channel.put(put[-1])

    for _ in range(3):
        sim.cancel(sim.run_saga(taker))
    sim.later(*[feed] * 4)
    sim.later(*[feed] * 4)
    sim.run(20)
    assert Counter([*got, *channel.flush()]) == Counter(put)
    sim.shutdown()


def an_action_channel_keeps_the_order(sim):
    """One saga gets every action, in dispatch order, whatever it does between."""
    store, got = sim.store(journal, ()), []

    def saga():
        channel = yield ActionChannel("N")
        yield Put(Action("READY"))
        while True:
            got.append((yield Take(channel)).payload)
            yield Delay(1)

    def ready():
        yield Take("READY")
        for thread in "ab":
            sim.later(*[lambda n=n, t=thread: store.dispatch(Action("N", (t, n))) for n in (1, 2)])

    sim.run_saga(ready)
    sim.run(0)
    sim.run_saga(saga)
    sim.run()
    assert got == payloads(store, "N")
    assert len(got) == 4


def a_race_has_one_winner_and_ends_the_others(sim):
    """Whoever waits for ever is cancelled, and cleans up before the race is over."""
    store, cleaned = sim.store(journal, ()), []

    def loser(name):
        try:
            yield Take("NEVER")
        finally:
            yield Delay(1)
            cleaned.append(name)

    def saga():
        winner = yield Race({"a": loser("a"), "won": Delay(1), "b": loser("b"), "go": Take("GO")})
        return next(iter(winner)), len(cleaned)

    task = sim.run_saga(saga)
    sim.dispatch(Action("GO"), at=1)
    winner, count = task.result()
    assert winner in ("won", "go")
    assert count == len(cleaned)
    assert store.runtime.takers.waiting() == 0


def the_first_error_ends_all(sim):
    """The error comes when the others have ended."""
    store, ended = sim.store(), []

    def patient():
        try:
            yield Take("NEVER")
        finally:
            ended.append("patient")

    def failing():
        yield Delay(1)
        raise LookupError("first")

    def saga():
        try:
            yield All((patient(), failing(), Delay(1), patient()))
        except LookupError:
            return len(ended)

    assert sim.run_saga(saga).result() == len(ended) <= 2
    assert store.runtime.takers.waiting() == 0


def only_the_latest_comes_to_its_end(sim):
    """Each action ends the saga of the one before, and the last one's is done."""
    store, done = sim.store(journal, ()), []

    def handle(action):
        yield Delay(1)
        done.append(action.payload)

    def watch():
        yield TakeLatest("N", handle)

    sim.run_saga(watch)
    sim.run(0)
    for n in range(3):
        sim.dispatch(Action("N", n), at=sim.random.choice((None, 0, 1)))
    sim.run()
    assert done[-1] == payloads(store, "N")[-1]
    assert len(set(done)) == len(done)


def latest_by_key_leaves_others_alone(sim):
    """Of each key the last one's saga is done, and its key is forgotten when it has ended."""
    store, done = sim.store(journal, ()), {}

    def handle(action):
        yield Delay(1)
        key, n = action.payload
        done[key] = n

    def watch():
        yield TakeLatest("N", handle, key=lambda action: action.payload[0])

    sim.run_saga(watch)
    sim.run(0)
    for key in "ab":
        for n in range(3):
            sim.dispatch(Action("N", (key, n)), at=sim.random.choice((None, 0, 1)))
    sim.run()
    assert done == dict(payloads(store, "N"))


def leading_runs_one_at_a_time(sim):
    """No saga starts while one runs, its cleanup included."""
    store, running, most = sim.store(journal, ()), [0], []

    def handle(action):
        running[0] += 1
        most.append(running[0])
        yield Delay(1)
        running[0] -= 1

    def watch():
        yield TakeLeading("N", handle)

    sim.run_saga(watch)
    sim.run(0)
    for n in range(5):
        sim.dispatch(Action("N", n), at=sim.random.choice((None, 0, 1, 2)))
    sim.run()
    assert set(most) == {1}
    assert len(most) <= len(payloads(store, "N"))


def places_are_never_overfull(sim):
    """At most so many run at once, none is left out, and every place is given back."""
    sim.store()
    places, running, done = Semaphore(2), [0], []

    def work(n):
        try:
            running[0] += 1
            assert running[0] <= 2, "too many at once"
            yield Delay(1)
            done.append(n)
        finally:
            running[0] -= 1

    def saga(n):
        yield Limit(places, work(n))

    tasks = [sim.run_saga(saga(n)) for n in range(5)]
    sim.cancel(tasks[0])
    sim.cancel(tasks[3], at=1)
    sim.run()
    assert {1, 2, 4} <= set(done)
    assert (places.free, places.waiting, running[0]) == (2, 0, 0)
    for task in tasks[1:3]:
        task.result()


def a_debounced_saga_ends_with_its_saga(sim):
    """It starts once, and not at all if the saga that asked for it has ended."""
    sim.store()
    ran = []

    def late():
        ran.append(sim.now)
        yield Select()

    def saga():
        for _ in range(3):
            yield Debounce(1, late)
            yield Delay(0.5)
        yield Take("NEVER")

    task = sim.run_saga(saga)
    sim.cancel(task, at=1.5)
    sim.run()
    assert ran == []


def take_every_starts_in_order_on_one_worker(sim):
    """Sagas are queued as their actions are dispatched, from several threads."""
    store, seen = sim.store(journal, (), max_workers=1), []

    def handle(action):
        seen.append(action.payload)
        yield Call(int)

    def watch():
        yield TakeEvery("N", handle)

    sim.run_saga(watch)
    sim.run()
    for thread in "abc":
        sim.later(*[lambda n=n, t=thread: store.dispatch(Action("N", (t, n))) for n in range(4)])
    sim.run()
    assert sorted(seen) == sorted(payloads(store, "N"))
    assert len(seen) == 12


WORKLOADS = [
    channel_messages_reach_one_saga_each,
    an_action_channel_keeps_the_order,
    a_race_has_one_winner_and_ends_the_others,
    the_first_error_ends_all,
    only_the_latest_comes_to_its_end,
    latest_by_key_leaves_others_alone,
    leading_runs_one_at_a_time,
    places_are_never_overfull,
    a_debounced_saga_ends_with_its_saga,
    take_every_starts_in_order_on_one_worker,
]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.__name__)
def test_in_every_order(workload):
    """The workload's sentence is true for all seeds."""
    failure = explore(workload, SEEDS)
    assert failure is None, str(failure)
