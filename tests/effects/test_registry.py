"""EffectRegistry: which handler carries out which effect, ours, given, or a plugin's."""

import logging
import sys
import threading
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from milo_core.plugins import PluginGroup
from milo_effects import (
    Call,
    Delay,
    EffectRegistry,
    EffectResult,
    HandlerError,
    RegistrationError,
    SagaCancelled,
    Take,
    UnknownEffectError,
    handles,
)
from milo_effects.handlers import BUILT_IN


@dataclass(frozen=True)
class Ping:
    text: str = "ping"


@dataclass(frozen=True)
class LoudPing(Ping):
    pass


@handles(Ping)
def ping(effect, context, store):
    return EffectResult.send(effect.text.replace("i", "o"))


@handles(Ping)
def other_ping(effect, context, store):
    return EffectResult.next()


def one(effect):
    return (yield effect)


@pytest.fixture
def plugins(monkeypatch):
    """``plugins(name=object)``: a group whose entry points load those objects."""
    module = types.ModuleType("milo_test_plugins")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def group(**objects):
        for name, each in objects.items():
            setattr(module, name, each)
        return PluginGroup(
            "milo.effects",
            entry_points=[
                EntryPoint(name, f"milo_test_plugins:{name}", "milo.effects") for name in objects
            ],
        )

    return group


# Handlers of one's own


@pytest.mark.parametrize("given", [ping, {Ping: ping}])
def test_a_handler_or_table_can_be_given(new_store, run, given):
    """``EffectRegistry(handler)`` adds it to the built-in ones."""
    store = new_store(registry=EffectRegistry(given))
    assert run(store, one(Ping())) == "pong"
    assert run(store, one(Call(int))) == 0


def test_a_handler_serves_subclasses_of_its_effect(new_store, run):
    """An effect derived from a known one needs no handler of its own."""
    assert run(new_store(registry=EffectRegistry(ping)), one(LoudPing("zip"))) == "zop"


def test_effect_context_and_store_are_handed_over(new_store, run):
    """A handler gets the effect yielded, the saga's context and the store."""
    given = []

    @handles(Ping)
    def note(effect, context, store):
        given.append((effect, context.saga_id, store))
        return EffectResult.next()

    store = new_store(registry=EffectRegistry(note))
    effect = Ping()
    task = store.run_saga(one(effect))
    assert task.result(60) is None
    assert given == [(effect, task.saga_id, store)]


def test_two_handlers_for_one_effect_are_refused():
    """Whether both are given or one is built in; the error names both."""
    with pytest.raises(RegistrationError, match="Ping has two handlers"):
        EffectRegistry(ping, other_ping)

    @handles(Delay)
    def nap(effect, context, store):
        return EffectResult.next()

    with pytest.raises(RegistrationError, match="Delay has two handlers"):
        EffectRegistry(nap)
    assert EffectRegistry(ping, ping, {Ping: ping}).table[Ping] is ping


@pytest.mark.parametrize("given", [5, print, "text", lambda effect, context, store: None])
def test_what_is_not_marked_is_refused(given):
    """The error says how to mark a handler."""
    with pytest.raises(RegistrationError, match="neither a handler marked with @handles"):
        EffectRegistry(given)


@pytest.mark.parametrize("wrong", [5, "Ping", Ping()])
def test_handles_takes_a_class(wrong):
    """The error says what to write."""
    with pytest.raises(RegistrationError, match=r"write @handles\(MyEffect\)"):
        handles(wrong)


def test_one_registry_does_not_change_another():
    """Handlers belong to the registry they were given to."""
    EffectRegistry(ping)
    assert Ping not in EffectRegistry(plugins=PluginGroup("none", entry_points=[])).table
    assert Ping not in BUILT_IN


# What handlers may answer


def test_every_immediate_answer(new_store, run):
    """``send``, ``next``, ``throw`` and ``cont`` resume the saga as they say."""
    answers = iter(
        [
            EffectResult.send(1),
            EffectResult.next(),
            EffectResult.cont(),
            EffectResult.throw(LookupError("thrown")),
        ]
    )

    @handles(Ping)
    def answer(effect, context, store):
        return next(answers)

    def saga():
        got = [(yield Ping()), (yield Ping()), (yield Ping())]
        with pytest.raises(LookupError, match="thrown"):
            yield Ping()
        return got

    assert run(new_store(registry=EffectRegistry(answer)), saga()) == [1, None, None]


@pytest.mark.parametrize("kind", ["cont", "next"])
def test_a_cancelled_saga_does_not_go_on_after_an_answer(new_store, ended, kind):
    """The runner looks at cancellation before it resumes the saga."""

    @handles(Ping)
    def cancel_self(effect, context, store):
        context.cancel_tree()
        return getattr(EffectResult, kind)()

    store, passed = new_store(registry=EffectRegistry(cancel_self)), []

    def saga():
        yield Ping()
        passed.append(True)

    assert ended(store.run_saga(saga())) is SagaCancelled
    assert passed == []


class Unprintable:
    def __repr__(self):
        raise ValueError("no repr")


@pytest.mark.parametrize(
    "answer", [None, 5, "send", EffectResult("jump"), EffectResult("wait"), EffectResult("throw")]
)
def test_a_nonsense_answer_is_thrown_at_the_yield(new_store, run, answer):
    """The error names the effect and what a handler returns, and can be caught."""

    @handles(Ping)
    def broken(effect, context, store):
        return answer

    def saga():
        with pytest.raises(HandlerError, match="the handler of Ping returned"):
            yield Ping()
        return "went on"

    assert run(new_store(registry=EffectRegistry(broken)), saga()) == "went on"


@pytest.mark.parametrize("stop", [None, 5, "stop"])
def test_a_start_that_gives_no_way_to_stop_is_thrown(new_store, run, left, stop):
    """A wait that could not be cancelled is refused, rather than hang at shutdown."""

    @handles(Ping)
    def broken(effect, context, store):
        return EffectResult.wait(lambda resume: stop)

    store = new_store(registry=EffectRegistry(broken))

    def saga():
        with pytest.raises(HandlerError, match="the start function that Ping waits with"):
            yield Ping()
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, BaseException])
@pytest.mark.parametrize("where", ["handler", "start"])
def test_what_a_handler_raises_is_thrown_at_the_yield(new_store, run, error, where):
    """Whether it raises itself or its start does."""

    def fail(resume=None):
        raise error("broken")

    @handles(Ping)
    def broken(effect, context, store):
        return fail() if where == "handler" else EffectResult.wait(fail)

    def saga():
        with pytest.raises(error, match="broken"):
            yield Ping()
        return "went on"

    assert run(new_store(registry=EffectRegistry(broken)), saga()) == "went on"


def test_an_answer_that_cannot_be_shown_ends_only_its_saga(new_store, ended, run, caplog):
    """Even a failing ``repr`` does not cost a worker or leave a saga that never ends."""

    @handles(Ping)
    def broken(effect, context, store):
        return Unprintable()

    store = new_store(registry=EffectRegistry(broken), max_workers=1)
    assert ended(store.run_saga(one(Ping()))) is ValueError
    assert run(store, one(Call(int))) == 0
    assert "failed" in caplog.text


# Unknown effects and plugins


@pytest.mark.parametrize("effect", [5, None, "text", object(), Ping()])
def test_an_unknown_effect_is_thrown_at_the_yield(new_store, run, plugins, effect):
    """The error names it and what is registered, and can be caught."""
    store = new_store(registry=EffectRegistry(plugins=plugins()))

    def saga():
        with pytest.raises(UnknownEffectError, match="no handler for") as caught:
            yield effect
        assert caught.value.effect is effect
        return str(caught.value)

    message = run(store, saga())
    assert type(effect).__name__ in message
    assert "Call, Debounce, Delay" in message


def test_yielding_a_generator_suggests_yield_from(new_store, run, plugins):
    """The common slip has its own hint."""
    store = new_store(registry=EffectRegistry(plugins=plugins()))

    def saga():
        with pytest.raises(UnknownEffectError, match=r"yield from saga\(\)"):
            yield one(Ping())
        return "went on"

    assert run(store, saga()) == "went on"


@pytest.mark.parametrize("given", [ping, {Ping: ping}])
def test_a_plugin_is_loaded_when_its_effect_is_first_yielded(new_store, run, plugins, given):
    """Not before: what is not needed is not imported."""
    group = plugins(pings=given)
    registry = EffectRegistry(plugins=group)
    store = new_store(registry=registry)
    run(store, one(Call(int)))
    assert Ping not in registry.table
    assert run(store, one(Ping())) == "pong"
    assert registry.knows(Ping())
    assert not registry.knows(5)


def test_broken_plugins_do_not_break_the_others(new_store, run, plugins, caplog):
    """Each is logged with its name and left out; the error for an unknown effect names them."""
    group = plugins(good=ping, malformed=5, thief={Delay: print, LoudPing: print})
    group._found["gone"] = [EntryPoint("gone", "milo_no_such_module:x", "milo.effects")]
    store = new_store(registry=EffectRegistry(plugins=group))
    with caplog.at_level(logging.WARNING):
        assert run(store, one(Ping())) == "pong"
    for name in ("malformed", "thief", "gone"):
        assert f"plugin '{name}'" in caplog.text

    def saga():
        with pytest.raises(UnknownEffectError) as caught:
            yield 5
        return str(caught.value)

    message = run(store, saga())
    assert "plugin 'gone'" in message
    assert "Delay has a handler already" in message
    assert run(store, one(Delay(0))) is None


def test_a_handler_given_by_hand_wins_over_a_plugins(new_store, run, plugins):
    """And does not spoil the plugin for stores that have none of their own."""
    group = plugins(pings={Ping: other_ping})
    own = EffectRegistry(ping, plugins=group)
    with pytest.raises(UnknownEffectError, match="Ping has a handler already"):
        own.find(5)
    assert run(new_store(registry=own), one(Ping())) == "pong"
    assert run(new_store(registry=EffectRegistry(plugins=group)), one(Ping())) is None


def test_several_workers_may_be_the_first_to_need_a_plugin(plugins, together, frantic, caplog):
    """Fifty times at once: the plugin is loaded, used, and never taken for a duplicate."""
    for _ in range(50):
        registry = EffectRegistry(plugins=plugins(pings={Ping: ping}))
        found = []
        together(*[lambda r=registry, f=found: f.append(r.find(Ping()))] * 4)
        assert found == [ping] * 4
        with pytest.raises(UnknownEffectError) as caught:
            registry.find(5)
        assert "already" not in str(caught.value)
    assert caplog.text == ""


# Waiting


@dataclass(frozen=True)
class Wait:
    """Waits as its ``start`` says."""

    start: object


@handles(Wait)
def wait(effect, context, store):
    return EffectResult.wait(effect.start)


@pytest.fixture
def waiting_store(new_store):
    return new_store(registry=EffectRegistry(wait), max_workers=2)


def nothing():
    """A way to stop that does nothing."""


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (lambda resume: resume.send(5), 5),
        (lambda resume: resume.next(), None),
        (lambda resume: resume.throw(LookupError("late")), LookupError),
    ],
)
@pytest.mark.parametrize("when", ["in start", "from a thread before start returns", "later"])
def test_a_wait_can_be_ended_whenever(waiting_store, ended, settle, how, outcome, when):
    """Synchronously, by another thread while ``start`` still runs, or afterwards."""
    kept = []

    def start(resume):
        if when == "in start":
            how(resume)
        elif when == "later":
            kept.append(resume)
        else:
            thread = threading.Thread(target=how, args=(resume,))
            thread.start()
            thread.join(60)
        return nothing

    task = waiting_store.run_saga(one(Wait(start)))
    settle(waiting_store)
    for resume in kept:
        how(resume)
    assert ended(task) == outcome


def test_only_the_first_resume_counts(waiting_store, run):
    """Later ones do nothing, also when the saga waits for something else by then."""
    kept = []

    def start(resume):
        kept.append(resume)
        resume.send(1)
        resume.send(2)
        resume.throw(ValueError("3"))
        return nothing

    def saga():
        first = yield Wait(start)
        second = yield Wait(start)
        for resume in kept:
            resume.send("too late")
        return first, second, (yield Delay(0))

    assert run(waiting_store, saga()) == (1, 1, None)


def test_send_later_resumes_when_its_result_is_called(waiting_store, settle, hangs):
    """For callers that hold a lock: the worker is woken by the function that comes back."""
    kept = []

    def start(resume):
        kept.append(resume)
        return nothing

    task = waiting_store.run_saga(one(Wait(start)))
    settle(waiting_store)
    wake = kept[0].send_later(5)
    assert not task.done()
    wake()
    assert task.result(hangs) == 5
    assert kept[0].send_later(6) is None


def test_cancelling_stops_what_was_started_once(waiting_store, settle, ended):
    """The function that ``start`` returned is called, and a late resume does nothing."""
    kept, stopped = [], []

    def start(resume):
        kept.append(resume)
        return lambda: stopped.append(1)

    task = waiting_store.run_saga(one(Wait(start)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    kept[0].send(5)
    settle(waiting_store)
    assert stopped == [1]


def test_a_cancellation_during_start_stops_it_afterwards(new_store, ended):
    """The wait is begun, then stopped; the saga gets ``SagaCancelled`` at its yield."""
    stopped = []

    @handles(Ping)
    def cancelled_meanwhile(effect, context, store):
        def start(resume):
            context.cancel_tree()
            return lambda: stopped.append(1)

        return EffectResult.wait(start)

    store = new_store(registry=EffectRegistry(cancelled_meanwhile))
    assert ended(store.run_saga(one(Ping()))) is SagaCancelled
    assert stopped == [1]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_stop_that_raises_is_logged_and_the_saga_cancelled(
    waiting_store, settle, ended, caplog, error
):
    """A plugin's mistake does not make its sagas immortal."""

    def stop():
        raise error("cannot stop")

    task = waiting_store.run_saga(one(Wait(lambda resume: stop)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert "cannot stop" in caplog.text


@pytest.mark.parametrize("how", ["send", "throw"])
def test_winding_down_delays_the_cancellation_until_resumed(waiting_store, settle, ended, how):
    """The saga is told only when what it waited for has ended; the result is not."""
    kept, told = [], []

    def start(resume):
        kept.append(resume)
        return lambda: "winding down"

    def saga():
        try:
            told.append((yield Wait(start)))
        except BaseException as error:
            told.append(type(error))
            raise

    task = waiting_store.run_saga(saga())
    settle(waiting_store)
    task.cancel()
    settle(waiting_store)
    assert told == []
    assert not task.done()
    kept[0].send(5) if how == "send" else kept[0].throw(ValueError("late"))
    assert ended(task) is SagaCancelled
    assert told == [SagaCancelled]


def test_winding_down_may_be_over_before_it_is_said(waiting_store, settle, ended):
    """A stop function that resumes and then answers ``WINDING_DOWN`` hangs nobody."""
    kept = []

    def start(resume):
        kept.append(resume)

        def stop():
            resume.next()
            return "winding down"

        return stop

    task = waiting_store.run_saga(one(Wait(start)))
    settle(waiting_store)
    task.cancel()
    assert ended(task) is SagaCancelled


def test_what_never_winds_down_is_closed_at_shutdown(waiting_store, settle, ended, monkeypatch):
    """Shutdown gives it its time and then closes the generator."""
    monkeypatch.setattr("milo_effects.runtime.CLEANUP_SECONDS", 0.01)
    stops = []

    def stop():
        stops.append(1)
        return "winding down"

    task = waiting_store.run_saga(one(Wait(lambda resume: stop)))
    settle(waiting_store)
    task.cancel()
    waiting_store.shutdown()
    assert ended(task) is SagaCancelled
    assert len(stops) == 2


def test_resuming_and_cancelling_at_the_same_time(waiting_store, together, settle, ended, frantic):
    """Two hundred times: the saga ends once, with the value or cancelled."""
    for _ in range(200):
        kept, begun = [], threading.Event()

        def start(resume, kept=kept, begun=begun):
            kept.append(resume)
            begun.set()
            return nothing

        task = waiting_store.run_saga(one(Wait(start)))
        assert begun.wait(60)
        together(lambda k=kept: k[0].send(5), task.cancel)
        assert ended(task) in (5, SagaCancelled)


def test_a_wait_that_was_over_and_raises_is_logged(waiting_store, run, caplog):
    """An error after the resume has nowhere else to go."""

    def start(resume):
        resume.send(5)
        raise ValueError("afterwards")

    assert run(waiting_store, one(Wait(start))) == 5
    waiting_store.shutdown()
    assert "afterwards" in caplog.text


def test_take_is_a_handler_like_any_other():
    """The built-in handlers are a table, of which each entry is marked."""
    assert Take in BUILT_IN
    assert all(each.milo_effect_type is kind for kind, each in BUILT_IN.items())
