"""Commands: one-shot work that reducers ask for."""

import asyncio
import threading

import pytest

from milo_core import Action, Batch, Cmd, Quit, ReducerResult, Sequence, TickCmd


def asking(*cmds):
    """A journal whose answer to GO are these commands."""

    def reducer(state, action):
        state = (*state, action)
        return ReducerResult(state, cmds=cmds) if action.type == "GO" else state

    return reducer


def say(*payloads):
    return [Cmd(lambda payload=payload: Action("SAID", payload)) for payload in payloads]


def fail(error=ValueError):
    raise error("no")


@pytest.fixture
def go(new_store, all_ended):
    """``go(*cmds)`` has a reducer ask for commands, and returns the types and payloads after."""

    def ask(*cmds, **options):
        store = new_store(asking(*cmds), **options)
        store.dispatch(Action("GO"))
        all_ended(store)
        return [(each.type, each.payload) for each in store.state[2:]]

    return ask


def test_an_action_that_a_command_returns_is_dispatched(go):
    """``None`` is not."""
    assert go(Cmd(lambda: Action("DONE", 1)), Cmd(lambda: None)) == [("DONE", 1)]


def test_an_async_command_is_awaited(go):
    """What the coroutine returns is dispatched."""

    async def fetch():
        await asyncio.sleep(0)
        return Action("FETCHED")

    assert go(Cmd(fetch)) == [("FETCHED", None)]


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, BaseException, asyncio.CancelledError]
)
def test_an_error_becomes_an_action(go, error):
    """Whatever is raised: ``@@CMD_ERROR`` with its message and type."""
    assert go(Cmd(lambda: fail(error))) == [
        ("@@CMD_ERROR", {"error": "no", "type": error.__name__})
    ]


def test_anything_but_an_action_is_an_error(go):
    """The message says what came and what was expected."""
    ((kind, payload),) = go(Cmd(lambda: 5))
    assert kind == "@@CMD_ERROR"
    assert payload["type"] == "TypeError"
    assert "returned 5; a command returns an Action or None" in payload["error"]


@pytest.mark.parametrize("command", [5, None, "save", fail])
def test_what_is_no_command_is_an_error(go, command):
    """The message says what commands there are."""
    ((kind, payload),) = go(command)
    assert kind == "@@CMD_ERROR"
    assert "is no command; use Cmd(fn), Batch, Sequence or TickCmd" in payload["error"]


def test_a_batch_runs_at_the_same_time(go, hangs):
    """Two commands that wait for each other both end."""
    meeting = threading.Barrier(2)

    def meet():
        meeting.wait(hangs)
        return Action("MET")

    assert go(Batch((Cmd(meet), Cmd(meet))), max_workers=2) == [("MET", None)] * 2


def test_a_batch_counts_once_for_pool_pressure(new_store, gate):
    """However many commands it holds, the callback is called once, by the dispatching thread."""
    leave, calls = gate(), []
    store = new_store(
        asking(Batch(tuple(Cmd(leave.pass_through) for _ in range(8)))),
        max_workers=2,
        on_pool_pressure=lambda *counts: calls.append((counts, threading.current_thread())),
    )
    store.dispatch(Action("GO"))
    leave.set()
    assert calls == [((8, 2), threading.current_thread())]


def test_a_sequence_runs_one_after_the_other(go):
    """Each result is dispatched before the next command starts, on any number of workers."""
    assert go(Sequence(tuple(say(*range(20)))), max_workers=4) == [("SAID", n) for n in range(20)]


@pytest.mark.parametrize("error", [ValueError, SystemExit, BaseException])
def test_a_sequence_reports_an_error_and_goes_on(go, error):
    """The commands behind a failed one still run."""
    first, last = say(1, 2)
    assert go(Sequence((first, Cmd(lambda: fail(error)), 5, last)))[::3] == [
        ("SAID", 1),
        ("SAID", 2),
    ]


def test_a_refused_result_is_reported_and_the_sequence_goes_on(new_store, all_ended):
    """A reducer that fails on a result counts as that command's error."""

    def reducer(state, action):
        if action.type == "BAD":
            raise ValueError("no")
        state = (*state, action.type)
        cmds = (Sequence((Cmd(lambda: Action("BAD")), *say(2))),)
        return ReducerResult(state, cmds=cmds) if action.type == "GO" else state

    store = new_store(reducer)
    store.dispatch(Action("GO"))
    all_ended(store)
    assert store.state[2:] == ("@@CMD_ERROR", "SAID")


def test_a_nested_batch_is_finished_before_the_next(go, hangs):
    """The command behind it starts when the last of the batch has ended."""
    meeting, order = threading.Barrier(3), []

    def part():
        meeting.wait(hangs)
        order.append("part")

    sequence = Sequence(
        (Batch((Cmd(part), Batch((Cmd(part), Cmd(part))))), Cmd(lambda: order.append("next")))
    )
    go(sequence, max_workers=3)
    assert order == ["part", "part", "part", "next"]


def test_a_nested_sequence_keeps_its_order(go):
    """Also inside a batch inside a sequence."""
    inner = Sequence(tuple(say(1, 2)))
    assert go(Sequence((Batch((inner,)), *say(3)))) == [("SAID", 1), ("SAID", 2), ("SAID", 3)]


@pytest.mark.parametrize("command", [Batch(()), Sequence(())])
def test_nothing_to_do_is_fine(go, command):
    """Empty commands end at once."""
    assert go(command) == []


def test_a_tick_comes_after_its_interval(go):
    """One ``@@TICK``, once."""
    assert go(TickCmd(0.001)) == [("@@TICK", None)]


def test_a_tick_holds_no_thread(new_store, settle, left):
    """A thousand ticks wait on one timer heap."""
    store = new_store(asking(*[TickCmd(60)] * 1000), max_workers=1)
    store.dispatch(Action("GO"))
    assert left(store) == {"tasks": 1000, "timers": 1000}
    assert store.pool_active == 0


def test_no_tick_after_quit(new_store, all_ended):
    """A store that has quit is left alone."""

    def reducer(state, action):
        state = (*state, action.type)
        if action.type == "GO":
            return ReducerResult(state, cmds=(TickCmd(0),))
        return Quit(state) if action.type == "LEAVE" else state

    store = new_store(reducer)
    store.dispatch(Action("LEAVE"))
    store.dispatch(Action("GO"))
    all_ended(store)
    assert store.state == ("@@INIT", "LEAVE", "GO")


def test_a_clock_answers_each_tick_with_the_next(new_store, gate):
    """A reducer that asks again at every tick has a clock."""
    third = gate()

    def reducer(state, action):
        if action.type == "@@TICK" and state == 2:
            third.set()
            return 3
        if action.type in ("@@TICK", "GO"):
            return ReducerResult(state + (action.type == "@@TICK"), cmds=(TickCmd(0.001),))
        return state

    store = new_store(reducer, 0)
    store.dispatch(Action("GO"))
    third.pass_through()
    assert store.state == 3


def test_listeners_hear_of_the_state_before_commands_start(new_store, settle):
    """The state change comes first, then sagas, then commands."""
    order = []

    def saga():
        order.append("saga")
        return
        yield

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult("gone", sagas=(saga,), cmds=(Cmd(lambda: order.append("cmd")),))
        return state

    store = new_store(reducer, "here", max_workers=1)
    store.subscribe(lambda: order.append(store.state))
    store.dispatch(Action("GO"))
    settle(store)
    assert order == ["gone", "saga", "cmd"]
