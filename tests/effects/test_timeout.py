"""Timeout limits how long an effect or saga may take."""

import asyncio
import threading
import time

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    Delay,
    Fork,
    Limit,
    Put,
    Race,
    Retry,
    SagaCancelled,
    Semaphore,
    Supervise,
    Take,
    Timeout,
)


def one(effect):
    return (yield effect)


def quick():
    yield Delay(0)
    return "quick"


async def at_once():
    return "async"


@pytest.mark.parametrize(
    ("effect", "value"),
    [
        (Call(lambda: 7), 7),
        (Call(at_once), "async"),
        (Retry(lambda: 8, base_delay=0.0), 8),
        (Delay(0), None),
        (All((quick, quick)), ("quick", "quick")),
        (Race((quick, Delay(60))), "quick"),
        (Timeout(Call(int), 60), 0),
        (quick, "quick"),
        (All({"a": quick, "b": Timeout(quick, 50)}), {"a": "quick", "b": "quick"}),
        (All((Timeout(quick, 50),) * 5, limit=2), ("quick",) * 5),
        (Race({"a": Timeout(Take("NEVER"), 50), "b": quick}), {"b": "quick"}),
        (Limit(Semaphore(1), Timeout(quick, 50)), "quick"),
        (Supervise(quick), "quick"),
    ],
)
def test_what_ends_in_time_is_as_without_it(new_store, run, left, effect, value):
    """The result is sent back and no timer stays, whatever effect or saga it is."""
    store = new_store(max_workers=1)
    assert run(store, one(Timeout(effect, 60))) == value
    assert left(store) == {}


def test_a_generator_can_be_timed_too(new_store, run):
    """A saga that is a generator already runs like a function that makes one."""
    assert run(new_store(), one(Timeout(quick(), 60))) == "quick"


def forever():
    while True:
        yield Delay(0.001)


def broken():
    yield Delay(0)
    raise LookupError("broken")


async def sleeping():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "effect",
    [
        Take("NEVER"),
        Delay(60),
        Call(sleeping),
        All((Delay(60), Take("NEVER"))),
        Race((Delay(60), Take("NEVER"))),
        Retry(lambda: 1 / 0, base_delay=60.0, max_delay=60.0),
        Timeout(Delay(60), 50),
        Timeout(Timeout(Timeout(Take("NEVER"), 40), 50), 60),
        All({"a": Timeout(Delay(60), 50), "b": Race({"c": Timeout(forever, 50)})}),
        All((Delay(60), Take("NEVER"), forever), limit=1),
        Limit(Semaphore(1), Take("NEVER")),
        Supervise(forever),
        Supervise(broken, base_delay=60.0, max_delay=60.0),
        forever,
    ],
)
def test_what_takes_too_long_is_cancelled(new_store, run, all_ended, left, effect):
    """``TimeoutError`` is thrown at the yield, and nothing of the effect is left."""
    store = new_store(max_workers=1)

    def saga():
        with pytest.raises(TimeoutError, match=r"Effect timed out after 0\.01s"):
            yield Timeout(effect, 0.01)
        return "went on"

    assert run(store, saga()) == "went on"
    all_ended(store)
    assert left(store) == {}


def test_an_inner_limit_ends_its_side_alone(new_store, run, all_ended, left):
    """Of nested limits the one that passes throws where it stands; the others do not."""
    store = new_store(max_workers=1)

    def patient():
        with pytest.raises(TimeoutError, match=r"0\.01s"):
            yield Timeout(Take("NEVER"), 0.01)
        return (yield Delay(0))

    def saga():
        return (yield Timeout(All({"a": patient, "b": Timeout(quick, 60)}), 60))

    assert run(store, saga()) == {"a": None, "b": "quick"}
    all_ended(store)
    assert left(store) == {}


@pytest.mark.parametrize("around", [lambda each: All({"a": each}), lambda each: Race((each,))])
def test_an_inner_limit_can_decide_what_is_around_it(new_store, run, all_ended, left, around):
    """Its ``TimeoutError`` is an error like any other for ``All`` and ``Race``."""
    store = new_store(max_workers=1)

    def saga():
        with pytest.raises(TimeoutError, match=r"0\.01s"):
            yield Timeout(around(Timeout(Take("NEVER"), 0.01)), 60)
        return "went on"

    assert run(store, saga()) == "went on"
    all_ended(store)
    assert left(store) == {}


def test_a_saga_that_runs_out_of_time_cleans_up(new_store, run, all_ended, seen):
    """``SagaCancelled`` is thrown into it, and its cleanup may yield effects."""
    store = new_store()

    def slow():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0)
            yield Put(Action("CLEANED"))

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(slow, 0.01)

    run(store, saga())
    all_ended(store)
    assert seen(store, "CLEANED") == [None]


def test_the_effects_own_error_comes_through(new_store, run, left):
    """An error in time is thrown as it is."""
    store = new_store()

    def fail():
        raise LookupError("none")

    def saga():
        with pytest.raises(LookupError, match="none"):
            yield Timeout(Call(fail), 60)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize("effect", [5, None, "text"])
def test_what_is_neither_effect_nor_saga_is_refused(new_store, run, effect):
    """The error can be caught at the yield."""

    def saga():
        with pytest.raises(StateError, match="a saga is a generator"):
            yield Timeout(effect, 1)
        return "went on"

    assert run(new_store(), saga()) == "went on"


def test_a_function_that_makes_no_saga_is_named(new_store, run, left):
    """The error names the function that was given, not ours."""
    store = new_store()

    def no_saga():
        return 5

    def saga():
        with pytest.raises(StateError, match=r"no_saga is .* and gave 5"):
            yield Timeout(no_saga, 60)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1s", None])
def test_an_impossible_time_is_refused_where_it_is_written(seconds):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="seconds of 0 or more"):
        Timeout(Delay(0), seconds)


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_limit_without_an_end_is_no_limit(new_store, run, seconds):
    """A time no clock reaches never comes."""
    assert run(new_store(), one(Timeout(Call(int), seconds))) == 0


# A call that cannot be interrupted


@pytest.fixture
def block(gate):
    """``block()``: a call that blocks, with the events that tell of it and end it."""

    class Block:
        def __init__(self):
            self.begun, self.leave, self.left = gate(), gate(), gate()

        def __call__(self):
            self.begun.set()
            self.leave.pass_through()
            self.left.set()
            return "late"

    return Block


def expire(blocked):
    """Time out a call that has begun; on a slow machine the first may not come to that."""
    while not blocked.begun.is_set():
        with pytest.raises(TimeoutError):
            yield Timeout(Call(blocked), 0.01)


def workers(threads):
    return len([name for name in threads() if name.startswith("milo-worker-")])


def test_the_saga_goes_on_while_the_call_still_blocks(new_store, run, block, settle):
    """On a pool of one, the saga is told at its time, and other sagas run."""
    store, blocked = new_store(max_workers=1), block()

    def saga():
        yield from expire(blocked)
        return (yield Call(lambda: "went on"))

    assert run(store, saga()) == "went on"
    assert not blocked.left.is_set()
    for _ in range(3):
        assert run(store, one(Call(int))) == 0
    settle(store)
    assert store.pool_active == 0


def test_workers_are_replaced_and_their_number_returns(
    new_store, run, block, threads, hangs, settle
):
    """Each expired call keeps its thread until it ends; then there are ``max_workers`` again."""
    store = new_store(max_workers=2)
    blocks = [block() for _ in range(5)]

    def saga(blocked):
        yield from expire(blocked)
        return "went on"

    for each in blocks:
        assert run(store, saga(each)) == "went on"
    settle(store)
    assert 5 < workers(threads) <= 7
    stuck = [
        each
        for each in threading.enumerate()
        if each.name.startswith("milo-worker-") and each not in pool_of(new_store, store)
    ]
    assert len(stuck) == 5
    for each in blocks:
        each.leave.set()
    for thread in stuck:
        thread.join(hangs)
    assert 1 <= workers(threads) <= 2
    assert run(store, one(Call(int))) == 0


def pool_of(new_store, store):
    scheduler = new_store.runtime(store).runner.scheduler
    return {each._thread for each in scheduler._workers}


def test_a_late_result_is_dropped(new_store, block, hangs, all_ended, seen, reports):
    """The call's result reaches nobody, and nothing is reported."""
    store, blocked, waits = new_store(max_workers=2), block(), threading.Semaphore(0)

    def saga():
        while not blocked.begun.is_set():
            try:
                yield Put(Action("GOT", (yield Timeout(Call(blocked), 0.01))))
            except TimeoutError:
                yield Call(int)
        yield Call(waits.release)

    task = store.run_saga(saga())
    blocked.begun.pass_through()
    assert waits.acquire(timeout=hangs)
    task.result(hangs)
    blocked.leave.set()
    all_ended(store)
    assert seen(store, "GOT") == []
    assert reports(store) == []


def test_shutdown_does_not_wait_for_an_expired_call(new_store, run, block):
    """The store is down while the call still blocks."""
    store, blocked = new_store(max_workers=1), block()

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(Call(blocked), 0.01)

    run(store, saga())
    store.shutdown()
    assert not blocked.left.is_set()


def test_the_clock_starts_when_a_worker_takes_the_call(new_store, run, gate, hangs):
    """Waiting for a free worker does not count: a call that is quick itself is in time."""
    store, begun, leave = new_store(max_workers=1), gate(), gate()

    def block():
        begun.set()
        leave.pass_through()

    def first():
        yield Fork(one(Call(block)))
        begun_at = yield Timeout(Call(time.monotonic), 0.5)
        return begun_at

    task = store.run_saga(first())
    begun.pass_through()
    assert not gate().wait(0.6)
    leave.set()
    assert task.result(hangs) > 0


def test_a_call_deep_inside_is_set_aside_too(new_store, run, block):
    """The worker is given up wherever below the timeout its call runs."""
    store = new_store(max_workers=1)
    blocked = block()

    def inner():
        return (yield All((Retry(blocked, base_delay=0.0),)))

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(Race((inner, Take("NEVER"))), 0.01)
        return (yield Call(lambda: "went on"))

    assert run(store, saga()) == "went on"
    assert not blocked.left.is_set()


def test_both_limits_of_a_nested_timeout_may_pass(new_store, run, block, settle):
    """The inner error is thrown first; the worker is given up once."""
    store, blocked = new_store(max_workers=1), block()

    def inner():
        with pytest.raises(TimeoutError, match=r"0\.01s"):
            yield Timeout(Call(blocked), 0.01)
        yield Take("NEVER")

    def saga():
        with pytest.raises(TimeoutError, match=r"0\.05s"):
            yield Timeout(inner, 0.05)
        return (yield Call(lambda: "went on"))

    assert run(store, saga()) == "went on"
    settle(store)
    assert store.pool_active == 0


def test_cancelled_meanwhile_the_saga_waits_for_the_call_or_the_time(new_store, block, ended):
    """Cancellation lets the call finish first, but no longer than the timeout allows."""
    store, blocked = new_store(max_workers=1), block()
    task = store.run_saga(one(Timeout(Call(blocked), 0.2)))
    blocked.begun.pass_through()
    task.cancel()
    assert ended(task) is SagaCancelled
    assert not blocked.left.is_set()


def test_cancelled_before_the_time_has_begun_nothing_of_it_is_left(new_store, ended, gate, left):
    """On a pool of one, a saga that is cancelled as it yields its timeout: it never starts."""
    store, begun, told, started = new_store(max_workers=1), gate(), gate(), []

    def saga():
        begun.set()
        told.pass_through()
        yield Timeout(Call(started.append, (1,)), 60)

    task = store.run_saga(saga())
    begun.pass_through()
    task.cancel()
    told.set()
    assert ended(task) is SagaCancelled
    assert started == []
    assert left(store) == {}


def test_an_error_in_late_cleanup_is_reported(new_store, run, all_ended, reports):
    """What a saga raises after its time is dispatched, for its parent has gone on."""
    store = new_store()

    def slow():
        try:
            yield Take("NEVER")
        finally:
            raise ValueError("cleanup")

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(slow, 0.01)

    run(store, saga())
    all_ended(store)
    assert reports(store) == [("@@SAGA_ERROR", "ValueError")]


def test_end_and_expiry_at_the_same_time_are_one_of_the_two(new_store, run, frantic, all_ended):
    """Two hundred calls about as long as their limit: a result or an error, and no worker lost."""
    store = new_store(lambda state, action: state, None, max_workers=2)

    def saga():
        try:
            return (yield Timeout(Call(time.sleep, (0.001,)), 0.001))
        except TimeoutError:
            return "late"

    for task in [store.run_saga(saga()) for _ in range(200)]:
        assert task.result(60) in (None, "late")
    all_ended(store)
    assert run(store, one(Call(int))) == 0
