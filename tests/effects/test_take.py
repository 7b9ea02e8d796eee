"""Take waits for an action."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import All, Call, Delay, Put, Race, SagaCancelled, Select, Take, Timeout


def test_the_action_is_sent_back(new_store, park, hangs):
    """A waiting saga is resumed with the very action that came."""
    store = new_store()

    def saga():
        return (yield Take("GO"))

    task = park(store, saga())
    go = Action("GO", [1])
    store.dispatch(Action("OTHER"))
    assert not task.done()
    store.dispatch(go)
    assert task.result(hangs) is go


def test_only_future_actions_count(new_store, park, hangs):
    """What was dispatched before the ``Take`` does not end the wait."""
    store = new_store()

    def saga():
        return (yield Take("GO")).payload

    store.dispatch(Action("GO", "early"))
    task = park(store, saga())
    assert not task.done()
    store.dispatch(Action("GO", "in time"))
    assert task.result(hangs) == "in time"


def test_everybody_who_waits_gets_the_action(new_store, park, settle, hangs):
    """One action resumes all sagas that wait for its type, each once."""
    store = new_store()

    def saga():
        return (yield Take("GO"))

    tasks = [park(store, saga()) for _ in range(20)]
    store.dispatch(Action("GO", 1))
    store.dispatch(Action("GO", 2))
    assert [task.result(hangs).payload for task in tasks] == [1] * 20


def test_the_state_already_holds_the_action(new_store, park, hangs):
    """A saga that is resumed reads the state its action has led to."""
    store = new_store()

    def saga():
        action = yield Take("GO")
        return action in (yield Select())

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert task.result(hangs)


# No lost reply


def test_a_reply_given_by_a_listener_is_seen(new_store, run):
    """What a listener dispatches on the ``Put`` comes before the ``Take`` and is not lost."""
    store = new_store()

    def answer():
        if store.state[-1].type == "ASK":
            store.dispatch(Action("REPLY", store.state[-1].payload))

    store.subscribe(answer)

    def saga():
        yield Put(Action("ASK", 7))
        return (yield Take("REPLY")).payload

    assert run(store, saga()) == 7


def test_replies_are_seen_in_their_order(new_store, run):
    """Of several replies the first is taken; the next ``Take`` looks from then on only."""
    store = new_store()

    def answer():
        if store.state[-1].type == "ASK":
            for n in (1, 2):
                store.dispatch(Action("REPLY", n))

    store.subscribe(answer)

    def saga():
        yield Put(Action("ASK"))
        first = yield Take("REPLY")
        with pytest.raises(TimeoutError):
            yield Take("REPLY", timeout=0.01)
        return first.payload

    assert run(store, saga()) == 1


@pytest.mark.parametrize("ask", ["REPLY", "ASK"])
def test_actions_before_the_put_and_its_own_are_not_seen(new_store, run, ask):
    """The ``Take`` neither finds the saga's own action nor an older one."""
    store = new_store()
    store.dispatch(Action("REPLY", "old"))

    def saga():
        yield Put(Action(ask, "own"))
        try:
            return (yield Take("REPLY", timeout=0.01))
        except TimeoutError:
            return "nothing"

    assert run(store, saga()) == "nothing"


@pytest.mark.parametrize("between", [Call(int), Select(), Delay(0), All(())])
def test_only_directly_after_the_put(new_store, run, between):
    """With another effect in between, the ``Take`` sees only what comes after itself."""
    store = new_store()

    def answer():
        if store.state[-1].type == "ASK":
            store.dispatch(Action("REPLY"))

    store.subscribe(answer)

    def saga():
        yield Put(Action("ASK"))
        yield between
        try:
            return (yield Take("REPLY", timeout=0.01))
        except TimeoutError:
            return "nothing"

    assert run(store, saga()) == "nothing"


def test_a_reply_from_another_thread_is_seen_whenever_it_comes(new_store, run, together, frantic):
    """Two hundred questions, answered by another thread at any moment, are all heard."""
    asked, rounds = threading.Semaphore(0), 200

    def note(next_dispatch, get_state):
        def dispatch(action):
            next_dispatch(action)
            if action.type == "ASK":
                asked.release()

        return dispatch

    store = new_store(lambda state, action: state, None, middleware=(note,))

    def saga():
        for n in range(rounds):
            yield Put(Action("ASK", n))
            assert (yield Take("REPLY")).payload == n
        return "heard all"

    def answer():
        for n in range(rounds):
            assert asked.acquire(timeout=60)
            store.dispatch(Action("REPLY", n))

    outcome = []
    together(answer, lambda: outcome.append(run(store, saga())))
    assert outcome == ["heard all"]


def test_two_sagas_that_answer_each_other_never_stall(new_store, run, hangs, frantic):
    """A thousand rounds of ping-pong on two workers end, though each may be ahead of the other."""
    store = new_store(lambda state, action: state, None, max_workers=2)

    def ping():
        for n in range(1000):
            yield Put(Action("PING", n))
            yield Take("PONG")
        return "ping"

    def pong():
        action = yield Take("PING")
        while action.payload < 999:
            yield Put(Action("PONG"))
            action = yield Take("PING")
        yield Put(Action("PONG"))
        return "pong"

    second = store.run_saga(pong())
    assert store.wait_idle(hangs)
    first = store.run_saga(ping())
    assert (first.result(hangs), second.result(hangs)) == ("ping", "pong")


def transforming(next_dispatch, get_state):
    return lambda action: next_dispatch(Action(action.type.removeprefix("raw/"), action.payload))


def answering(next_dispatch, get_state):
    def dispatch(action):
        next_dispatch(action)
        if action.type == "ASK":
            next_dispatch(Action("REPLY", action.payload))

    return dispatch


@pytest.mark.parametrize(
    ("middleware", "ask"),
    [
        ((transforming, answering), "raw/ASK"),
        ((answering,), "ASK"),
        ((answering, transforming), "ASK"),
    ],
)
def test_middleware_may_transform_and_answer(new_store, run, middleware, ask):
    """The place of the ``Put`` is found behind middleware, and what follows it is seen."""
    store = new_store(middleware=middleware)

    def saga():
        yield Put(Action(ask, 7))
        return (yield Take("REPLY")).payload

    assert run(store, saga()) == 7


def test_middleware_that_dispatches_anew_keeps_the_place(new_store, run):
    """A middleware that sends the action through ``store.dispatch`` again loses no reply."""

    def again(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "LATER":
                return store.dispatch(Action("ASK", action.payload))
            return next_dispatch(action)

        return dispatch

    store = new_store(middleware=(again, answering))

    def saga():
        yield Put(Action("LATER", 7))
        return (yield Take("REPLY")).payload

    assert run(store, saga()) == 7


def test_middleware_that_sends_the_action_on_from_elsewhere_loses_no_reply(new_store, run):
    """An action that never comes through is as if it had been dispatched when it was put."""

    def elsewhere(next_dispatch, get_state):
        def dispatch(action):
            if action.type != "ASK":
                return next_dispatch(action)
            thread = threading.Thread(target=next_dispatch, args=(Action("REPLY", 7),))
            thread.start()
            return thread.join()

        return dispatch

    store = new_store(middleware=(elsewhere,))

    def saga():
        yield Put(Action("ASK"))
        return (yield Take("REPLY")).payload

    assert run(store, saga()) == 7


def test_what_middleware_dispatches_before_passing_on_is_not_seen(new_store, run):
    """The ``Put``'s own action is the one that comes through, so its ``Take`` skips both."""

    def announce(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "ASK":
                store.dispatch(Action("COMING"))
            next_dispatch(action)

        return dispatch

    store = new_store(middleware=(announce,))

    def saga(kind):
        yield Put(Action("ASK"))
        try:
            return (yield Take(kind, timeout=0.01))
        except TimeoutError:
            return "nothing"

    assert run(store, saga("COMING")) == "nothing"
    assert run(store, saga("ASK")) == "nothing"


@pytest.mark.parametrize(
    "wrap", [lambda effect: Timeout(effect, 60), lambda effect: Race((effect,))]
)
def test_a_take_inside_a_combinator_loses_no_reply(new_store, run, wrap):
    """A combinator directly after a ``Put`` looks from that ``Put`` on, too."""
    store = new_store(middleware=(answering,))

    def saga():
        yield Put(Action("ASK", 7))
        return (yield wrap(Take("REPLY"))).payload

    assert run(store, saga()) == 7


def test_children_of_a_combinator_see_what_follows_its_yield(new_store, run, gate, hangs):
    """An action that comes while the children are still queued reaches their first ``Take``."""
    store = new_store(max_workers=1)

    def saga():
        return (yield All((Call(store.dispatch, (Action("GO", 1),)), Take("GO"))))

    assert run(store, saga())[1] == Action("GO", 1)


def test_waiting_after_a_put_holds_on_to_no_actions(new_store, park):
    """What is dispatched while a saga waits is not kept for it, whatever it put before."""

    class Payload:
        pass

    store = new_store(lambda state, action: state, None)

    def saga(effect):
        yield Put(Action("READY"))
        yield effect

    for effect in (Take("NEVER"), Delay(60), All((Take("NEVER"),)), Timeout(Take("NEVER"), 60)):
        park(store, saga(effect))
    passing = []
    for _ in range(10):
        payload = Payload()
        passing.append(weakref.ref(payload))
        store.dispatch(Action("PASSING", payload))
    del payload
    store.dispatch(Action("LAST"))
    gc.collect()
    assert [each() for each in passing] == [None] * 10


def test_a_long_call_after_a_put_holds_on_to_no_actions(new_store, park, gate):
    """A journal for a ``Take`` that cannot come any more is dropped when the call begins."""

    class Payload:
        pass

    store = new_store(lambda state, action: state, None)
    begun, leave = gate(), gate()

    def work():
        begun.set()
        leave.pass_through()

    def saga():
        yield Put(Action("READY"))
        yield Call(work)

    store.run_saga(saga())
    begun.pass_through()
    payload = Payload()
    passing = weakref.ref(payload)
    store.dispatch(Action("PASSING", payload))
    store.dispatch(Action("LAST"))
    del payload
    gc.collect()
    assert passing() is None


# Timeout


def test_a_timeout_is_thrown_and_says_what_was_waited_for(new_store, run, left):
    """``TimeoutError`` names the action and the seconds; nobody waits any more."""
    store = new_store()

    def saga():
        with pytest.raises(TimeoutError) as caught:
            yield Take("GO", timeout=0.01)
        return str(caught.value)

    assert run(store, saga()) == "Take('GO') timed out after 0.01s"
    assert left(store) == {}


@pytest.mark.parametrize("timeout", [60, 1e12, float("inf")])
def test_an_action_in_time_stops_the_clock(new_store, park, settle, left, hangs, timeout):
    """No timer is left behind, and the saga's later delays are its own."""
    store = new_store()

    def saga():
        yield Take("GO", timeout=timeout)
        yield Delay(0.001)
        return "through"

    task = park(store, saga())
    assert left(store) == {"tasks": 1, "takers": 1, "timers": 1}
    store.dispatch(Action("GO"))
    assert task.result(hangs) == "through"
    assert left(store) == {}


def test_action_and_timeout_at_the_same_time_are_one_of_the_two(new_store, run, left):
    """Whichever comes first counts, and the other does nothing, fifty times over."""
    store = new_store(lambda state, action: state, None)

    def saga():
        try:
            return (yield Take("GO", timeout=0.001)).payload
        except TimeoutError:
            return "late"

    for n in range(50):
        task = store.run_saga(saga())
        while not task.done():
            store.dispatch(Action("GO", n))
        assert task.result(60) in (n, "late")
    assert left(store) == {}


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cancelled_take_leaves_nothing(new_store, park, ended, left, timeout):
    """Neither taker nor timer survives the saga."""
    store = new_store()

    def saga():
        yield Take("GO", timeout=timeout)

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


@pytest.mark.parametrize(("kind", "timeout"), [(5, None), (None, None), ("GO", -1), ("GO", "1s")])
def test_a_malformed_take_is_refused_where_it_is_written(kind, timeout):
    """The mistake shows at construction."""
    with pytest.raises((TypeError, ValueError), match="Take"):
        Take(kind, timeout)
