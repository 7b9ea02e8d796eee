"""The tree of sagas as text, and what is written to a log."""

import gc
import logging
import re
import threading
import weakref
from dataclasses import dataclass, field
from functools import partial

import pytest

from milo_core import Action, Cmd, ReducerResult
from milo_effects import (
    Call,
    Delay,
    Fork,
    LoggingMonitor,
    Put,
    Race,
    SagaContext,
    SagaMonitor,
    Select,
    Take,
    TakeEvery,
    TreeMonitor,
    install_monitor,
)
from milo_effects._brief import brief, brief_error, saga_name
from milo_effects._saga_tree import Node


def waiting():
    yield Take("GO")


def parent():
    yield Fork(waiting, attached=True)
    yield Fork(short, attached=True)
    yield Take("NEVER")


def short():
    return (yield Call(max, (3, 4)))


def failing():
    yield Call(int, ("x",))


def plain(text):
    """A tree or log without what differs from run to run: numbers, times and lines of files."""
    text = re.sub(r"saga-\d+", "saga", text)
    text = re.sub(r"\d+\.\ds", "0.0s", text)
    return re.sub(r"\.py:\d+", ".py", text)


@pytest.fixture
def monitor():
    return TreeMonitor()


@pytest.fixture
def grown(new_store, monitor):
    """A store whose sagas ``monitor`` knows."""
    store = new_store(max_workers=1)
    install_monitor(store, monitor)
    return store


HERE = "(test_logging_monitor.py)"
NO_NUMBER = "ValueError: invalid literal for int() with base 10: 'x'"


# The tree


def test_no_sagas_make_an_empty_tree(grown, monitor):
    """Nothing is drawn."""
    assert monitor.tree() == ""


def test_each_saga_stands_below_the_one_that_started_it(grown, monitor, park):
    """In the order in which they started, with what each of them does or has come to."""
    park(grown, parent)
    park(grown, failing)
    assert plain(monitor.tree()).splitlines() == [
        f"saga parent: waits in Take('NEVER') for 0.0s {HERE}",
        f"├─ saga waiting: waits in Take('GO') for 0.0s {HERE}",
        "└─ saga short: returned 4 after 0.0s",
        f"saga failing: failed with {NO_NUMBER} after 0.0s",
    ]


def test_the_tree_has_branches_of_branches(grown, monitor, park):
    """A line for each level leads down to the next."""

    def main():
        yield Fork(parent)
        yield Fork(waiting)
        yield Take("NEVER")

    park(grown, main)
    # The children of main start at the same time, so their order is the workers'.
    lines = {re.sub(r":.*", "", line)[:3] for line in plain(monitor.tree()).splitlines()}
    assert "sag" in lines and "├─ " in lines and "└─ " in lines
    assert re.search(r"\n(│|   ) *[├└]─ saga short", plain(monitor.tree()))


def test_the_line_of_a_saga_is_the_one_of_its_innermost_generator(grown, monitor, park):
    """Where it would go on, if it were resumed."""

    def inner():
        yield Take("NEVER")

    def outer():
        yield from inner()

    park(grown, outer)
    line = inner.__code__.co_firstlineno + 1
    assert f"outer: waits in Take('NEVER') for 0.0s (test_logging_monitor.py:{line})" in (
        re.sub(r"\d+\.\ds", "0.0s", monitor.tree())
    )


def test_sagas_of_effects_need_no_name(grown, monitor, park):
    """Nor do those of commands; the effect tells what they are."""
    park(grown, lambda: (yield Race((Take("A"), waiting))))
    top, *below = plain(monitor.tree()).splitlines()
    assert top.startswith("saga <lambda>: waits in Race((Take('A'), waiting)) for 0.0s")
    assert sorted(line[3:] for line in below) == [
        "saga waiting: waits in Take('GO') for 0.0s (test_logging_monitor.py)",
        "saga: waits in Take('A') for 0.0s",
    ]


def test_a_call_in_progress_is_seen_as_running(grown, monitor, gate):
    """A call that does not return is what a stuck program often hangs in."""
    begun, over = gate(), gate()

    def call():
        begun.set()
        over.pass_through()

    grown.run_saga(lambda: (yield Call(call)))
    begun.pass_through()
    assert plain(monitor.tree()) == "saga <lambda>: runs Call(call) for 0.0s"


def test_a_running_saga_without_an_effect_just_runs(grown, monitor, gate, settle):
    """It is between its effects, in its own code."""
    begun, over = gate(), gate()

    def saga():
        begun.set()
        over.pass_through()
        yield Delay(0)

    grown.run_saga(saga)
    begun.pass_through()
    assert plain(monitor.tree()) == "saga saga: runs"


def test_queued_sagas_are_seen_though_nothing_was_told_of_them(new_store, monitor, gate):
    """All workers are busy: that is why the program is stuck."""
    store = new_store(max_workers=1)
    install_monitor(store, monitor)
    waits = store.run_saga(waiting)
    store.wait_idle()
    begun, over = gate(), gate()

    def busy():
        begun.set()
        over.pass_through()
        yield Delay(0)

    store.run_saga(busy)
    begun.pass_through()
    store.run_saga(partial(waiting))
    store.dispatch(Action("GO"))
    assert plain(monitor.tree()).splitlines() == [
        f"saga waiting: is queued with the answer to Take('GO') for 0.0s {HERE}",
        "saga busy: runs",
        "saga waiting: is queued",
    ]
    over.set()
    store.wait_idle()
    assert [line.split(" ")[1] for line in monitor.tree().splitlines()] == [
        "waiting:",
        "busy:",
        "waiting:",
    ]
    assert waits.done()


def test_cancelled_sagas_say_so_until_they_have_cleaned_up(grown, monitor, park, settle):
    """What they clean up with is shown as any effect."""

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield Take("CLEAN")

    task = park(grown, saga)
    task.cancel()
    settle(grown)
    assert plain(monitor.tree()) == (
        f"saga saga: is cancelled, waits in Take('CLEAN') for 0.0s {HERE}"
    )
    grown.dispatch(Action("CLEAN"))
    settle(grown)
    assert plain(monitor.tree()) == "saga saga: was cancelled after 0.0s"


def test_installed_late_it_knows_the_sagas_that_live(new_store, monitor, park, ended, settle):
    """With the lines they stand on, below each other; those with names of their own behind."""
    store = new_store()
    scope = SagaContext("named")
    park(store, waiting, context=scope)
    park(store, parent)
    install_monitor(store, monitor)
    assert plain(monitor.tree()).splitlines() == [
        f"saga parent: waits {HERE}",
        f"└─ saga waiting: waits {HERE}",
        f"named waiting: waits {HERE}",
    ]
    store.dispatch(Action("GO"))
    settle(store)
    assert "named waiting: returned None" in monitor.tree().splitlines()


def test_installed_late_it_adopts_with_a_saga_those_above_it(new_store, monitor, park, settle):
    """Also when it first hears of the one below."""
    store = new_store()
    park(store, parent)
    install_monitor(store, monitor)
    store.dispatch(Action("GO"))
    settle(store)
    assert plain(monitor.tree()).splitlines() == [
        f"saga parent: waits {HERE}",
        "└─ saga waiting: returned None",
    ]


def test_an_uninstalled_monitor_still_sees_who_has_ended(new_store, monitor, park, settle):
    """Though nobody tells it any more."""
    store = new_store()
    undo = install_monitor(store, monitor)
    park(store, waiting)
    undo()
    store.dispatch(Action("GO"))
    settle(store)
    assert plain(monitor.tree()) == "saga waiting: returned None after 0.0s"


def test_sagas_that_have_ended_can_be_left_out(grown, monitor, park):
    """But for those above sagas that live."""

    def starter():
        yield Fork(waiting, attached=False)
        yield Fork(short, attached=False)

    park(grown, starter)
    park(grown, short)
    assert plain(monitor.tree(ended=False)).splitlines() == [
        "saga starter: returned None after 0.0s",
        f"└─ saga waiting: waits in Take('GO') for 0.0s {HERE}",
    ]


@pytest.mark.parametrize("keep", [0, 2])
def test_only_so_many_ended_sagas_are_remembered(new_store, park, keep):
    """The earliest goes first; those below it move up to what is above."""
    monitor = TreeMonitor(keep=keep)
    store = new_store()
    install_monitor(store, monitor)

    def chain(number):
        yield Fork(waiting, attached=False)
        if number:
            yield Fork(partial(chain, number - 1), attached=False)

    park(store, partial(chain, 4))
    lines = plain(monitor.tree()).splitlines()
    assert sum("returned" in line for line in lines) == keep
    assert sum("waits" in line for line in lines) == 5
    assert sum(line.startswith("saga") for line in lines) >= 1
    assert len(monitor._ended) == keep


def test_a_task_that_is_kept_may_start_others_after_it_was_forgotten(new_store, park, settle):
    """They stand where it stood."""
    monitor = TreeMonitor(keep=1)
    store = new_store(max_workers=1)
    install_monitor(store, monitor)

    def saga():
        yield Fork(waiting, attached=False)

    def main():
        yield Fork(saga, attached=False)
        yield Take("NEVER")

    park(store, main)
    park(store, short)
    assert plain(monitor.tree()).splitlines() == [
        f"saga main: waits in Take('NEVER') for 0.0s {HERE}",
        f"└─ saga waiting: waits in Take('GO') for 0.0s {HERE}",
        "saga short: returned 4 after 0.0s",
    ]


def test_what_has_been_forgotten_is_not_kept_by_those_below(new_store, park):
    """Each of a thousand sagas in a row starts the next; only so many nodes are left of them."""
    monitor = TreeMonitor(keep=5)
    store = new_store()
    install_monitor(store, monitor)

    def chain(number):
        if number:
            yield Fork(partial(chain, number - 1), attached=False)

    park(store, partial(chain, 1000))
    gc.collect()
    assert sum(type(each) is Node for each in gc.get_objects()) < 50


def test_a_saga_whose_end_is_drawn_before_its_start_is_told_is_there_once(
    new_store, monitor, gate, caplog
):
    """It was known while it was queued, and cancelled before its first step."""
    drawn = []

    class First(SagaMonitor):
        def saga_started(self, task, started_by):
            drawn.append(plain(monitor.tree()))

    store = new_store(max_workers=1)
    begun, over = gate(), gate()

    def busy():
        begun.set()
        over.pass_through()
        yield Delay(0)

    store.run_saga(busy)
    begun.pass_through()
    install_monitor(store, First())
    install_monitor(store, monitor)
    task = store.run_saga(waiting)
    assert "waiting: is queued" in monitor.tree()
    task.cancel()
    over.set()
    store.wait_idle()
    assert drawn[0].splitlines()[-1] == "saga waiting: was cancelled"
    assert plain(monitor.tree()) == "saga busy: returned None\nsaga waiting: was cancelled"
    assert not caplog.records, "a monitor raised"


def test_a_negative_bound_is_refused():
    """There is nothing it could mean."""
    with pytest.raises(ValueError, match="0 or more, was given -1"):
        TreeMonitor(keep=-1)


def test_one_monitor_can_watch_several_stores(new_store, monitor, park):
    """Their trees stand below each other; a store that is gone is forgotten."""
    for _ in range(2):
        store = new_store()
        install_monitor(store, monitor)
        park(store, waiting)
    assert len(monitor.tree().splitlines()) == 2


def test_nothing_of_a_saga_that_has_ended_is_kept_alive(grown, monitor, park):
    """Texts are, but neither its result nor its effect."""

    class Result:
        pass

    def saga():
        return (yield Call(Result))

    task = park(grown, saga)
    gone = weakref.ref(task.value)
    del task
    gc.collect()
    assert gone() is None
    assert "returned <Result instance" in plain(monitor.tree()) or "Result object" in monitor.tree()


def test_trees_are_drawn_while_sagas_come_and_go(new_store, monitor, together, frantic, settle):
    """From other threads, and every one of them is whole."""
    store = new_store()
    install_monitor(store, monitor)

    def worker(action):
        yield Race((Call(int), Take("NEVER")))
        yield Fork(short, attached=False)

    def watcher():
        yield TakeEvery("GO", worker)

    def dispatch():
        for _ in range(30):
            store.dispatch(Action("GO"))

    def draw():
        for _ in range(30):
            assert monitor.tree().startswith("saga-")

    store.run_saga(watcher)
    settle(store)
    together(dispatch, dispatch, draw, draw)
    settle(store)
    lines = monitor.tree().splitlines()
    assert len(lines) == 1 + 60 * 4
    assert sum("short" in line for line in lines) == 60
    assert sum("waits" in line for line in lines) == 1


# The log


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "milo_effects.logging_monitor")

    def records():
        return [each for each in caplog.records if each.name == "milo_effects.logging_monitor"]

    return records


@pytest.fixture
def logged(new_store, log):
    """A store with one worker, so that the order of lines is certain."""
    store = new_store(max_workers=1)
    install_monitor(store, LoggingMonitor())
    return store


def test_every_event_is_a_line_and_lines_are_indented_as_the_tree(logged, log, park):
    """A saga's lines begin further right than those of the saga that started it."""

    def main():
        yield Fork(short)
        try:
            yield Call(int, ("x",))
        except ValueError:
            yield Put(Action("FAILED"))
        yield Take("NEVER")

    park(logged, main).cancel()
    logged.wait_idle()
    assert [plain(each.getMessage()) for each in log()] == [
        "saga main: started",
        "saga main: yields Fork(short)",
        "saga main: Fork(short) -> <SagaTask saga>",
        "saga main: yields Call(int, args=('x',))",
        f"saga main: Call(int, args=('x',)) raises {NO_NUMBER}",
        "saga main: yields Put(Action('FAILED'))",
        "saga main: Put(Action('FAILED')) -> None",
        "saga main: yields Take('NEVER')",
        "  saga short: started by saga",
        "  saga short: yields Call(max, args=(3, 4))",
        "  saga short: Call(max, args=(3, 4)) -> 4",
        "  saga short: returned 4 after 0.0s",
        "saga main: is cancelled",
        "saga main: was cancelled after 0.0s",
    ]


def test_records_have_stable_fields(logged, log, park):
    """So that logs can be searched without reading their texts."""

    def main():
        yield Fork(short)

    park(logged, main)
    main_id = log()[0].milo_saga_id
    facts = [
        (each.milo_event, each.milo_saga_name, each.milo_saga_id == main_id, each.milo_started_by)
        for each in log()
    ]
    assert facts == [
        ("saga_started", "main", True, None),
        ("effect_yielded", "main", True, None),
        ("effect_answered", "main", True, None),
        ("saga_ended", "main", True, None),
        ("saga_started", "short", False, main_id),
        ("effect_yielded", "short", False, main_id),
        ("effect_answered", "short", False, main_id),
        ("saga_ended", "short", False, main_id),
    ]
    assert {each.levelname for each in log()} == {"DEBUG"}


def test_the_end_of_a_saga_that_failed_comes_with_its_traceback(logged, log, park):
    """The action that is dispatched for it has only the message."""
    park(logged, failing)
    assert [each.exc_info is not None for each in log()] == [False, False, False, True]
    assert log()[-1].exc_info[0] is ValueError


def test_a_logger_that_does_not_listen_is_told_nothing(new_store, park):
    """Nothing is formatted; the tree is known all the same."""
    shown = []

    class Loud:
        def __repr__(self):
            shown.append(self)
            return "loud"

    logger = logging.getLogger("test_logging_monitor.quiet")
    logger.setLevel(logging.INFO)
    monitor = LoggingMonitor(logger)
    store = new_store()
    install_monitor(store, monitor)

    def saga():
        yield Select(lambda state: Loud())
        try:
            yield Call(int, ("x",))
        except ValueError:
            yield Take("NEVER")

    task = park(store, saga)
    assert shown == []
    task.cancel()
    store.wait_idle()
    assert "was cancelled" in monitor.tree()


def test_another_logger_and_level_can_be_chosen(new_store, park, caplog):
    """As for any other part of a program."""
    store = new_store()
    logger = logging.getLogger("my.sagas")
    install_monitor(store, LoggingMonitor(logger, logging.WARNING))
    park(store, short)
    assert {(each.name, each.levelname) for each in caplog.records} == {("my.sagas", "WARNING")}


def test_an_end_that_the_tree_has_seen_first_is_logged_once(new_store, log, monitor, gate, park):
    """Drawing finds sagas that have ended; their line is still written by their worker."""
    store = new_store()
    monitor = LoggingMonitor()
    install_monitor(store, monitor)
    undone = install_monitor(store, Drawing(monitor))
    park(store, short)
    undone()
    assert [each.milo_event for each in log()].count("saga_ended") == 1


class Drawing(TreeMonitor):
    """Draws another monitor's tree whenever it is told something."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def saga_ended(self, task):
        assert "returned 4" in self.other.tree()


def test_commands_are_sagas_of_the_log_too(new_store, log, park, settle):
    """Without a name, since they are no functions of the program."""

    def reducer(state, action):
        return ReducerResult(state, cmds=(Cmd(lambda: None),)) if action.type == "GO" else state

    store = new_store(reducer)
    install_monitor(store, LoggingMonitor())
    store.dispatch(Action("GO"))
    settle(store)
    assert plain(log()[0].getMessage()) == "saga: started"


# Short texts


@dataclass
class Point:
    x: int
    y: int = 0
    tags: dict = field(default_factory=dict)


class Method:
    def saga(self):
        yield Delay(1)

    def __call__(self):
        yield Delay(1)


class Nameless:
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Take("GO"), "Take('GO')"),
        (Take("GO", timeout=5), "Take('GO', timeout=5)"),
        (TakeEvery("GO", short), "TakeEvery('GO', short)"),
        (Race({"a": short, "b": Take("B")}), "Race({'a': short, 'b': Take('B')})"),
        (Call(max, (1,), {"key": len}), "Call(max, args=(1,), kwargs={'key': len})"),
        (Point(1, tags={}), "Point(1)"),
        (Point, "Point"),
        (partial(short), "short"),
        (short(), "short"),
        (waiting, "waiting"),
        ("a\nb", r"'a\nb'"),
        (None, "None"),
    ],
)
def test_values_are_shown_as_they_are_written(value, text):
    """Descriptors without defaults, functions and generators by their names."""
    assert brief(value) == text


def test_no_text_is_long():
    """Whatever is shown, however deep it is."""
    deep = None
    for _ in range(50):
        deep = Point(deep)
    assert len(brief(deep)) < 250
    assert len(brief(["x" * 1000] * 1000)) < 250
    assert len(brief(tuple(Take("x" * 70) for _ in range(6)))) == 200
    assert len(brief_error(ValueError("x" * 1000))) == 200


def test_what_cannot_be_shown_is_named():
    """By its type."""
    assert "Nameless" in brief(Nameless())
    broken = Point(1)
    del broken.x
    assert brief(broken) == "<Point>"

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no")

    assert brief_error(Silent()).endswith("Silent: (its message cannot be shown)")
    assert brief_error(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("saga", "name"),
    [
        (short, "short"),
        (short(), "short"),
        (partial(partial(short)), "short"),
        (Method().saga, "Method.saga"),
        (Method(), ""),
        (threading.Event, ""),
        (install_monitor, ""),
    ],
)
def test_sagas_are_named_by_their_function(saga, name):
    """If there is one, and if it is not one of Milo's own."""
    assert saga_name(saga) == name
