"""Race lets the first to end decide."""

import pytest

from milo_core import Action, StateError
from milo_effects import (
    Call,
    ChildCancelledError,
    Delay,
    Fork,
    Put,
    Race,
    SagaCancelled,
    Select,
    Take,
)


def value(of):
    yield Delay(0)
    return of


def broken(error=ValueError):
    yield Delay(0)
    raise error("broken")


def never():
    yield Take("NEVER")


@pytest.mark.parametrize(
    "sagas",
    [(value("won"), never()), (never, lambda: value("won")), [never(), value("won")]],
)
def test_the_first_result_is_sent_back(new_store, run, left, sagas):
    """Of generators or functions, in a tuple or list, the first to finish wins."""
    store = new_store()

    def saga():
        return (yield Race(sagas))

    assert run(store, saga()) == "won"
    assert left(store) == {}


def test_effects_can_race_without_a_saga_around_them(new_store, run):
    """An effect is a contestant like any saga."""

    def saga():
        return (yield Race((Take("NEVER"), Call(lambda: "won"), Delay(60))))

    assert run(new_store(), saga()) == "won"


@pytest.mark.parametrize(
    ("sagas", "outcome"),
    [
        ({"never": Take("NEVER"), "won": value(1)}, {"won": 1}),
        ({"late": Delay(0), 2: Take("NEVER")}, {"late": None}),
        ({("any", "key"): lambda: value("won")}, {("any", "key"): "won"}),
    ],
)
def test_of_a_mapping_the_winners_key_is_sent_back(new_store, run, left, sagas, outcome):
    """A dict with that key alone tells who won, also when the result is ``None``."""
    store = new_store()

    def saga():
        return (yield Race(sagas))

    assert run(store, saga()) == outcome
    assert left(store) == {}


def test_of_a_mapping_the_first_error_is_thrown_as_it_is(new_store, run):
    """The keys do not matter then."""

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield Race({"broken": broken(), "never": never()})
        return "went on"

    assert run(new_store(), saga()) == "went on"


def test_of_a_mapping_nobody_may_be_left(new_store, park, hangs):
    """When every contestant was cancelled, the parent is told as with a tuple."""
    store = new_store()

    def saga():
        with pytest.raises(ChildCancelledError):
            yield Race({"only": never()})
        return "went on"

    task = park(store, saga())
    (only,) = task._members
    only.cancel()
    assert task.result(hangs) == "went on"


def test_the_first_error_wins_too(new_store, run, left, reports):
    """It is thrown into the parent, which can catch it; it is not reported besides."""
    store = new_store()

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield Race((never(), broken()))
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}
    assert reports(store) == []


def test_losers_have_ended_when_the_parent_goes_on(new_store, park, hangs):
    """They are cancelled and waited for, their cleanup included."""
    store, order = new_store(max_workers=1), []

    def loser(n):
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0.001)
            order.append(n)

    def saga():
        yield Race((loser(1), Take("GO"), loser(2)))
        return sorted(order)

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert task.result(hangs) == [1, 2]


def test_what_the_winner_has_forked_lives_on(new_store, run, settle, hangs):
    """An attached saga is cancelled with the parent, not by its own side's victory."""
    store = new_store()

    def winner():
        return (yield Fork(waiting, attached=True))

    def waiting():
        return (yield Take("GO")).payload

    def saga():
        return (yield Race((winner, never)))

    task = run(store, saga())
    settle(store)
    assert not task.is_cancelled
    store.dispatch(Action("GO", 5))
    assert task.result(hangs) == 5


def test_a_losers_call_finishes_first(new_store, gate, hangs):
    """The parent waits for a call in progress, and its result goes nowhere."""
    store, begun, leave, order = new_store(max_workers=2), gate(), gate(), []

    def block():
        begun.set()
        leave.pass_through()
        order.append("call")

    def saga():
        yield Race((Call(block), Take("GO")))
        order.append("parent")

    task = store.run_saga(saga())
    begun.pass_through()
    store.dispatch(Action("GO"))
    assert not task.done()
    leave.set()
    task.result(hangs)
    assert order == ["call", "parent"]


def test_a_losers_error_is_reported(new_store, run, reports):
    """What goes wrong in a loser's cleanup is not lost, and not thrown."""
    store = new_store(max_workers=1)

    def loser():
        try:
            yield Take("NEVER")
        finally:
            raise LookupError("cleanup")

    def saga():
        return (yield Race((loser(), value("won"))))

    assert run(store, saga()) == "won"
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]


@pytest.mark.parametrize("sagas", [(), []])
def test_an_empty_race_is_an_error(new_store, run, sagas):
    """Nobody could win; the error says so and can be caught."""

    def saga():
        with pytest.raises(StateError, match="at least one saga"):
            yield Race(sagas)
        return "went on"

    assert run(new_store(), saga()) == "went on"


@pytest.mark.parametrize(
    "sagas",
    [
        "text",
        b"text",
        5,
        None,
        value(1),
        (5,),
        ("text",),
        {"a": 5},
        {never},
        frozenset([never]),
        iter([never]),
        Take("NEVER"),
    ],
)
def test_anything_but_a_tuple_of_sagas_is_an_error(new_store, run, left, sagas):
    """A lone saga in place of a tuple is a common slip, a set has no order; nothing is started."""
    store = new_store()

    def saga():
        with pytest.raises(StateError):
            yield Race(sagas)
        return "went on"

    assert run(store, saga()) == "went on"
    assert left(store) == {}


def test_a_function_that_makes_no_saga_loses_by_its_error(new_store, run):
    """The error is that contestant's."""

    def saga():
        with pytest.raises(StateError, match="gave 5"):
            yield Race((never, lambda: 5))
        return "went on"

    assert run(new_store(), saga()) == "went on"


def test_a_cancelled_contestant_does_not_decide(new_store, run, park, settle, hangs):
    """The race goes on without it; when all were cancelled, the parent is told."""
    store, tasks = new_store(), []

    def saga():
        try:
            return (yield Race((never(), Take("GO"))))
        except ChildCancelledError:
            return "nobody left"

    for cancelled, outcome in ((1, Action("GO")), (2, "nobody left")):
        task = park(store, saga())
        tasks = sorted(task._members, key=lambda each: each._id)
        for each in tasks[:cancelled]:
            each.cancel()
        settle(store)
        store.dispatch(Action("GO"))
        assert task.result(hangs) == outcome


def test_cancelling_the_parent_is_no_error(new_store, park, ended, reports, left):
    """The children end first, silently; then the parent cleans up and is reported as cancelled."""
    store, order = new_store(), []

    def child():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0)
            order.append("child")

    def saga():
        try:
            yield Race((child(), child()))
        finally:
            order.append("parent")

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert order == ["child", "child", "parent"]
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


def test_a_childs_error_while_the_parent_is_cancelled_is_reported(new_store, park, ended, reports):
    """The parent cannot be told any more, so the reducer is."""
    store = new_store()

    def child():
        try:
            yield Take("NEVER")
        finally:
            raise LookupError("cleanup")

    def saga():
        yield Race((child(),))

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert reports(store) == [("@@SAGA_ERROR", "LookupError"), ("@@SAGA_CANCELLED",)]


def test_contestants_begin_in_their_order(new_store, run):
    """On one worker the first saga takes the first step."""
    store, order = new_store(max_workers=1), []

    def child(n):
        order.append(n)
        yield Select()
        yield Put(Action("ON"))
        yield Delay(0)

    def saga():
        yield Race((child(1), child(2), child(3)))

    run(store, saga())
    assert order == sorted(order)
    assert order[0] == 1


def test_one_winner_however_close(new_store, ended, left, frantic):
    """A hundred races of equals have one result each, and leave nothing."""
    store = new_store(lambda state, action: state, None, max_workers=4)

    def saga():
        return (yield Race((value(1), value(2), Call(int), broken(), Take("NEVER"))))

    for _ in range(100):
        assert ended(store.run_saga(saga())) in (0, 1, 2, ValueError)
    assert left(store) == {}
