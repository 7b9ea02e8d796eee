"""Supervise runs a saga anew when it fails."""

import asyncio
import dataclasses
import logging

import pytest

from milo_core import Action, StateError
from milo_effects import (
    Call,
    ChildCancelledError,
    Delay,
    Fork,
    Put,
    SagaCancelled,
    Supervise,
    Take,
    TakeEvery,
)
from milo_effects.effects._backoff import planned_wait


class Service:
    """A saga that fails so many times and then returns."""

    def __init__(self, failures, error=ValueError):
        self.failures = failures
        self.error = error
        self.runs = 0

    def __call__(self):
        self.runs += 1
        run = self.runs
        yield Delay(0)
        if run <= self.failures:
            raise self.error(f"failure {run}")
        return f"run {run}"


def one(effect):
    return (yield effect)


@pytest.mark.parametrize("failures", [0, 1, 5])
def test_it_is_restarted_until_it_returns(new_store, run, left, reports, failures):
    """What it returns is sent back; failures on the way are not dispatched."""
    store, service = new_store(max_workers=1), Service(failures)
    assert run(store, one(Supervise(service, base_delay=0.0))) == f"run {failures + 1}"
    assert service.runs == failures + 1
    assert reports(store) == []
    assert left(store) == {}


@pytest.mark.parametrize("max_restarts", [0, 1, 3])
def test_it_gives_up_with_the_last_error(new_store, run, left, max_restarts):
    """After ``max_restarts`` restarts that error is thrown, and a note says how many."""
    store, service = new_store(), Service(100)

    def saga():
        with pytest.raises(ValueError, match=f"failure {max_restarts + 1}") as caught:
            yield Supervise(service, max_restarts=max_restarts, base_delay=0.0)
        return caught.value.__notes__

    (note,) = run(store, saga())
    assert note.startswith("Supervise gave up on <")
    assert note.endswith(f"after {max_restarts} restarts")
    assert service.runs == max_restarts + 1
    assert left(store) == {}


def test_the_note_names_the_function(new_store, run):
    """A saga function is told by its name."""

    def poll_sensor():
        yield Delay(0)
        raise ValueError("broken")

    def saga():
        with pytest.raises(ValueError, match="broken") as caught:
            yield Supervise(poll_sensor, max_restarts=0)
        return caught.value.__notes__

    assert run(new_store(), saga()) == ["Supervise gave up on poll_sensor after 0 restarts"]


def test_an_error_that_takes_no_note_is_thrown_all_the_same(new_store, run, caplog):
    """The note goes to the log then."""

    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        code: int

    def fail():
        yield Delay(0)
        raise FrozenError(7)

    def saga():
        try:
            yield Supervise(fail, max_restarts=0)
        except FrozenError as error:
            return error.code

    assert run(new_store(), saga()) == 7
    assert "gave up on fail after 0 restarts" in caplog.text


def test_each_restart_is_logged(new_store, run, caplog):
    """A warning with the error, the restart's number and the wait."""
    run(new_store(), one(Supervise(Service(2), base_delay=0.001, backoff="linear")))
    told = [each for each in caplog.records if each.name.endswith("_supervising")]
    assert [each.levelno for each in told] == [logging.WARNING] * 2
    assert [each.getMessage().partition(" failed; ")[2] for each in told] == [
        "restart 1 in 0.001 s",
        "restart 2 in 0.002 s",
    ]
    assert [str(each.exc_info[1]) for each in told] == ["failure 1", "failure 2"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exits_are_no_failures(new_store, ended, error):
    """What is no ``Exception`` goes to the saga at once."""
    service = Service(1, error)
    assert ended(new_store().run_saga(one(Supervise(service)))) is error
    assert service.runs == 1


def test_an_effect_can_be_supervised(new_store, run, gate):
    """It is carried out anew each time, an async call too."""
    calls = []

    async def flaky():
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("again")
        return "done"

    assert run(new_store(), one(Supervise(Call(flaky), base_delay=0.0))) == "done"
    assert len(calls) == 3


def test_the_waits_are_those_of_retry():
    """One arithmetic serves both."""
    effect = Supervise(print, base_delay=1.0, max_delay=5.0)
    assert [planned_wait(effect, failures) for failures in range(4)] == [1.0, 2.0, 4.0, 5.0]


def test_chance_comes_from_the_runtime(new_store, run):
    """Jitter multiplies the wait by what ``runtime.random`` says: here by nothing."""
    store, asked = new_store(), []
    run(store, one(Delay(0)))
    new_store.runtime(store).random.uniform = lambda least, most: asked.append((least, most)) or 0
    service = Service(2)
    run(store, one(Supervise(service, base_delay=3600.0, max_delay=7200.0, jitter=1)))
    assert asked == [(0, 2), (0, 2)]


# Deciding


def test_an_error_not_worth_a_restart_is_thrown_at_once(new_store, run):
    """``should_restart`` sees each error; at its first no, that error is thrown, unnoted."""
    service, seen = Service(10), []

    def should_restart(error):
        seen.append(str(error))
        return len(seen) < 2

    def saga():
        with pytest.raises(ValueError, match="failure 2") as caught:
            yield Supervise(service, base_delay=0.0, should_restart=should_restart)
        return getattr(caught.value, "__notes__", None)

    assert run(new_store(), saga()) is None
    assert seen == ["failure 1", "failure 2"]


def test_an_error_in_the_decision_is_thrown_with_the_first_as_context(new_store, run):
    """Neither of the two is lost."""

    def decide(error):
        raise LookupError("undecided")

    def saga():
        with pytest.raises(LookupError, match="undecided") as caught:
            yield Supervise(Service(9), should_restart=decide)
        return str(caught.value.__context__)

    assert run(new_store(), saga()) == "failure 1"


class Hours:
    """A clock that a test moves on, and whose timers are due at once."""

    def __init__(self, real):
        self.real = real
        self.time = 0.0
        self.waits = []

    def now(self):
        return self.time

    def call_later(self, seconds, callback):
        self.waits.append(seconds)
        return self.real.call_later(0, callback)

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.mark.parametrize(
    ("reset_after", "waits"),
    [(10.0, [1.0, 2.0, 1.0, 2.0]), (None, [1.0, 2.0, 4.0, 8.0]), (10.5, [1.0, 2.0, 4.0, 8.0])],
)
def test_a_long_run_resets_the_count(new_store, run, reset_after, waits):
    """After ``reset_after`` seconds without failing, restarts and waits begin anew."""
    store = new_store()
    run(store, one(Delay(0)))
    runtime = new_store.runtime(store)
    clock = runtime.clock = Hours(runtime.clock)
    lasts = iter([1.0, 1.0, 10.0, 1.0, 1.0])

    def service():
        clock.time += next(lasts)
        raise ValueError("again")
        yield

    def saga():
        limit = 2 if reset_after == 10.0 else 4
        with pytest.raises(ValueError, match="again"):
            yield Supervise(service, max_restarts=limit, reset_after=reset_after)
        return clock.waits

    assert run(store, saga()) == waits
    runtime.clock = clock.real


# Cancelling and what is attached


def test_cancelling_reaches_the_run(new_store, park, ended, left, seen, reports):
    """The run cleans up first, is not restarted, and one cancellation is reported."""
    store = new_store()

    def service():
        try:
            yield Take("NEVER")
        finally:
            yield Put(Action("CLEANED"))

    task = park(store, one(Supervise(service)))
    task.cancel()
    assert ended(task) is SagaCancelled
    assert seen(store, "CLEANED") == [None]
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


def test_a_backoff_can_be_cancelled(new_store, park, ended, left):
    """Cancellation cuts the wait short and nothing is run again."""
    store, service = new_store(), Service(10)
    task = park(store, one(Supervise(service, base_delay=3600.0, max_delay=3600.0)))
    while service.runs < 1 or store.pool_active:
        assert store.wait_idle(60)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert service.runs == 1
    assert left(store) == {}


def test_what_is_attached_to_a_failed_run_is_cancelled(new_store, run, all_ended, left, seen):
    """Before the next run there is a clean slate; what a good run leaves stays."""
    store, forked = new_store(max_workers=1), []

    def below():
        return (yield Take("GO")).payload

    def service():
        forked.append((yield Fork(below, attached=True)))
        if len(forked) < 3:
            raise ValueError("again")

    run(store, one(Supervise(service, base_delay=0.0)))
    store.dispatch(Action("GO", 5))
    all_ended(store)
    assert [each.was_cancelled() for each in forked] == [True, True, False]
    assert forked[-1].result(60) == 5


def test_a_watcher_is_not_doubled_by_a_restart(new_store, park, settle, seen):
    """An action is handled once, by the run of the day."""
    store = new_store()

    def handle(action):
        yield Put(Action("HANDLED", action.payload))

    def service():
        yield Fork(lambda: one(TakeEvery("WORK", handle)), attached=True)
        yield Take("CRASH")
        raise ValueError("crashed")

    park(store, one(Supervise(service, base_delay=0.0)))
    store.dispatch(Action("WORK", 1))
    settle(store)
    ready = len(new_store.runtime(store).runner.alive())
    store.dispatch(Action("CRASH"))
    while len(new_store.runtime(store).runner.alive()) != ready or waiting(new_store, store) != 2:
        settle(store)
    store.dispatch(Action("WORK", 2))
    settle(store)
    assert seen(store, "HANDLED") == [1, 2]


def waiting(new_store, store):
    return new_store.runtime(store).takers.waiting()


def test_a_run_that_somebody_cancels_has_failed(new_store, park, settle, hangs):
    """It is restarted like any other; only ``should_restart`` may see it differently."""
    store, decided = new_store(), []

    def service():
        return (yield Take("GO")).payload

    def decide(error):
        decided.append(type(error))
        return len(decided) < 2

    def saga():
        with pytest.raises(ChildCancelledError):
            yield Supervise(service, base_delay=0.0, should_restart=decide)
        return "went on"

    def current_run():
        return max(new_store.runtime(store).runner.alive(), key=lambda each: each._id)

    task = park(store, saga())
    first = current_run()
    first.cancel()
    while not (waiting(new_store, store) and current_run() is not first):
        settle(store)
    current_run().cancel()
    assert task.result(hangs) == "went on"
    assert decided == [ChildCancelledError] * 2


# Mistakes


def test_a_generator_is_refused_where_it_is_written():
    """It could run only once."""
    with pytest.raises(TypeError, match="Supervise takes a function that returns a saga"):
        Supervise(one(Delay(0)))


@pytest.mark.parametrize("saga", [5, None, "text"])
def test_what_is_neither_effect_nor_saga_is_refused(new_store, run, saga):
    """At the yield, and at once: no restart could help."""

    def supervisor():
        with pytest.raises(StateError, match="a saga is a generator"):
            yield Supervise(saga)
        return "went on"

    assert run(new_store(), supervisor()) == "went on"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_restarts": -1},
        {"max_restarts": 1.5},
        {"backoff": "cubic"},
        {"base_delay": -1},
        {"max_delay": -1},
        {"jitter": 2},
        {"reset_after": -1},
    ],
)
def test_an_impossible_policy_is_refused_where_it_is_written(wrong):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="Supervise"):
        Supervise(print, **wrong)


def test_a_decision_that_is_no_function_is_refused_where_it_is_written():
    """A class of errors in a tuple, as in ``except``, is a likely slip."""
    with pytest.raises(TypeError, match=r"Supervise\(should_restart=...\) takes a function"):
        Supervise(print, should_restart=(ValueError,))
