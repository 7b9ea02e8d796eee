"""An application: keys become actions, states become frames, until a reducer quits."""

import subprocess
import sys
import threading
from queue import SimpleQueue

import pytest
from rich.panel import Panel

import milo_tui.app
from milo_core import Action, Cmd, Key, Quit, ReducerResult, Store, TickCmd, ViewState
from milo_core.errors import StateError
from milo_effects import Put
from milo_tui import App, AppError, TemplateError, ViewError
from milo_tui.loop import wait
from milo_tui.testing import PATIENCE, Running, running


def quitting(reducer):
    """``reducer``, until ``q`` is pressed."""

    def reduce(state, action):
        if action == Action("@@KEY", Key(char="q")):
            return Quit(state, 3)
        return reducer(state, action)

    return reduce


def show(state, size):
    return str(state)


def test_keys_reach_the_reducer():
    """Characters and special keys, in the order in which they were pressed."""

    def typed(state, action):
        if action.type != "@@KEY":
            return state
        key = action.payload
        return state + (key.char if key.name is None else f"<{key.name.value}>")

    app = App(reducer=quitting(typed), initial_state="", view=show)
    with running(app) as screen:
        screen.press("a", "é", "up", "page_down", "tab", "enter")
        screen.wait_for("aé<up><page_down><tab><enter>")
        screen.press("escape")
        screen.wait_for("<enter><escape>")
        screen.press("q")
    assert screen.result.endswith("<escape>")
    assert app.exit_code == 3


def test_the_size_is_told_at_first_and_when_it_changes():
    """So a reducer can make use of it."""

    def sizes(state, action):
        return [*state, tuple(action.payload[:2])] if action.type == "@@RESIZE" else state

    with running(App(reducer=quitting(sizes), initial_state=[], view=show), 80, 24) as screen:
        screen.wait_for("[(80, 24)]")
        screen.resize(40, 10)
        screen.wait_for("(40, 10)]")
        screen.press("q")
    assert screen.result == [(80, 24), (40, 10)]


def test_ticks_come_as_often_as_they_were_asked_for():
    """Without them, nothing comes by itself."""

    def ticks(state, action):
        state += action.type == "@@TICK"
        return Quit(state) if state == 3 else state

    with running(App(reducer=ticks, initial_state=0, view=show, tick_rate=0.01)) as screen:
        assert screen.join() == 3


def test_sagas_and_commands_run_as_in_any_store():
    """What they put is shown; a TickCmd is one tick."""

    def saga():
        yield Put(Action("PUT", "from a saga"))

    def reduce(state, action):
        if action.type == "@@RESIZE":
            command = Cmd(lambda: Action("PUT", "from a command"))
            return ReducerResult(state, sagas=(saga,), cmds=(command, TickCmd(0.01)))
        if action.type in ("PUT", "@@TICK"):
            return {*state, action.payload or "ticked"}
        return state

    def listed(state, size):
        return "\n".join(sorted(state))

    app = App(reducer=quitting(reduce), initial_state=frozenset(), view=listed)
    with running(app) as screen:
        screen.wait_for("from a command\nfrom a saga\nticked")
        screen.press("q")


def test_a_view_may_be_anything_that_rich_renders():
    """And is as wide as the terminal."""
    app = App(
        reducer=quitting(lambda state, action: state),
        initial_state="inside",
        view=lambda state, size: Panel(state, title="framed"),
    )
    with running(app, 30, 5) as screen:
        screen.wait_for("framed")
        screen.press("q")
        text = screen.wait_for(lambda text: "framed" not in text)
    assert text == ""


def test_a_view_state_is_applied_where_it_differs():
    """The title, the cursor and the other screen are what the latest reducer's answer says."""

    def reduce(state, action):
        if action.type == "@@KEY" and action.payload.char == "t":
            return ReducerResult("titled", view=ViewState(window_title="Milo", cursor_visible=True))
        if action.type == "@@KEY" and action.payload.char == "a":
            return ReducerResult("inline", view=ViewState(alt_screen=False))
        return state

    with running(App(reducer=quitting(reduce), initial_state="first", view=show)) as screen:
        screen.wait_for("first")
        assert screen.is_alternate and not screen.is_cursor_visible
        screen.press("t")
        screen.wait_for("titled")
        assert screen.is_cursor_visible and screen.title == "Milo"
        screen.press("a")
        screen.wait_for("inline")
        assert not screen.is_alternate and screen.is_cursor_visible
        screen.press("q")
        screen.join()
        assert screen.rows[0] == "inline"  # it stays, as there is no other screen to leave


def test_the_mouse_is_told_where_it_is_wanted():
    """The terminal is asked to tell, and told to stop when it is left."""

    def reduce(state, action):
        if action.type == "@@MOUSE":
            return f"{action.payload.kind} at {action.payload.column}"
        if action.type == "@@RESIZE":
            return ReducerResult(state, view=ViewState(mouse_mode=True))
        return state

    with running(App(reducer=quitting(reduce), initial_state="nowhere", view=show)) as screen:
        screen.wait_for("nowhere")
        assert 1006 << 5 in screen._screen.mode
        screen.send(b"\x1b[<0;10;5M")
        screen.wait_for("press at 9")
        screen.press("q")
        screen.join()
        screen.wait_for(lambda text: 1006 << 5 not in screen._screen.mode)


def test_a_frame_is_drawn_again_on_another_screen():
    """Although it is the same: nothing of it stands there."""

    def reduce(state, action):
        if action.type == "@@KEY" and action.payload.char == "a":
            return ReducerResult(state, view=ViewState(alt_screen=False))
        return state

    with running(App(reducer=quitting(reduce), initial_state="same", view=show)) as screen:
        screen.wait_for("same")
        screen.press("a")
        screen.wait_for(lambda text: not screen._screen.is_alternate and "same" in text)
        screen.press("q")


def test_it_attaches_to_a_store_that_is_there():
    """The store's changes are shown, whoever makes them, and it is open afterwards."""
    store = Store(quitting(lambda state, action: action.payload or state), "first")
    app = App(store=store, view=lambda state, size: repr(state))
    with running(app) as screen:
        screen.wait_for("80")  # the size
        thread = threading.Thread(target=store.dispatch, args=(Action("SET", "second"),))
        thread.start()
        thread.join()
        screen.wait_for("second")
        screen.press("q")
    store.dispatch(Action("SET", "third"))
    assert store.state == "third"
    store.shutdown()


def test_many_changes_are_few_frames():
    """A store that changes all the time is shown sixty times a second at most, and at last."""
    frames = []

    def view(state, size):
        frames.append(state)
        return str(state)

    store = Store(quitting(lambda state, action: state + (action.type == "ADD")), 0)
    with running(App(store=store, view=view)) as screen:
        screen.wait_for("0")
        for _ in range(20_000):
            store.dispatch(Action("ADD"))
        screen.wait_for("20000")
        screen.press("q")
    store.shutdown()
    assert frames == sorted(frames)
    assert len(frames) < 2000


def test_frames_have_their_pace(monkeypatch):
    """Until the next is due, changes wait; the last state is always drawn."""
    monkeypatch.setattr(milo_tui.app, "FRAMES_PER_SECOND", 1 / 3600)
    frames = []

    def view(state, size):
        frames.append(state)
        return str(state)

    count = quitting(lambda state, action: state + (action.type == "@@KEY"))
    with running(App(reducer=count, initial_state=0, view=view)) as screen:
        screen.wait_for("0")
        screen.press("a", "b", "c", "q")
    assert frames == [0, 3]


def test_an_idle_application_waits(monkeypatch):
    """Once a change has been drawn, it waits for the next without end, and for nothing else."""
    waits = SimpleQueue()

    def waiting(descriptors, timeout):
        waits.put(timeout)
        return wait(descriptors, timeout)

    monkeypatch.setattr(milo_tui.app, "wait", waiting)
    count = quitting(lambda state, action: state + (action.type == "@@KEY"))
    with running(App(reducer=count, initial_state=0, view=show)) as screen:
        for number in range(1, 4):
            screen.press("a")
            screen.wait_for(str(number))
            while waits.get(timeout=PATIENCE) is not None:
                pass
        screen.press("q")
    assert waits.qsize() < 50


def test_what_a_reducer_raises_is_raised():
    """With the terminal as it was; see test_given_back.py."""

    def reduce(state, action):
        if action.type == "@@KEY":
            raise LookupError("gone")
        return state

    app = App(reducer=reduce, initial_state=0, view=show)
    with pytest.raises(StateError, match="gone"), running(app) as screen:
        screen.wait_for("0")
        screen.press("x")


def test_what_a_view_raises_is_raised():
    """As a ViewError, with the cause."""

    def view(state, size):
        raise ZeroDivisionError("by zero")

    app = App(reducer=lambda state, action: state, initial_state=0, view=view)
    says = "the view has raised ZeroDivisionError: by zero"
    with pytest.raises(ViewError, match=says) as told, running(app):
        pass
    assert isinstance(told.value.__cause__, ZeroDivisionError)


REDUCER = {"reducer": lambda state, action: state}
BAD = [
    ({**REDUCER}, "a view or a template, one of the two"),
    ({**REDUCER, "view": show, "template": "x"}, "a view or a template, one of the two"),
    ({"view": show}, "a reducer or a store, one of the two"),
    ({**REDUCER, "view": show, "tick_rate": -1}, "seconds between ticks, 0 for none; not -1"),
]


@pytest.mark.parametrize(("given", "says"), BAD)
def test_bad_arguments_are_told(given, says):
    """When it is made."""
    with pytest.raises(AppError, match=says):
        App(**given)


def test_a_template_that_is_not_there_is_told_when_it_runs():
    """It can be made, by a program that is only imported."""
    app = App(template="nowhere.kida", reducer=lambda state, action: state)
    with pytest.raises(TemplateError, match=r"nowhere\.kida"):
        app.run()


@pytest.mark.parametrize("while_drawing", [True, False])
def test_a_terminal_that_hangs_up_ends_it(while_drawing):
    """With the state that it was in, and the exit code of SIGHUP."""

    def view(state, size):
        if state == 1:
            screen.hang_up()  # before anything of this frame is written
        return str(state)

    store = Store(lambda state, action: state + (action.type == "ADD"), 0)
    app = App(store=store, view=view)
    screen = Running(app, 80, 24)
    try:
        screen.wait_for("0")
        if while_drawing:
            store.dispatch(Action("ADD"))
        else:
            screen.hang_up()
        assert screen.join() == while_drawing
    finally:
        screen.close()
        store.shutdown()
    assert app.exit_code == 129


def test_a_terminal_of_one_character_is_enough():
    """And strange sizes in between."""
    app = App(
        reducer=quitting(lambda state, action: state), initial_state="日本", view=lambda s, z: s * 9
    )
    with running(app, 1, 1) as screen:
        for size in ((1, 1), (2, 1), (1, 5), (500, 1), (3, 200)):
            screen.resize(*size)
        screen.press("q")


def test_bytes_that_are_no_text_do_no_harm():
    """Nor do sequences that nobody knows."""
    app = App(
        reducer=quitting(lambda state, action: state + (action.type == "@@KEY")),
        initial_state=0,
        view=show,
    )
    with running(app) as screen:
        screen.send(b"\xff\xfe\x1b[999;999z\x1b[?25;1$y")
        screen.press("up")
        screen.wait_for("3")
        screen.press("q")


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_without_a_terminal_one_plain_frame_is_printed(variables):
    """When there is nothing left to do; without any escape sequence."""
    program = (
        "from milo_core import *\nfrom milo_effects import Delay, Put\nfrom milo_tui import App\n"
        "from rich.text import Text\n"
        "def saga():\n    yield Put(Action('DONE'))\n"
        "def reduce(state, action):\n"
        "    if action.type == '@@RESIZE': return ReducerResult(state, sagas=(saga,))\n"
        "    return 'done' if action.type == 'DONE' else state\n"
        "App(reducer=reduce, initial_state='not yet', view=lambda s, _: Text(s, 'red')).run()\n"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=True
    )
    assert ran.stdout == b"done\n"
