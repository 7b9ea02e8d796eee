"""Take waits for an action."""

import gc
import threading
import weakref

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    Delay,
    EventChannel,
    Fork,
    Put,
    Race,
    SagaCancelled,
    Select,
    Take,
    TakeEvery,
    Timeout,
    TryCall,
    UnknownEffectError,
)


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


# Patterns


def is_even(action):
    """A predicate: whether the payload is an even number."""
    return isinstance(action.payload, int) and action.payload % 2 == 0


FITTING = [
    pytest.param("B", 1, id="type"),
    pytest.param(("B", "C"), 1, id="types"),
    pytest.param(("C", "D"), 2, id="other types"),
    pytest.param(("D", "D", "B", "B"), 1, id="types twice"),
    pytest.param(("D", "D"), 3, id="one type twice"),
    pytest.param(("D",), 3, id="one type"),
    pytest.param("*", 0, id="all"),
    pytest.param(("NEVER", "*"), 0, id="types and all"),
    pytest.param(("*", "*"), 0, id="all twice"),
    pytest.param(lambda action: action.type in "CD", 2, id="predicate"),
    pytest.param(lambda action: action.payload, 1, id="truth"),
]
"""Patterns, and which of ``A(0), B(1), C(2), D(3)`` is the first that fits."""

SOME = [Action(kind, number) for number, kind in enumerate("ABCD")]


@pytest.mark.parametrize(("pattern", "first"), FITTING)
def test_the_first_action_that_fits_is_sent_back(
    new_store, park, settle, left, hangs, pattern, first
):
    """A type, several, a predicate or ``"*"``: one action, and then nobody waits any more."""
    store = new_store()

    def saga():
        return (yield Take(pattern))

    task = park(store, saga())
    assert left(store) == {"tasks": 1, "takers": 1}
    for action in SOME:
        assert not task.done()
        store.dispatch(action)
        if action.payload == first:
            break
    assert task.result(hangs) is SOME[first]
    assert left(store) == {}


@pytest.mark.parametrize(("pattern", "first"), FITTING)
def test_every_pattern_sees_what_follows_a_put(new_store, run, left, pattern, first):
    """The first that fits of those between the ``Put`` and the ``Take``, in their order."""
    store = new_store()

    def answer():
        if store.state[-1].type == "ASK":
            for action in SOME:
                store.dispatch(action)

    store.subscribe(answer)

    def saga():
        yield Put(Action("ASK", -1))
        return (yield Take(pattern))

    assert run(store, saga()) is SOME[first]
    assert left(store) == {}


@pytest.mark.parametrize("pattern", ["GO", ("GO", "STOP"), "*", lambda action: True])
def test_one_action_resumes_all_that_it_fits(new_store, park, hangs, pattern):
    """Also those that wait for it in another way; each gets the same action, once."""
    store = new_store()
    go = Action("GO")

    def saga(pattern):
        return (yield Take(pattern))

    tasks = [park(store, saga(each)) for each in (pattern, "GO", ("GO",), "*", ("A", "GO"))]
    tasks += [park(store, saga(pattern)) for _ in range(5)]
    other = park(store, saga(("OTHER", "THING")))
    store.dispatch(go)
    assert all(task.result(hangs) is go for task in tasks)
    assert not other.done()


def test_a_taker_of_several_types_is_left_under_none(new_store, park, hangs, left):
    """Whichever comes, it does not come again: neither for it nor under its other types."""
    store = new_store()

    def saga():
        first = yield Take(("A", "B", "C"))
        second = yield Take(("A", "B", "C"))
        return first.payload, second.payload

    for kind in "ABC":
        task = park(store, saga())
        store.dispatch(Action(kind, 1))
        assert left(store) == {"tasks": 1, "takers": 1}
        store.dispatch(Action(kind, 2))
        assert task.result(hangs) == (1, 2)
        assert left(store) == {}


@pytest.mark.parametrize("pattern", [("A", "B"), "*", is_even])
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cancelled_take_of_any_pattern_leaves_nothing(
    new_store, park, ended, left, pattern, timeout
):
    """Neither under a type nor among the others, and no timer."""
    store = new_store()

    def saga():
        yield Take(pattern, timeout=timeout)

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [(("A", "B"), r"\('A', 'B'\)"), ("*", r"'\*'"), (is_even, r"<function is_even .*>")],
)
def test_a_take_of_any_pattern_times_out(new_store, run, left, pattern, shown):
    """The error shows the pattern; nobody waits any more."""
    store = new_store()

    def saga():
        with pytest.raises(TimeoutError, match=rf"^Take\({shown}\) timed out after 0.01s$"):
            yield Take(pattern, timeout=0.01)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize("pattern", [("A", "GO"), "*", lambda action: action.type == "GO"])
def test_an_action_of_any_pattern_in_time_stops_the_clock(new_store, park, left, hangs, pattern):
    """No timer is left behind."""
    store = new_store()

    def saga():
        return (yield Take(pattern, timeout=60)).type

    task = park(store, saga())
    assert left(store) == {"tasks": 1, "takers": 1, "timers": 1}
    store.dispatch(Action("GO"))
    assert task.result(hangs) == "GO"
    assert left(store) == {}


def test_types_and_predicates_are_given_actions_in_order(new_store, park, settle, seen):
    """A ``TakeEvery`` of everything misses none and starts its sagas in dispatch order."""
    store = new_store(max_workers=1)

    def note(action):
        yield Put(Action("NOTED", action.payload))

    def watch():
        yield TakeEvery(lambda action: action.type != "NOTED", note)

    park(store, watch())
    for number in range(50):
        store.dispatch(Action(f"KIND-{number % 7}", number))
    settle(store)
    assert seen(store, "NOTED") == list(range(50))


def test_every_action_starts_a_saga(new_store, park, settle):
    """``TakeEvery("*")``: also those that sagas put, and those of types nobody else knows."""
    store, started = new_store(), []

    def note(action):
        started.append(action)
        if action.type == "FIRST":
            yield Put(Action("SECOND"))

    def watch():
        yield TakeEvery("*", note)

    park(store, watch())
    store.dispatch(Action("FIRST"))
    settle(store)
    assert started == [Action("FIRST"), Action("SECOND")]


# Predicates that fail


class Torn:
    """An answer that is neither true nor false."""

    def __bool__(self):
        raise LookupError("no truth")


def raising(action):
    """A predicate that raises."""
    raise LookupError("no truth")


def torn(action):
    """A predicate whose answer raises."""
    return Torn()


PREDICATES = pytest.mark.parametrize("predicate", [raising, torn])


@PREDICATES
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_predicate_that_raises_fails_its_saga_alone(
    new_store, park, run, left, hangs, predicate, timeout
):
    """The dispatch returns, and everybody else who waits gets the action."""
    store = new_store()
    go = Action("GO")

    def saga(pattern):
        return (yield Take(pattern))

    def failing():
        with pytest.raises(LookupError, match="no truth"):
            yield Take(predicate, timeout=timeout)
        return "went on"

    def before():
        return [park(store, saga(each)) for each in ("GO", "*", ("GO", "A"), is_go)]

    tasks = before()
    failed = park(store, failing())
    tasks += before()
    store.dispatch(go)
    assert failed.result(hangs) == "went on"
    assert [task.result(hangs) for task in tasks] == [go] * 8
    assert store.state[-1] is go
    assert left(store) == {}


def is_go(action):
    """A predicate: whether the action is of type ``GO``."""
    return action.type == "GO"


@PREDICATES
def test_a_predicate_that_raises_is_asked_once(new_store, park, ended, reports, predicate):
    """An error that the saga does not catch is its end, reported like any other."""
    store, asked = new_store(), []

    def asking(action):
        asked.append(action.type)
        return predicate(action)

    def saga():
        yield Take(asking)

    task = park(store, saga())
    store.dispatch(Action("ONE"))
    assert ended(task) is LookupError
    store.dispatch(Action("TWO"))
    assert asked == ["ONE"]
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]


@PREDICATES
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_predicate_that_raises_on_what_followed_the_put(new_store, run, left, predicate, timeout):
    """The saga gets the error at its ``Take``; nobody waits any more, for no time."""
    store = new_store(middleware=(answering,))

    def saga():
        yield Put(Action("ASK"))
        with pytest.raises(LookupError, match="no truth"):
            yield Take(predicate, timeout=timeout)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize("before", [True, False])
def test_a_predicate_that_dispatches_is_refused(new_store, park, run, left, hangs, before):
    """``StateError`` goes to the saga, whether it was asked by a dispatch or looking back."""
    store = new_store(middleware=(answering,))

    def dispatching(action):
        store.dispatch(Action("NESTED"))

    def saga():
        if before:
            yield Put(Action("ASK"))
        with pytest.raises(StateError, match="Take predicate"):
            yield Take(dispatching)
        return "went on"

    if before:
        assert run(store, saga()) == "went on"
    else:
        task = park(store, saga())
        store.dispatch(Action("GO"))
        assert task.result(hangs) == "went on"
    assert "NESTED" not in [each.type for each in store.state]
    assert left(store) == {}


def test_a_predicate_sees_the_state_with_its_action(new_store, park, hangs):
    """It is asked when the state has changed, as sagas are resumed."""
    store = new_store()

    def saga():
        return (yield Take(lambda action: len(store.state) >= 4))

    task = park(store, saga())
    for number in range(5):
        store.dispatch(Action("GO", number))
    assert task.result(hangs).payload == 2


def test_only_who_waits_with_a_predicate_is_asked(new_store, park, settle):
    """Once nobody waits with one, dispatching asks none."""
    store, asked = new_store(), []

    def noting(action):
        asked.append(action.type)
        return action.type == "GO"

    def saga():
        yield Take(noting)
        yield Take("NEVER")

    park(store, saga())
    for kind in ("OTHER", "GO", "LATER"):
        store.dispatch(Action(kind))
        settle(store)
    assert asked == ["OTHER", "GO"]


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


def idle():
    """A saga that does nothing."""
    yield from ()


@pytest.mark.parametrize(
    "between",
    [
        Call(int),
        TryCall(int),
        Select(),
        Delay(0),
        All(()),
        Race((Call(int),)),
        Timeout(Call(int), 60),
        Fork(idle),
        TryCall(raising, (None,)),
    ],
)
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


def unknown_effect():
    yield 5


def failed_call():
    yield Call(raising, (None,))


def failed_select():
    yield Select(raising)


def refused_put():
    yield Put(Action("REFUSED"))


def failed_subscription():
    yield EventChannel(raising)


FAILED = [unknown_effect, failed_call, failed_select, refused_put, failed_subscription]


def refusing(state, action):
    """A reducer with a journal for its state, that fails on one type of action."""
    if action.type == "REFUSED":
        raise ValueError("refused")
    return (*state, action)


@pytest.mark.parametrize("failed", FAILED)
def test_not_after_an_effect_that_failed_either(new_store, run, failed):
    """An effect between ``Put`` and ``Take`` is one, also when its error was caught."""
    store = new_store(refusing, ())

    def answer():
        if store.state[-1].type == "ASK":
            store.dispatch(Action("REPLY"))

    store.subscribe(answer)

    def saga():
        yield Put(Action("ASK"))
        with pytest.raises((LookupError, StateError, UnknownEffectError)):
            yield from failed()
        try:
            return (yield Take("REPLY", timeout=0.01))
        except TimeoutError:
            return "nothing"

    assert run(store, saga()) == "nothing"


@pytest.mark.parametrize("failed", FAILED)
@pytest.mark.parametrize("middleware", [(), (lambda next_dispatch, get_state: next_dispatch,)])
def test_a_put_after_an_effect_that_failed_loses_no_reply(new_store, run, failed, middleware):
    """Whatever became of the effect between two ``Put``s, the second is one like any other."""
    store = new_store(refusing, (), middleware)

    def answer():
        if store.state[-1].type == "ASK":
            store.dispatch(Action("REPLY", store.state[-1].payload))

    store.subscribe(answer)

    def saga():
        yield Put(Action("OTHER"))
        with pytest.raises((LookupError, StateError, UnknownEffectError)):
            yield from failed()
        yield Put(Action("ASK", 7))
        return (yield Take("REPLY", timeout=60)).payload

    assert run(store, saga()) == 7


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


@pytest.mark.parametrize("middleware", [(), (lambda next_dispatch, get_state: next_dispatch,)])
@pytest.mark.parametrize("kind", ["REFUSED", "EXIT"])
def test_a_put_that_failed_holds_on_to_no_actions(new_store, run, gate, kind, middleware):
    """Refused by the reducer or left by a listener: what comes later is not kept for it."""

    class Payload:
        pass

    store = new_store(lambda state, action: refusing((), action), (), middleware)

    def exiting():
        if store.state[0].type == "EXIT":
            raise SystemExit

    store.subscribe(exiting)

    def saga():
        with pytest.raises((StateError, SystemExit)):
            yield Put(Action(kind))

    run(store, saga())
    passing = []
    for _ in range(10):
        payload = Payload()
        passing.append(weakref.ref(payload))
        store.dispatch(Action("PASSING", payload))
    del payload
    store.dispatch(Action("LAST"))
    gc.collect()
    assert [each() for each in passing] == [None] * 10


def test_ten_thousand_children_that_put_take_the_time_of_as_many(new_store, run):
    """While many are open, marks cost each dispatch the same: this ends before a hang would."""
    store, count = new_store(lambda state, action: state + 1, 0, max_workers=2), 10_000

    def saga():
        yield All(tuple(Put(Action("GO")) for _ in range(count)))
        return (yield Select())

    assert run(store, saga()) == count + 1


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
