"""EffectRegistry: which handler carries out which effect, ours, given, or a plugin's."""

import itertools
import logging
import sys
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
    answers,
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


@answers(Ping)
def echo(effect, context, store):
    return effect.text


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


def test_the_same_handler_may_be_given_twice(new_store, run):
    """By itself or in tables: it is one handler."""
    store = new_store(registry=EffectRegistry(ping, ping, {Ping: ping}))
    assert run(store, one(Ping())) == "pong"


@pytest.mark.parametrize("given", [5, print, "text", lambda effect, context, store: None])
def test_what_is_not_marked_is_refused(given):
    """The error says how to mark a handler."""
    with pytest.raises(RegistrationError, match="neither a handler marked with @handles"):
        EffectRegistry(given)


@pytest.mark.parametrize("wrong", [5, "Ping", Ping()])
@pytest.mark.parametrize("decorator", [handles, answers])
def test_a_handler_is_marked_with_a_class(decorator, wrong):
    """The error says what to write."""
    with pytest.raises(
        RegistrationError, match=rf"write @{decorator.__name__}\(MyEffect\)"
    ) as caught:
        decorator(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("decorator", [handles, answers])
def test_marking_leaves_the_function_as_it_is(decorator):
    """It can be called by hand, and marked under another name for another effect."""

    def plain(effect, context, store):
        return effect

    assert decorator(Ping)(plain) is plain
    assert plain(5, None, None) == 5


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


def test_an_answer_that_cannot_be_shown_is_thrown_as_what_showing_it_raised(
    new_store, run, ended, left
):
    """Even a failing ``repr`` costs no worker, and reaches the saga at its yield."""

    @handles(Ping)
    def broken(effect, context, store):
        return Unprintable()

    store = new_store(registry=EffectRegistry(broken), max_workers=1)

    def saga():
        with pytest.raises(ValueError, match="no repr"):
            yield Ping()
        return "went on"

    assert run(store, saga()) == "went on"
    assert ended(store.run_saga(one(Ping()))) is ValueError
    assert run(store, one(Call(int))) == 0
    assert left(store) == {}


# Handlers that return the answer itself


@pytest.mark.parametrize("answer", [5, None, "pong", ValueError("a value"), EffectResult.send(1)])
def test_what_an_answering_handler_returns_is_sent(new_store, run, answer):
    """Whatever it is, also an error, or what another handler would mean something by."""

    @answers(Ping)
    def plain(effect, context, store):
        return answer

    assert run(new_store(registry=EffectRegistry(plain)), one(Ping())) is answer


def test_an_answering_handler_gets_what_others_get(new_store):
    """The effect yielded, the saga's context and the store; subclasses of the effect, too."""
    given = []

    @answers(Ping)
    def note(effect, context, store):
        given.append((effect, context.saga_id, store))

    store = new_store(registry=EffectRegistry(note))
    task = store.run_saga(one(LoudPing()))
    assert task.result(60) is None
    assert given == [(LoudPing(), task.saga_id, store)]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_an_answering_handler_raises_is_thrown(new_store, run, error):
    """As with any other handler."""

    @answers(Ping)
    def broken(effect, context, store):
        raise error("broken")

    def saga():
        with pytest.raises(error, match="broken"):
            yield Ping()
        return "went on"

    assert run(new_store(registry=EffectRegistry(broken)), saga()) == "went on"


def test_an_answering_handler_may_follow_a_reply(new_store, run):
    """``context.follow`` throws, sends or waits, just as returning the reply would elsewhere."""
    replies = iter(
        [
            EffectResult.send(1),
            EffectResult.next(),
            EffectResult.cont(),
            EffectResult.throw(LookupError("thrown")),
            EffectResult.wait(lambda resume: (resume.send(2), print)[1]),
            EffectResult("jump"),
        ]
    )

    @answers(Ping)
    def follow(effect, context, store):
        return context.follow(next(replies))

    def saga():
        got = [(yield Ping()), (yield Ping()), (yield Ping())]
        with pytest.raises(LookupError, match="thrown"):
            yield Ping()
        got.append((yield Ping()))
        with pytest.raises(HandlerError, match="the handler of Ping returned"):
            yield Ping()
        return got

    assert run(new_store(registry=EffectRegistry(follow)), saga()) == [1, None, None, 2]


def test_answers_and_replies_may_take_turns(new_store, run):
    """What was followed once is not followed again with the next plain answer."""
    numbers = itertools.count()

    @answers(Ping)
    def alternate(effect, context, store):
        number = next(numbers)
        return context.follow(EffectResult.send(-number)) if number % 2 else number

    def saga():
        got = []
        for _ in range(6):
            got.append((yield Ping()))  # noqa: PERF401  # yields
        return got

    store = new_store(registry=EffectRegistry(alternate))
    assert run(store, saga()) == [0, -1, 2, -3, 4, -5]


def test_an_answering_plugin(new_store, run, plugins):
    """A plugin's handler may be marked with either."""

    @answers(Ping)
    def plain(effect, context, store):
        return effect.text

    store = new_store(registry=EffectRegistry(plugins=plugins(pings=plain)))
    assert run(store, one(Ping("hello"))) == "hello"


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
    for known in (Call, Delay, Take):
        assert f"{known.__name__}, " in message.partition("registered: ")[2]


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
        registry = EffectRegistry(plugins=plugins(pings={Ping: echo}))
        found = []
        together(*[lambda r=registry, f=found: f.append(r.find(Ping()))] * 4)
        assert [each(Ping(), None, None) for each in found] == ["ping"] * 4
        with pytest.raises(UnknownEffectError) as caught:
            registry.find(5)
        assert "already" not in str(caught.value)
    assert caplog.text == ""


def test_take_is_a_handler_like_any_other():
    """The built-in handlers are a table, of which each entry is marked."""
    assert Take in BUILT_IN
    assert all(each.milo_effect_type is kind for kind, each in BUILT_IN.items())
