"""What a store asks of its runtime, when, and what happens without one."""

import gc
import logging
import threading
import weakref

import pytest

from milo_core import (
    Action,
    MissingPluginError,
    PluginError,
    Quit,
    ReducerResult,
    StateError,
    Store,
    ViewState,
    plugins,
    runtime,
)
from milo_core.actions import INIT
from milo_core.journal import Mark


def asking(state, action):
    """``GO`` asks for a saga, ``CMD`` for a command, ``END`` for a saga and to quit."""
    if action.type == "GO":
        return ReducerResult(state + 1, sagas=("saga",), view=ViewState(alt_screen=True))
    if action.type == "CMD":
        return ReducerResult(state + 1, cmds=("cmd",))
    if action.type == "END":
        return Quit(state + 1, sagas=("last",))
    return state


def is_free(lock):
    """Whether another thread can take ``lock`` now."""
    taken = []

    def attempt():
        taken.append(lock.acquire(blocking=False))
        if taken[0]:
            lock.release()

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join(60)
    return taken[0]


# Without a runtime


@pytest.mark.parametrize("kind", ["GO", "CMD", "END"])
def test_work_without_a_runtime_changes_nothing(no_runtime, kind):
    """``MissingPluginError`` names the package, and comes before anything has changed."""
    store, told = Store(asking, 0, record=True), []
    store.subscribe(lambda: told.append(True))
    with pytest.raises(MissingPluginError, match=r"milo-effects.*pip install.*runtime=") as caught:
        store.dispatch(Action(kind))
    assert caught.value.group == "milo.runtime"
    assert (store.state, store.view_state, store.quit_requested) == (0, None, False)
    assert (told, len(store.recording)) == ([], 1)
    store.dispatch(Action("OTHER"))
    assert len(store.recording) == 2


def test_run_saga_without_a_runtime(no_runtime):
    """``run_saga`` says the same."""
    with pytest.raises(MissingPluginError, match="milo-effects"):
        Store(asking, 0).run_saga(iter(()))


def test_init_without_a_runtime(no_runtime):
    """A reducer that asks for work on ``@@INIT`` makes the constructor say so."""
    with pytest.raises(MissingPluginError, match="milo-effects"):
        Store(lambda state, action: ReducerResult(state, cmds=("cmd",)), 0)


# Which runtime


def installed(monkeypatch, *entries):
    """Make ``entries`` of name and value the installed runtimes."""
    points = [plugins.EntryPoint(name, value, runtime.RUNTIME_GROUP) for name, value in entries]
    group = plugins.PluginGroup(runtime.RUNTIME_GROUP, entry_points=points)
    monkeypatch.setattr(runtime, "plugin_group", {runtime.RUNTIME_GROUP: group}.__getitem__)


def test_the_installed_runtime_is_used(monkeypatch):
    """The factory that an entry point declares makes the store's runtime."""
    installed(monkeypatch, ("fine", "types:SimpleNamespace"))
    assert runtime.installed_runtime().__name__ == "SimpleNamespace"


def test_two_installed_runtimes_are_refused(monkeypatch):
    """Which of two runtimes a store gets is not left to chance; the error names both."""
    installed(monkeypatch, ("one", "json:dumps"), ("two", "json:loads"))
    store = Store(asking, 0)
    with pytest.raises(PluginError, match=r"one .* two .*(uninstall|runtime=)"):
        store.dispatch(Action("GO"))
    assert store.state == 0


@pytest.mark.parametrize("value", ["json:no_such_name", "json:__name__"])
def test_a_broken_runtime_changes_nothing(monkeypatch, value):
    """A runtime that does not load, or is no factory, is a ``PluginError`` before the change."""
    installed(monkeypatch, ("broken", value))
    store = Store(asking, 0)
    for _ in range(2):
        with pytest.raises(PluginError, match="plugin 'broken' of milo"):
            store.dispatch(Action("GO"))
    assert store.state == 0


def test_a_factory_that_fails_changes_nothing():
    """What a factory raises comes out of ``dispatch``; the next need tries it again."""
    attempts = []

    def factory(host):
        attempts.append(host)
        raise OSError("no threads left")

    store = Store(asking, 0, runtime=factory)
    for _ in range(2):
        with pytest.raises(OSError, match="no threads left"):
            store.dispatch(Action("GO"))
    assert (store.state, len(attempts)) == (0, 2)


def test_a_runtime_is_made_when_it_is_first_needed(fake_runtime):
    """Plain dispatches make no runtime; the first work makes the only one."""
    store = Store(asking, 0, runtime=fake_runtime)
    store.dispatch(Action("OTHER"))
    assert fake_runtime.notes == []
    store.dispatch(Action("GO"))
    store.dispatch(Action("CMD"))
    store.run_saga("s")
    assert fake_runtime.notes.count("made") == 1


def test_the_runtime_can_be_asked_for(fake_runtime):
    """``store.runtime`` is the one that runs its sagas, made now if need be."""
    store = Store(asking, 0, runtime=fake_runtime)
    assert store.runtime is fake_runtime
    store.run_saga("s")
    assert store.runtime is fake_runtime
    assert fake_runtime.notes.count("made") == 1
    store.shutdown()
    assert store.runtime is fake_runtime


def test_a_runtime_that_cannot_be_had(fake_runtime, no_runtime):
    """``store.runtime`` says why, as starting a saga would."""
    with pytest.raises(MissingPluginError, match="milo-effects"):
        _ = Store(asking, 0).runtime
    with Store(asking, 0, runtime=fake_runtime) as store:
        pass
    with pytest.raises(StateError, match="shut down"):
        _ = store.runtime
    assert fake_runtime.notes == []


def test_eight_threads_make_one_runtime(together, fake_runtime):
    """However many threads need it first, the factory is called once."""
    for _ in range(20):
        del fake_runtime.notes[:]
        store = Store(asking, 0, runtime=fake_runtime)
        together(*[lambda store=store: store.run_saga("s")] * 8)
        assert fake_runtime.notes.count("made") == 1


def test_the_host_hands_on_what_the_store_was_given(fake_runtime):
    """Workers, pressure callback and threshold reach the runtime as they are."""
    store = Store(
        asking,
        0,
        runtime=fake_runtime,
        max_workers=3,
        on_pool_pressure=print,
        pool_pressure_threshold=0.5,
    )
    store.run_saga("s")
    host = fake_runtime.host
    assert host.store is store
    assert (host.max_workers, host.on_pool_pressure, host.pool_pressure_threshold) == (
        3,
        print,
        0.5,
    )


# The order of a dispatch


def test_the_order_of_a_dispatch(fake_runtime):
    """Middleware, reducer, on_action, wake, listeners, sagas and commands, quit flag."""
    notes = fake_runtime.notes

    def layer(next_dispatch, get_state):
        def dispatch(action):
            notes.append("middleware in")
            next_dispatch(action)
            notes.append("middleware out")

        return dispatch

    def reducer(state, action):
        notes.append("reducer")
        return asking(state, action)

    def wake():
        notes.append(("wake", store.state, is_free(fake_runtime.host.lock)))

    store = Store(reducer, 0, (layer,), runtime=fake_runtime)
    store.subscribe(lambda: notes.append(("listener", store.state, store.quit_requested)))
    fake_runtime.wake = wake
    del notes[:]
    store.dispatch(Action("END"))
    assert notes == [
        "middleware in",
        "reducer",
        "made",
        "on_action END",
        ("wake", 1, True),
        ("listener", 1, False),
        ("start", ("last",), ()),
        "middleware out",
    ]
    assert store.quit_requested


def test_the_quit_flag_comes_last(fake_runtime):
    """When sagas are started the quit flag is not yet set, so that they see a living store."""
    store = Store(asking, 0, runtime=fake_runtime)
    flags = []
    fake_runtime.start = lambda sagas, cmds: flags.append(store.quit_requested)
    store.dispatch(Action("END"))
    assert flags == [False]
    assert store.quit_requested


def test_a_quit_counts_even_when_its_sagas_cannot_start(fake_runtime):
    """A runtime that fails to start a quit's sagas is heard of, and the quit flag is set."""
    store = Store(asking, 0, runtime=fake_runtime)

    def start(sagas, cmds):
        raise OSError("no threads left")

    fake_runtime.start = start
    with pytest.raises(OSError, match="no threads left"):
        store.dispatch(Action("END"))
    assert store.quit_requested


def test_on_action_runs_under_the_lock_with_the_new_state(fake_runtime):
    """While actions are matched no other dispatch can come between, and the state is new."""
    store = Store(asking, 0, runtime=fake_runtime)
    seen = []

    def on_action(action):
        seen.append((action.type, store.state, is_free(fake_runtime.host.lock)))

    fake_runtime.on_action = on_action
    store.dispatch(Action("GO"))
    store.dispatch(Action("OTHER"))
    assert seen == [("GO", 1, False), ("OTHER", 1, False)]


def test_a_dispatch_during_matching_is_refused(fake_runtime):
    """A ``Take`` predicate that dispatches gets the ``StateError`` a reducer would get."""
    store = Store(asking, 0, runtime=fake_runtime)
    refused = []

    def on_action(action):
        with pytest.raises(StateError, match="Take predicate") as caught:
            store.dispatch(Action("OTHER"))
        refused.append(caught.value)

    fake_runtime.on_action = on_action
    store.dispatch(Action("GO"))
    assert len(refused) == 1


def test_actions_reach_the_runtime_in_order_of_dispatch(together, fake_runtime):
    """Eight threads dispatching: ``on_action`` sees every action in the order of the states."""
    for _ in range(20):
        del fake_runtime.actions[:]
        store = Store(lambda s, a: (*s, a.type), (), runtime=fake_runtime)
        store.run_saga("s")

        def work(name, store=store):
            for number in range(10):
                store.dispatch(Action(f"{name}{number}"))

        together(*[lambda name=name: work(name) for name in "abcdefgh"])
        assert tuple(each.type for each in fake_runtime.actions) == store.state[1:]


def test_a_failing_reducer_is_no_action(fake_runtime):
    """An action that the reducer failed on wakes nobody and starts nothing."""
    store = Store(lambda s, a: 1 / (a.type != "FAIL"), 0, runtime=fake_runtime)
    store.run_saga("s")
    before = list(fake_runtime.notes)
    with pytest.raises(StateError):
        store.dispatch(Action("FAIL"))
    assert fake_runtime.notes == before


def test_only_awaited_types_reach_the_runtime(fake_runtime):
    """``on_action`` is called for types in the container, as it stands when they come."""
    store, awaited = Store(asking, 0, runtime=fake_runtime), {"ONE"}
    store.run_saga("s")
    fake_runtime.host.listen_for(awaited)
    for kind in ("ONE", "TWO"):
        store.dispatch(Action(kind, "first"))
    awaited.add("TWO")
    awaited.remove("ONE")
    for kind in ("ONE", "TWO"):
        store.dispatch(Action(kind, "then"))
    assert fake_runtime.actions == [Action("ONE", "first"), Action("TWO", "then")]


def test_whoever_listens_last_is_asked(fake_runtime):
    """A second container takes the place of the first; an empty one ends the listening."""
    store = Store(asking, 0, runtime=fake_runtime)
    store.run_saga("s")
    for awaited in ({"ONE"}, {"TWO"}, ()):
        fake_runtime.host.listen_for(awaited)
        store.dispatch(Action("ONE"))
        store.dispatch(Action("TWO"))
    assert fake_runtime.actions == [Action("ONE"), Action("TWO")]


def test_awaited_types_are_asked_for_under_the_lock(fake_runtime):
    """So a container that changes under the lock, as takers come and go, misses nothing."""
    store, free = Store(asking, 0, runtime=fake_runtime), []
    store.run_saga("s")

    class Asked:
        def __contains__(self, kind):
            free.append(is_free(fake_runtime.host.lock))
            return False

    fake_runtime.host.listen_for(Asked())
    store.dispatch(Action("OTHER"))
    assert free == [False]
    assert fake_runtime.actions == []


# Marks


def passing(next_dispatch, get_state):
    return next_dispatch


def changing(next_dispatch, get_state):
    return lambda action: next_dispatch(Action("CHANGED", action.payload))


@pytest.mark.parametrize("middleware", [(), (passing,), (passing, changing)])
def test_a_mark_is_opened_behind_its_action(fake_runtime, behind, middleware):
    """The first action linked behind a put's mark is the next dispatched after its own."""
    store, mark = Store(asking, 0, middleware, runtime=fake_runtime), Mark()
    store.run_saga("s")
    store.dispatch(Action("EARLIER"))
    fake_runtime.host.put(Action("PUT"), mark)
    assert behind(mark) == []
    store.dispatch(Action("NEXT"))
    store.dispatch(Action("LAST"))
    kinds = ["CHANGED"] * 2 if changing in middleware else ["NEXT", "LAST"]
    assert [each.type for each in behind(mark)] == kinds


@pytest.mark.parametrize("middleware", [(), (passing,)])
def test_putting_again_moves_the_mark(fake_runtime, behind, middleware):
    """A mark stands behind the latest of its puts, whatever was dispatched between them."""
    store, mark = Store(asking, 0, middleware, runtime=fake_runtime), Mark()
    store.run_saga("s")
    for between in ([], ["A"], ["B", "C"]):
        fake_runtime.host.put(Action("PUT"), mark)
        for kind in between:
            store.dispatch(Action(kind))
        assert [each.type for each in behind(mark)] == between
    fake_runtime.host.put(Action("PUT"), mark)
    assert behind(mark) == []


def test_a_put_is_seen_behind_other_marks(fake_runtime, behind):
    """What one saga puts is dispatched like anything else, for the marks that are open."""
    store, one, two = Store(asking, 0, runtime=fake_runtime), Mark(), Mark()
    store.run_saga("s")
    fake_runtime.host.put(Action("ONE"), one)
    fake_runtime.host.put(Action("TWO"), two)
    assert (behind(one), behind(two)) == ([Action("TWO")], [])


def holding(next_dispatch, get_state):
    def dispatch(action):
        if action.type == "FAIL":
            raise LookupError
        if action.type != "HOLD":
            next_dispatch(action)

    return dispatch


@pytest.mark.parametrize("kind", ["HOLD", "FAIL"])
def test_a_mark_held_back_stands_where_its_put_began(fake_runtime, behind, kind):
    """Where middleware swallows a put, or fails, its mark does not stick to the next action."""
    store, mark = Store(asking, 0, (holding,), runtime=fake_runtime), Mark()
    store.run_saga("s")
    store.dispatch(Action("EARLIER"))
    try:
        fake_runtime.host.put(Action(kind), mark)
    except LookupError:
        assert kind == "FAIL"
    store.dispatch(Action("NEXT"))
    store.dispatch(Action("LAST"))
    assert behind(mark) == [Action("NEXT"), Action("LAST")]


def test_a_mark_is_for_the_first_of_several_actions(fake_runtime, behind):
    """Where middleware passes on two actions for one put, the mark stands between them."""

    def doubling(next_dispatch, get_state):
        def dispatch(action):
            next_dispatch(action)
            next_dispatch(Action("ECHO"))

        return dispatch

    store, mark = Store(asking, 0, (doubling,), runtime=fake_runtime), Mark()
    store.run_saga("s")
    fake_runtime.host.put(Action("PUT"), mark)
    assert behind(mark) == [Action("ECHO")]


def test_a_mark_is_not_for_what_middleware_dispatches_on_the_way(fake_runtime, behind):
    """An action of its own that middleware dispatches first does not take the put's mark."""

    def announcing(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "PUT":
                store.dispatch(Action("ANNOUNCED"))
            next_dispatch(action)

        return dispatch

    store, mark = Store(asking, 0, (announcing,), runtime=fake_runtime), Mark()
    store.run_saga("s")
    fake_runtime.host.put(Action("PUT"), mark)
    assert [each.type for each in fake_runtime.actions] == ["ANNOUNCED", "PUT"]
    assert behind(mark) == []
    store.dispatch(Action("NEXT"))
    assert behind(mark) == [Action("NEXT")]


def test_a_mark_survives_what_middleware_dispatches_and_refuses(fake_runtime, behind):
    """An action of middleware's own that fails on the way leaves the mark to the put."""

    def announcing(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "PUT":
                with pytest.raises(LookupError):
                    store.dispatch(Action("FAIL"))
            next_dispatch(action)

        return dispatch

    store, mark = Store(asking, 0, (announcing, holding), runtime=fake_runtime), Mark()
    store.run_saga("s")
    fake_runtime.host.put(Action("PUT"), mark)
    assert behind(mark) == []


@pytest.mark.parametrize("middleware", [(), (passing,), (lambda n, g: lambda action: None,)])
def test_a_closed_mark_is_not_kept(fake_runtime, middleware):
    """Once closed, its put held back or not, a mark is gone with the next action but one."""

    class Watched(Mark):
        pass

    store, mark = Store(asking, 0, middleware, runtime=fake_runtime), Watched()
    store.run_saga("s")
    gone = weakref.ref(mark)
    fake_runtime.host.put(Action("PUT"), mark)
    mark.node = None
    fake_runtime.host.put(Action("PUT"), Mark())
    fake_runtime.host.put(Action("PUT"), Mark())
    del mark
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("middleware", [(), (passing,)])
def test_a_mark_is_not_for_what_listeners_dispatch(fake_runtime, behind, middleware):
    """A dispatch from a listener of the put's action comes behind the mark."""
    store, mark = Store(asking, 0, middleware, runtime=fake_runtime), Mark()
    store.run_saga("s")
    leave = store.subscribe(lambda: (leave(), store.dispatch(Action("HEARD"))))
    fake_runtime.host.put(Action("PUT"), mark)
    assert behind(mark) == [Action("HEARD")]


@pytest.mark.parametrize("middleware", [(), (passing,)])
def test_an_action_that_fails_is_seen_behind_no_mark(fake_runtime, behind, middleware):
    """What the reducer refuses was not dispatched; a put of it does not move the mark on."""

    def reducer(state, action):
        return 1 / (action.type != "FAIL")

    store, mark = Store(reducer, 0, middleware, runtime=fake_runtime), Mark()
    store.run_saga("s")
    fake_runtime.host.put(Action("PUT"), mark)
    with pytest.raises(StateError):
        store.dispatch(Action("FAIL"))
    assert behind(mark) == []
    with pytest.raises(StateError):
        fake_runtime.host.put(Action("FAIL"), mark)
    store.dispatch(Action("NEXT"))
    assert behind(mark) == [Action("NEXT")]


@pytest.mark.parametrize("middleware", [(), (passing,)])
def test_marks_of_many_threads_do_not_mix(fake_runtime, together, behind, middleware):
    """Eight threads putting at once: behind each mark stands what came after its own action."""
    for _ in range(20):
        del fake_runtime.actions[:]
        store = Store(asking, 0, middleware, runtime=fake_runtime)
        store.run_saga("s")
        host, marks = fake_runtime.host, []

        def work(name, store=store, host=host, marks=marks):
            for number in range(10):
                mark = Mark()
                host.put(Action("PUT", (name, number)), mark)
                store.dispatch(Action("PLAIN", (name, number)))
                marks.append(((name, number), mark))

        together(*[lambda name=name: work(name) for name in "abcdefgh"])
        order = fake_runtime.actions
        assert len(order) == 160
        for payload, mark in marks:
            assert behind(mark) == order[order.index(Action("PUT", payload)) + 1 :]


# Sagas, idleness, the end


def test_run_saga_hands_everything_on(fake_runtime):
    """``run_saga`` gives saga, event and context to the runtime and returns its answer."""
    store, cancel = Store(asking, 0, runtime=fake_runtime), threading.Event()
    assert store.run_saga("saga", cancel, context="c") == "a context"
    assert fake_runtime.notes[-1] == ("run_saga", "saga", cancel, "c")


def test_idleness_and_activity_are_the_runtimes(fake_runtime):
    """``wait_idle`` and ``pool_active`` answer what the runtime answers."""
    store = Store(asking, 0, runtime=fake_runtime)
    assert (store.wait_idle(1), store.pool_active) == (True, 0)
    store.run_saga("s")
    fake_runtime.active = 5
    assert store.pool_active == 5
    assert store.wait_idle(0.5) is False
    assert fake_runtime.notes[-1] == ("wait_idle", 0.5)


def test_shutdown_ends_the_runtime_and_not_the_store(fake_runtime, caplog):
    """After ``shutdown`` dispatching works, ``run_saga`` does not, and asked-for work is logged."""
    store = Store(asking, 0, runtime=fake_runtime)
    store.run_saga("s")
    store.shutdown()
    assert fake_runtime.notes[-1] == "shutdown"
    with pytest.raises(StateError, match="shut down"):
        store.run_saga("s")
    with caplog.at_level(logging.WARNING, logger="milo_core.store"):
        store.dispatch(Action("GO"))
        store.dispatch(Action("CMD"))
    assert store.state == 2
    assert "1 sagas and 0 commands" in caplog.text and "0 sagas and 1 commands" in caplog.text
    assert not [note for note in fake_runtime.notes if note[0] == "start"]


def test_a_store_shut_down_unused_never_makes_a_runtime(fake_runtime, no_runtime, caplog):
    """Work asked for after ``shutdown`` needs no runtime, for it would never be shut down."""
    for factory in (fake_runtime, None):
        store = Store(asking, 0, runtime=factory)
        store.shutdown()
        store.dispatch(Action("GO"))
        assert store.state == 1
        with pytest.raises(StateError, match="shut down"):
            store.run_saga("s")
    assert fake_runtime.notes == []


def test_a_store_is_a_context_manager(fake_runtime):
    """``with Store(...) as store`` shuts down at the end, also after an error."""
    with pytest.raises(LookupError), Store(asking, 0, runtime=fake_runtime) as store:
        store.run_saga("s")
        raise LookupError
    assert fake_runtime.notes[-1] == "shutdown"


def test_no_runtime_is_made_while_the_store_shuts_down(together, fake_runtime):
    """A saga that races with ``shutdown`` is either shut down with the rest or refused."""
    for _ in range(50):
        del fake_runtime.notes[:]
        store = Store(asking, 0, runtime=fake_runtime)

        def start(store=store):
            try:
                store.run_saga("s")
            except StateError:
                return

        together(start, store.shutdown, start)
        assert fake_runtime.notes.count("made") == fake_runtime.notes.count("shutdown")


def test_a_shutdown_in_the_middle_of_run_saga_wins(fake_runtime):
    """When ``shutdown`` comes while the runtime is about to be made, none is made."""
    store = Store(asking, 0, runtime=fake_runtime)
    lock = store._lock

    class OvertakenLock:
        def __enter__(self):
            store._lock = lock
            store.shutdown()

        def __exit__(self, *error):
            return None

    store._lock = OvertakenLock()
    with pytest.raises(StateError, match="shut down"):
        store.run_saga("s")
    assert fake_runtime.notes == []


def test_shutdown_and_wait_idle_are_refused_in_a_reducer(fake_runtime):
    """In a reducer, which sagas wait for, neither can end, so both are ``StateError``."""
    store = Store(lambda s, a: getattr(store, a.type)() if s else 1, 0, runtime=fake_runtime)
    store.run_saga("s")
    for name in ("shutdown", "wait_idle"):
        with pytest.raises(StateError, match=f"{name} was called from inside a reducer"):
            store.dispatch(Action(name))
    assert "shutdown" not in fake_runtime.notes


def test_shutdown_from_a_listener_returns_at_once(fake_runtime, gate):
    """A listener that shuts down, which sagas may wait for, is not kept waiting for them."""
    asked, free, ended = gate(), gate(), gate()

    def shutdown():
        asked.set()
        free.pass_through()
        ended.set()

    fake_runtime.shutdown = shutdown
    store = Store(asking, 0, runtime=fake_runtime)
    store.run_saga("s")
    store.subscribe(store.shutdown)
    store.dispatch(Action("OTHER"))
    asked.pass_through()
    with pytest.raises(StateError, match="shut down"):
        store.run_saga("s")
    free.set()
    ended.pass_through()


def test_work_for_init_starts_from_the_constructor(fake_runtime):
    """What ``@@INIT`` asks for is started before the constructor returns."""

    def reducer(state, action):
        return ReducerResult(state, sagas=("first",)) if action.type == INIT else state

    Store(reducer, 0, runtime=fake_runtime)
    assert fake_runtime.notes == ["made", "on_action @@INIT", ("start", ("first",), ())]


def test_a_runtime_made_meanwhile_is_used(fake_runtime):
    """When another thread makes the runtime while this one waits to, there is still one."""
    store = Store(asking, 0, runtime=fake_runtime)
    lock = store._lock

    class OvertakenLock:
        def __enter__(self):
            store._lock = lock
            store.run_saga("overtaking")

        def __exit__(self, *error):
            return None

    store._lock = OvertakenLock()
    store.run_saga("overtaken")
    assert fake_runtime.notes.count("made") == 1
    assert [note[1] for note in fake_runtime.notes[1:]] == ["overtaking", "overtaken"]
