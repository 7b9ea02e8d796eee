"""Monitors: what they are told, in which order, by whom, and that nothing is in their way."""

import logging
import sys
import threading
from contextvars import ContextVar
from functools import partial
from itertools import pairwise

import pytest

from milo_core import Action, Cmd, ReducerResult, StateError, Store
from milo_effects import (
    All,
    Call,
    ChildCancelledError,
    Debounce,
    Delay,
    EffectRegistry,
    EffectResult,
    EffectTimeout,
    Fork,
    Join,
    Put,
    Race,
    SagaCancelled,
    SagaContext,
    SagaMonitor,
    SagaRuntime,
    Select,
    Take,
    TakeEvery,
    Timeout,
    UnknownEffectError,
    handles,
    install_monitor,
)


class Ear(SagaMonitor):
    """Remembers everything it is told."""

    def __init__(self):
        self.heard = []
        self.started_by = {}

    def of(self, task):
        """What was told of one saga, without its task."""
        return [event for told, *event in self.heard if told is task]

    def kinds(self, task):
        """The names of the events of one saga."""
        return [event[0] for event in self.of(task)]

    def saga_started(self, task, started_by):
        self.started_by[task] = started_by
        self.heard.append((task, "started"))

    def effect_yielded(self, task, effect):
        self.heard.append((task, "yielded", effect))

    def effect_answered(self, task, effect, value):
        self.heard.append((task, "answered", effect, value))

    def effect_failed(self, task, effect, error):
        self.heard.append((task, "failed", effect, type(error)))

    def saga_cancelled(self, task):
        self.heard.append((task, "cancelled"))

    def saga_ended(self, task):
        self.heard.append((task, "ended", type(task.error) if task.error else task.value))


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def watched(new_store, ear):
    """A store with a journal whose sagas ``ear`` hears of."""
    store = new_store()
    install_monitor(store, ear)
    return store


@pytest.fixture
def hear(watched, ear, park, settle):
    """``hear(saga)`` runs a saga until all is at rest and returns what was told of it."""

    def run(saga, **options):
        task = park(watched, saga, **options)
        return ear.of(task)

    return run


def fail():
    raise LookupError("nothing there")


def waiting(kind="GO"):
    action = yield Take(kind)
    return action.payload


# What is told


def test_effects_and_their_answers_are_told_in_order(hear):
    """From the start to the end, every effect before its answer."""
    select, put, call = Select(len), Put(Action("A", 1)), Call(max, (3, 4))

    def saga():
        yield select
        yield put
        return (yield call)

    assert hear(saga) == [
        ["started"],
        ["yielded", select],
        ["answered", select, 1],
        ["yielded", put],
        ["answered", put, None],
        ["yielded", call],
        ["answered", call, 4],
        ["ended", 4],
    ]


def test_a_saga_that_yields_nothing_is_told_of(hear):
    """Its start and its end."""

    def saga():
        return 3
        yield

    assert hear(saga) == [["started"], ["ended", 3]]


@pytest.mark.parametrize(
    ("effect", "kind"), [(Call(fail), LookupError), (5, UnknownEffectError), (Select(3), TypeError)]
)
def test_what_is_thrown_for_an_effect_is_told(hear, effect, kind):
    """Whatever the effect was; then what the saga does about it."""

    def saga():
        try:
            yield effect
        except Exception:
            return (yield Call(min, (3, 4)))

    events = hear(saga)
    assert events[1:3] == [["yielded", effect], ["failed", effect, kind]]
    assert events[-1] == ["ended", 3]


def test_an_error_that_is_not_caught_is_told_twice(hear):
    """As the effect's, and as the saga's."""

    def saga():
        yield Call(fail)

    assert [event[0] for event in hear(saga)] == ["started", "yielded", "failed", "ended"]
    assert hear(saga)[-1] == ["ended", LookupError]


def test_a_function_that_makes_no_saga_has_started_and_ended(hear):
    """Nothing was yielded in between."""
    assert hear(lambda: 3) == [["started"], ["ended", StateError]]


def test_the_answer_to_what_a_saga_waits_for_comes_with_its_effect(watched, ear, park, settle):
    """The effect is remembered while the saga is parked, and nothing told meanwhile."""
    task = park(watched, waiting)
    assert ear.of(task) == [["started"], ["yielded", Take("GO")]]
    go = Action("GO", 7)
    watched.dispatch(go)
    settle(watched)
    assert ear.of(task)[2:] == [["answered", Take("GO"), go], ["ended", 7]]


def test_an_error_that_ends_a_wait_is_told(hear, ear, watched, all_ended):
    """It is thrown when the saga has its next turn."""
    slow = Timeout(Take("NEVER"), 0.001)

    def saga():
        yield slow

    task = watched.run_saga(saga)
    all_ended(watched)
    assert ear.of(task)[1:] == [
        ["yielded", slow],
        ["failed", slow, EffectTimeout],
        ["ended", EffectTimeout],
    ]


def test_long_turns_are_told_of_completely(hear, new_store, watched):
    """Also where a saga was made to let others have their turn."""
    count = 3 * new_store.runtime(watched).runner.scheduler.slice_length + 7

    def saga():
        for _ in range(count):
            yield Call(int)

    assert [event[0] for event in hear(saga)] == [
        "started",
        *["yielded", "answered"] * count,
        "ended",
    ]


# Cancelling


def test_a_cancellation_is_told_in_place_of_an_answer(watched, ear, park, ended):
    """What the saga yields to clean up is told as any effect is."""
    put = Put(Action("CLEAN"))

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield put

    task = park(watched, saga)
    task.cancel()
    assert ended(task) is SagaCancelled
    watched.wait_idle()
    assert ear.of(task)[2:] == [
        ["cancelled"],
        ["yielded", put],
        ["answered", put, None],
        ["ended", SagaCancelled],
    ]


def test_a_saga_that_lives_on_was_cancelled_once(watched, ear, park, settle):
    """What is thrown afterwards is an error of the effect's, even the same exception."""
    caught = []

    @handles(complex)
    def throw_again(effect, context, store):
        return EffectResult.throw(caught[0])

    def saga():
        try:
            yield Take("NEVER")
        except SagaCancelled as cancelled:
            caught.append(cancelled)
        try:
            yield 1j
        except SagaCancelled:
            return "alive"

    store = Store(
        lambda state, action: state,
        None,
        runtime=partial(SagaRuntime, registry=EffectRegistry(throw_again), monitors=[ear]),
    )
    with store:
        task = park(store, saga)
        task.cancel()
        settle(store)
    assert ear.kinds(task)[2:] == ["cancelled", "yielded", "failed", "ended"]


def test_an_error_that_looks_like_a_cancellation_is_none(new_store, ear, park):
    """Only the runner cancels a saga; an effect may fail with whatever it likes."""

    @handles(complex)
    def refuse(effect, context, store):
        def start(resume):
            resume.throw(SagaCancelled("not this one"))
            return lambda: None

        return EffectResult.wait(start)

    def saga():
        yield 1j

    store = new_store(registry=EffectRegistry(refuse))
    install_monitor(store, ear)
    task = park(store, saga)
    assert ear.of(task)[2:] == [["failed", 1j, SagaCancelled], ["ended", SagaCancelled]]


def test_a_saga_cancelled_before_its_first_step_has_started_and_ended(watched, ear, settle):
    """It is told of like any other, though it never ran."""
    scope = SagaContext()
    scope.cancel_tree()
    watched.run_saga(waiting, context=scope)
    settle(watched)
    (task,) = ear.started_by
    assert ear.of(task) == [["started"], ["ended", SagaCancelled]]


def test_the_cancellation_of_another_saga_is_an_error_of_the_effect(hear):
    """Who joins a cancelled saga is not cancelled."""

    def saga():
        task = yield Fork(waiting)
        task.cancel()
        yield Join(task)

    events = hear(saga)
    assert events[-2:] == [
        ["failed", events[-2][1], ChildCancelledError],
        ["ended", ChildCancelledError],
    ]


def test_all_has_been_told_when_a_store_has_been_shut_down(watched, ear, park):
    """Every saga that started has ended, once."""
    tasks = [park(watched, waiting) for _ in range(5)]
    watched.shutdown()
    for task in tasks:
        assert ear.kinds(task) == ["started", "yielded", "cancelled", "ended"]


# Who started whom


def started(ear, task):
    """The sagas started by ``task``, in order."""
    return [each for each, by in ear.started_by.items() if by is task]


@pytest.mark.parametrize("attached", [True, False])
def test_a_fork_was_started_by_the_saga_that_forks(watched, ear, park, attached):
    """Also one that is detached and has no parent."""

    def saga():
        yield Fork(waiting, attached=attached)

    task = park(watched, saga)
    (child,) = started(ear, task)
    assert ear.kinds(child) == ["started", "yielded"]
    assert ear.started_by[task] is None
    assert not child.quiet


def test_a_saga_that_cleans_up_has_started_what_it_forks(watched, ear, park, settle):
    """Though that runs in a scope apart."""

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield Fork(waiting)
            yield Race((Call(int),))

    task = park(watched, saga)
    task.cancel()
    settle(watched)
    assert len(started(ear, task)) == 2


@pytest.mark.parametrize(
    "effect",
    [Race((Take("GO"), Take("OTHER"))), All((Call(int), waiting), limit=1), Timeout(waiting, 60)],
)
def test_sagas_of_an_effect_are_quiet_and_started_by_its_saga(watched, ear, park, settle, effect):
    """Their events come between the effect and its answer."""

    def saga():
        yield effect

    task = park(watched, saga)
    watched.dispatch(Action("GO"))
    settle(watched)
    children = started(ear, task)
    assert children and all(child.quiet for child in children)
    heard = [(told, event) for told, event, *_ in ear.heard]
    for child in children:
        assert heard.index((task, "yielded")) < heard.index((child, "started"))
        assert heard.index((child, "ended")) < heard.index((task, "answered"))


def test_sagas_of_a_watcher_were_started_by_it(watched, ear, park, settle):
    """Whoever dispatched the action, another saga included."""

    def worker(action):
        yield Take("NEVER")

    def watcher():
        yield TakeEvery("GO", worker)

    def other():
        yield Put(Action("GO"))

    task = park(watched, watcher)
    watched.dispatch(Action("GO"))
    park(watched, other)
    assert len(started(ear, task)) == 2


def test_sagas_that_a_timer_starts_were_started_by_the_saga_that_set_it(watched, ear, hangs):
    """They run in its scope."""
    over = threading.Event()

    def late():
        yield Call(over.set)

    def saga():
        yield Debounce(0.001, late)
        yield Take("NEVER")

    task = watched.run_saga(saga)
    assert over.wait(hangs)
    watched.wait_idle(hangs)
    (child,) = started(ear, task)
    assert ear.kinds(child)[-1] == "ended"


def test_sagas_and_commands_of_reducers_were_started_by_no_saga(new_store, ear, park, settle):
    """Not by the one that put the action, which may be long gone."""

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult(state, sagas=(waiting,), cmds=(Cmd(lambda: None),))
        return state

    def saga():
        yield Put(Action("GO"))

    store = new_store(reducer)
    install_monitor(store, ear)
    task = park(store, saga)
    settle(store)
    assert len(ear.started_by) == 3
    assert set(ear.started_by.values()) == {None}
    assert started(ear, task) == []


def test_sagas_that_a_call_starts_belong_to_the_scope_they_are_given(watched, ear, settle):
    """``run_saga`` without a context starts one of the program's own."""
    scopes = []

    def start():
        watched.run_saga(waiting)
        watched.run_saga(waiting, context=scopes[0])

    def saga():
        yield Call(start)
        yield Take("NEVER")

    scopes.append(SagaContext())
    main = watched.run_saga(saga)
    settle(watched)
    assert started(ear, main) == []
    watched.run_saga(waiting, context=main.child())
    settle(watched)
    assert len(started(ear, main)) == 1


# Installing and undoing


def test_nothing_is_told_after_the_undo(watched, ear, new_store, park, settle):
    """Also of sagas that were told of before; a second undo is harmless."""
    undo = install_monitor(watched, other := Ear())
    task = park(watched, waiting)
    undo()
    undo()
    watched.dispatch(Action("GO"))
    settle(watched)
    assert other.kinds(task) == ["started", "yielded"]
    assert ear.kinds(task) == ["started", "yielded", "answered", "ended"]


def test_several_monitors_hear_the_same(watched, ear, hear):
    """In the order in which they were installed; one that is installed twice hears it twice."""
    order = []

    class Named(SagaMonitor):
        def __init__(self, name):
            self.name = name

        def saga_ended(self, task):
            order.append(self.name)

    install_monitor(watched, Named("a"))
    b = Named("b")
    install_monitor(watched, b)
    undo = install_monitor(watched, b)
    events = hear(lambda: (yield Call(int)))
    assert order == ["a", "b", "b"]
    assert len(events) == 4
    undo()
    hear(lambda: (yield Call(int)))
    assert order == ["a", "b", "b", "a", "b"]


def test_a_monitor_installed_in_the_middle_hears_from_the_next_turn_on(
    new_store, ear, park, settle
):
    """Not of the start, nor of the answer to what the saga waited for."""
    store = new_store()
    task = park(store, lambda: ((yield Take("GO")), (yield Call(int))))
    install_monitor(store, ear)
    store.dispatch(Action("GO"))
    settle(store)
    assert ear.of(task) == [
        ["yielded", Call(int)],
        ["answered", Call(int), 0],
        ["ended", (Action("GO"), 0)],
    ]


def test_an_error_for_an_effect_of_before_is_not_told_either(new_store, ear, park, settle):
    """It shows in how the saga ends."""

    def first():
        return (yield Take("GO")).payload[0]

    store = new_store()
    awaited = park(store, first)
    task = park(store, lambda: (yield Join(awaited)))
    install_monitor(store, ear)
    store.dispatch(Action("GO", ()))
    settle(store)
    assert ear.of(task) == [["ended", IndexError]]


def test_a_second_monitor_hears_the_answer_to_an_effect_of_before(watched, park, settle):
    """For the first one was told of it."""
    task = park(watched, waiting)
    install_monitor(watched, late := Ear())
    watched.dispatch(Action("GO"))
    settle(watched)
    assert late.kinds(task) == ["answered", "ended"]


def test_what_a_monitor_missed_is_never_mixed_up(new_store, ear, park, settle):
    """A saga that has gone on unwatched does not get its old effect answered."""
    store = new_store()
    undo = install_monitor(store, ear)
    task = park(store, lambda: ((yield Take("A")), (yield Take("B"))))
    undo()
    store.dispatch(Action("A"))
    settle(store)
    install_monitor(store, late := Ear())
    store.dispatch(Action("B"))
    settle(store)
    assert ear.kinds(task) == ["started", "yielded"]
    assert late.kinds(task) == ["ended"]


def test_a_turn_that_outlasts_an_undo_stays_right(new_store, ear, park, settle, run):
    """Undone and installed anew within one turn, what is told still fits together."""
    store = new_store()
    undo = install_monitor(store, ear)
    late = Ear()

    def change():
        undo()
        install_monitor(store, late)

    task = park(store, lambda: ((yield Call(change)), (yield Take("GO"))))
    store.dispatch(Action("GO", 3))
    settle(store)
    assert ear.kinds(task) == ["started", "yielded"]
    assert late.kinds(task) == ["answered", "yielded", "answered", "ended"]


def test_a_monitor_that_heard_of_an_effect_hears_its_answer(new_store, ear, park, settle):
    """Though the turn in which the effect was yielded began for another one."""
    store, late = new_store(), Ear()
    undo = install_monitor(store, ear)

    def saga():
        undo()
        install_monitor(store, late)
        yield Take("GO")

    task = park(store, saga)
    store.dispatch(Action("GO"))
    settle(store)
    assert ear.kinds(task) == ["started"]
    assert late.kinds(task) == ["yielded", "answered", "ended"]


def test_a_monitor_is_given_the_sagas_that_live(new_store, park, ended):
    """When it is installed, and at any time from then on."""
    given = []

    class Asking(SagaMonitor):
        def attached(self, living):
            given.append(living)

    store = new_store()
    task = park(store, waiting)
    install_monitor(store, Asking())
    assert given[0]() == [task]
    task.cancel()
    ended(task)
    store.wait_idle()
    assert given[0]() == []


def test_a_runtime_can_be_given_monitors(ear, settle):
    """They hear of the sagas that ``@@INIT`` starts."""

    def reducer(state, action):
        return ReducerResult(state, sagas=(waiting,)) if action.type == "@@INIT" else state

    with Store(reducer, None, runtime=partial(SagaRuntime, monitors=[ear])) as store:
        settle(store)
        assert [event for _, event, *_ in ear.heard] == ["started", "yielded"]


def test_what_is_no_monitor_is_refused(new_store):
    """The class in place of an object, say."""
    with pytest.raises(TypeError, match=r"subclass of SagaMonitor, was given <class .*Ear'>"):
        install_monitor(new_store(), Ear)


def test_a_foreign_runtime_is_refused():
    """There is nothing that could tell anybody."""
    store = Store(lambda state, action: state, None, runtime=lambda host: "other")
    with pytest.raises(StateError, match=r"this store has 'other'"):
        install_monitor(store, Ear())


def test_a_store_that_was_shut_down_gets_no_monitor(new_store, ear):
    """If it has never run anything; nothing will ever be told."""
    store = new_store()
    store.shutdown()
    with pytest.raises(StateError, match="shut down"):
        install_monitor(store, ear)


# Nothing is in the way


def caller():
    """The name of the function that steps the saga that calls this."""
    return sys._getframe(2).f_code.co_name


def test_without_a_monitor_a_saga_is_stepped_bare(new_store, park, settle):
    """By the runner itself, and nothing is kept; so it is again after an undo."""
    store = new_store()

    def saga():
        seen = [caller()]
        yield Take("GO")
        return [*seen, caller()]

    task = park(store, saga)
    undo = install_monitor(store, Ear())
    store.dispatch(Action("GO"))
    settle(store)
    assert task.value == ["_step", "step"]
    undo()
    task = park(store, saga)
    store.dispatch(Action("GO"))
    settle(store)
    assert task.value == ["_step", "_step"]
    assert task.local is None


def test_a_broken_monitor_disturbs_nothing(watched, ear, hear, caplog):
    """It is logged as an error once, with its name, and told on; others are told all the same."""

    class Broken(SagaMonitor):
        told = 0

        def effect_yielded(self, task, effect):
            self.told += 1
            raise (SystemExit if self.told == 2 else ValueError)(self.told)

    broken = Broken()
    install_monitor(watched, broken)
    install_monitor(watched, after := Ear())
    caplog.set_level(logging.DEBUG, "milo_effects._monitoring")

    def saga():
        yield Call(int)
        yield Call(int)
        return (yield Call(max, (3, 4)))

    assert hear(saga)[-1] == ["ended", 4]
    assert after.heard == ear.heard
    assert broken.told == 3
    logged = [each for each in caplog.records if each.name == "milo_effects._monitoring"]
    assert [each.levelname for each in logged] == ["ERROR", "DEBUG", "DEBUG"]
    assert "Broken raised" in logged[0].getMessage()
    assert logged[0].exc_info[0] is ValueError


def test_no_lock_is_held_while_a_monitor_is_told(watched, settle, together):
    """It may dispatch, start sagas and ask the runner, whatever it is told."""
    told = set()

    class Busy(SagaMonitor):
        def attached(self, living):
            self.living = living

        def act(self, kind):
            if kind not in told:
                told.add(kind)
                watched.dispatch(Action("TOLD", kind))
                watched.run_saga(waiting)
                together(self.living, lambda: watched.dispatch(Action("TOLD", kind)))

        def saga_started(self, task, started_by):
            self.act("started")

        def effect_yielded(self, task, effect):
            self.act("yielded")

        def effect_answered(self, task, effect, value):
            self.act("answered")

        def effect_failed(self, task, effect, error):
            self.act("failed")

        def saga_cancelled(self, task):
            self.act("cancelled")

        def saga_ended(self, task):
            self.act("ended")

    def worker(action):
        yield Call(int)
        yield Call(fail)

    def watcher():
        yield TakeEvery("GO", worker)

    install_monitor(watched, Busy())
    task = watched.run_saga(watcher)
    settle(watched)
    watched.dispatch(Action("GO"))
    settle(watched)
    task.cancel()
    settle(watched)
    assert told == {"started", "yielded", "answered", "failed", "cancelled", "ended"}


def test_context_variables_of_a_monitor_stay_its_own(watched, hear):
    """It can read those of the saga."""
    tenant, mine = ContextVar("tenant"), ContextVar("mine", default="unset")
    read = []

    class Setting(SagaMonitor):
        def effect_yielded(self, task, effect):
            read.append(tenant.get(None))
            mine.set("set")

    install_monitor(watched, Setting())

    def saga():
        tenant.set("a")
        yield Delay(0)
        return (yield Call(mine.get))

    watched.run_saga(saga).result(60)
    assert read == ["a", "a"]
    assert watched.run_saga(lambda: (yield Call(mine.get))).result(60) == "unset"


@pytest.mark.parametrize("_", range(5))
def test_under_load_each_sagas_events_are_complete_and_in_order(
    watched, ear, together, frantic, settle, _
):
    """From many threads, while other monitors come and go."""

    def worker(action):
        yield Call(int)
        yield Race((Call(int), Take("NEVER")))
        yield Fork(lambda: (yield Call(int)))

    def watcher():
        yield TakeEvery("GO", worker)

    def dispatch():
        for _ in range(20):
            watched.dispatch(Action("GO"))

    def come_and_go():
        for _ in range(50):
            install_monitor(watched, Ear())()

    task = watched.run_saga(watcher)
    settle(watched)
    together(dispatch, dispatch, dispatch, come_and_go)
    settle(watched)
    assert len(started(ear, task)) == 60
    for each in started(ear, task):
        assert ear.kinds(each) == ["started", *["yielded", "answered"] * 3, "ended"]
    assert len(ear.started_by) == 1 + 60 * 4
    for each in set(ear.started_by) - {task}:
        assert ear.kinds(each)[0] == "started" and ear.kinds(each)[-1] == "ended"


@pytest.mark.parametrize("_", range(5))
def test_a_monitor_that_comes_and_goes_hears_nothing_twice(new_store, together, frantic, settle, _):
    """Every answer it hears, if it heard of the effect, belongs to that effect."""
    store, ears = new_store(), []

    def saga():
        for number in range(200):
            yield Call(int, (number,))
            if number % 20 == 0:
                yield Delay(0)

    def come_and_go():
        for _ in range(50):
            ears.append(Ear())
            install_monitor(store, ears[-1])()

    tasks = [store.run_saga(saga) for _ in range(4)]
    together(come_and_go, come_and_go)
    settle(store)
    for task in tasks:
        task.result(60)
    for each in ears:
        for task in tasks:
            events = [event for event in each.of(task) if event[0] in ("yielded", "answered")]
            for before, after in pairwise(events):
                assert before[0] != after[0]
                if after[0] == "answered":
                    assert after[1] == before[1]
