"""All collects every result."""

import threading
from types import MappingProxyType

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    ChildCancelledError,
    Delay,
    Put,
    Race,
    SagaCancelled,
    Select,
    Take,
)


def after(seconds, value):
    yield Delay(seconds)
    return value


def broken(error=ValueError):
    yield Delay(0)
    raise error("broken")


def never():
    yield Take("NEVER")


def test_results_come_in_the_order_of_the_sagas(new_store, run, left):
    """Whoever ends first: the tuple is in the given order."""
    store = new_store(max_workers=2)

    def saga():
        return (yield All((after(0.02, "a"), lambda: after(0, "b"), Select(len), Call(int))))

    assert run(store, saga()) == ("a", "b", 1, 0)
    assert left(store) == {}


def test_of_a_mapping_results_come_under_the_same_keys(new_store, run, left):
    """Effects and sagas alike; the dict has the mapping's order, whoever ends first."""
    store = new_store(max_workers=2)

    def saga():
        given = {"user": after(0.02, "a"), "posts": lambda: after(0, "b"), 3: Call(int)}
        return (yield All(MappingProxyType(given)))

    assert list(run(store, saga()).items()) == [("user", "a"), ("posts", "b"), (3, 0)]
    assert left(store) == {}


def test_of_a_mapping_the_first_error_is_thrown_as_it_is(new_store, run, left):
    """The keys do not matter then."""
    store = new_store()

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All({"never": never(), "broken": broken()})
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


@pytest.mark.parametrize(("sagas", "outcome"), [((), ()), ([], ()), ({}, {})])
def test_nothing_gives_an_empty_result_of_the_same_shape(new_store, run, sagas, outcome):
    """There is nothing to wait for."""

    def saga():
        return (yield All(sagas))

    assert run(new_store(), saga()) == outcome


def test_they_run_at_the_same_time(new_store, run, hangs):
    """Two calls that wait for each other both return."""
    store, meeting = new_store(max_workers=2), threading.Barrier(2)

    def saga():
        return (yield All((Call(meeting.wait, (hangs,)), Call(meeting.wait, (hangs,)))))

    assert sorted(run(store, saga())) == [0, 1]


def test_the_first_error_is_thrown_once_the_others_have_ended(
    new_store, park, hangs, left, reports
):
    """The others are cancelled, clean up, and are not reported."""
    store, order = new_store(max_workers=1), []

    def fails():
        yield Take("FAIL")
        raise ValueError("broken")

    def other():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0.001)
            order.append("cleaned")

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All((other(), fails(), other()))
        return list(order)

    task = park(store, saga())
    store.dispatch(Action("FAIL"))
    assert task.result(hangs) == ["cleaned", "cleaned"]
    assert reports(store) == []
    assert left(store) == {}


def test_a_second_error_is_reported(new_store, run, reports):
    """Only one can be thrown; the other is dispatched."""
    store = new_store(max_workers=1)

    def other():
        try:
            yield Take("NEVER")
        finally:
            raise LookupError("cleanup")

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All((other(), broken()))

    run(store, saga())
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]


def test_a_cancelled_child_has_no_result(new_store, park, settle, hangs):
    """Somebody else's cancellation of a child is an error of its own kind."""
    store = new_store()

    def saga():
        with pytest.raises(ChildCancelledError, match="was cancelled"):
            yield All((never(), Delay(60)))
        return "went on"

    task = park(store, saga())
    min(task._members, key=lambda each: each._id).cancel()
    assert task.result(hangs) == "went on"


def test_cancelling_the_parent_is_no_error(new_store, park, ended, reports, left):
    """Children end first, then the parent cleans up; one report."""
    store, order = new_store(), []

    def child():
        try:
            yield Take("NEVER")
        finally:
            yield Put(Action("CLEANING"))
            order.append("child")

    def saga():
        try:
            yield All((child(), child()))
        finally:
            order.append("parent")

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert order == ["child", "child", "parent"]
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


@pytest.mark.parametrize(
    "sagas", ["text", b"text", 5, None, never(), {never}, iter([never]), Take("NEVER")]
)
def test_anything_but_a_tuple_or_mapping_is_an_error(new_store, run, sagas):
    """The error says what to write and can be caught at the yield."""

    def saga():
        with pytest.raises(StateError, match=r"was given .*; write All\(\(a, b\)\) or All\(\{"):
            yield All(sagas)
        return "went on"

    assert run(new_store(), saga()) == "went on"


@pytest.mark.parametrize("sagas", [(5,), [Delay(0), "text"], {"a": 5}])
def test_what_is_neither_effect_nor_saga_is_refused(new_store, run, left, sagas):
    """Nothing is started then."""
    store = new_store()

    def saga():
        with pytest.raises(StateError, match="a saga is a generator"):
            yield All(sagas)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


def test_deep_nesting_needs_no_threads(new_store, run, left):
    """Ten levels of All in Race in All run on one worker."""
    store = new_store(max_workers=1)

    def tree(depth):
        if depth == 0:
            yield Delay(0)
            return 1
        left_sum, right = yield All((tree(depth - 1), Race((lambda: tree(depth - 1),))))
        return left_sum + right

    assert run(store, tree(7)) == 128
    assert left(store) == {}


def test_thousands_of_children(new_store, run, left):
    """Five thousand at once, in order."""
    store = new_store(max_workers=4)

    def saga():
        return (yield All(tuple(after(0, n) for n in range(5000))))

    assert run(store, saga()) == tuple(range(5000))
    assert left(store) == {}


# At most so many at once


class Crowd:
    """Counts who is inside at the same time, and remembers the order of coming in."""

    def __init__(self):
        self.lock = threading.Lock()
        self.order = []
        self.inside = 0
        self.most = 0

    def enter(self, n):
        with self.lock:
            self.order.append(n)
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self):
        with self.lock:
            self.inside -= 1

    def visit(self, n, seconds=0.0):
        yield Call(self.enter, (n,))
        try:
            yield Delay(seconds)
        finally:
            self.leave()
        return n


@pytest.mark.parametrize("limit", [1, 2, 7, 40, 100])
def test_at_most_so_many_run_at_once(new_store, run, left, limit):
    """As one ends the next is started; results are in order."""
    store, crowd = new_store(max_workers=4), Crowd()

    def saga():
        return (yield All([crowd.visit(n, 0.001) for n in range(40)], limit=limit))

    assert run(store, saga()) == tuple(range(40))
    assert sorted(crowd.order) == list(range(40))
    assert crowd.most <= limit
    assert left(store) == {}


@pytest.mark.parametrize("limit", [1, 3])
def test_they_are_started_in_order(new_store, run, limit):
    """On one worker the order of the first steps is the given one."""
    store, crowd = new_store(max_workers=1), Crowd()

    def saga():
        return (yield All({n: crowd.visit(n) for n in "abcdefg"}, limit=limit))

    assert run(store, saga()) == {n: n for n in "abcdefg"}
    assert crowd.order == list("abcdefg")


def test_the_limit_is_used_in_full(new_store, run, hangs):
    """Three calls that wait for each other return under a limit of three."""
    store, meeting = new_store(max_workers=3), threading.Barrier(3)

    def saga():
        return (yield All([Call(meeting.wait, (hangs,))] * 6, limit=3))

    assert sorted(run(store, saga())) == [0, 0, 1, 1, 2, 2]


def test_after_the_first_error_no_more_are_started(new_store, run, left, reports):
    """Those that run are cancelled; those ahead never take a step."""
    store, crowd = new_store(max_workers=1), Crowd()

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All([crowd.visit(0, 60), broken(), *map(crowd.visit, range(1, 9))], limit=2)
        return crowd.order

    assert run(store, saga()) == [0]
    assert reports(store) == []
    assert left(store) == {}


def test_cancelled_it_starts_no_more(new_store, park, ended, left, reports):
    """The children that run end first; those ahead never take a step."""
    store, crowd = new_store(), Crowd()

    def saga():
        yield All({n: crowd.visit(n, 60) for n in range(5)}, limit=2)

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert sorted(crowd.order) == [0, 1]
    assert crowd.inside == 0
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


def test_cancelled_as_its_children_end_it_is_cancelled_all_the_same(new_store, ended, left, gate):
    """A child that returns although cancelled leaves results missing, which nobody is sent."""
    store, begun, leave = new_store(max_workers=2), gate(), gate()

    def work():
        begun.set()
        leave.pass_through()

    def child():
        work()
        return "done"
        yield

    def saga():
        yield All({"a": child, "b": never}, limit=1)

    task = store.run_saga(saga())
    begun.pass_through()
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_a_late_starter_takes_what_is_dispatched_from_then_on(new_store, park, settle, hangs):
    """What was dispatched while a saga waited for its turn is not for its ``Take``."""
    store = new_store()

    def saga():
        return (yield All((Take("FIRST"), Take("SECOND")), limit=1))

    task = park(store, saga())
    for action in (Action("SECOND", "early"), Action("FIRST")):
        store.dispatch(action)
        settle(store)
    assert not task.done()
    store.dispatch(Action("SECOND", "late"))
    assert [each.payload for each in task.result(hangs)] == [None, "late"]


def test_thousands_of_children_under_a_limit(new_store, run, left):
    """Five thousand, fifty at once, in order."""
    store = new_store(max_workers=4)

    def saga():
        return (yield All(tuple(after(0, n) for n in range(5000)), limit=50))

    assert run(store, saga()) == tuple(range(5000))
    assert left(store) == {}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", True])
def test_an_impossible_limit_is_refused_where_it_is_written(limit):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match=r"All\(limit=...\) takes a whole number of 1 or more"):
        All((), limit=limit)
