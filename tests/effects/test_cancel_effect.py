"""Cancel cancels the tasks of sagas, or the saga that yields it."""

import pytest

from milo_core import Action
from milo_effects import (
    All,
    Cancel,
    ChildCancelledError,
    Delay,
    Fork,
    Join,
    Put,
    Race,
    SagaCancelled,
    SagaTask,
    Take,
)


def wait():
    yield Take("NEVER")


def cleaning_up():
    try:
        yield Take("NEVER")
    finally:
        yield Take("FINISH")
        yield Put(Action("CLEANED"))


def test_a_task_is_cancelled_and_the_saga_goes_on(new_store, run, ended, reports, left):
    """``None`` is sent back at once; the task ends as one that was cancelled."""
    store = new_store()

    def saga():
        task = yield Fork(wait)
        sent = yield Cancel(task)
        return task, sent

    task, sent = run(store, saga())
    assert sent is None
    assert ended(task) is SagaCancelled
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


def test_it_does_not_wait_for_the_cleanup(new_store, park, ended):
    """Who wants that joins the task, which throws ``ChildCancelledError``."""
    store = new_store()
    task = park(store, cleaning_up())

    def saga():
        yield Cancel(task)
        yield Put(Action("WENT_ON"))
        try:
            yield Join(task)
        except ChildCancelledError:
            yield Put(Action("JOINED"))

    joiner = park(store, saga())
    store.dispatch(Action("FINISH"))
    ended(joiner)
    assert [each.type for each in store.state][1:] == [
        "WENT_ON",
        "FINISH",
        "CLEANED",
        "@@SAGA_CANCELLED",
        "JOINED",
    ]


def test_several_are_cancelled_together_with_what_is_attached(new_store, park, run, ended, left):
    """A tuple of tasks, and everything that runs in their scopes; others run on."""
    store = new_store()

    def parent():
        yield Fork(wait, attached=True)
        yield Take("NEVER")

    one, two, other = [park(store, saga()) for saga in (parent, parent, wait)]

    def saga():
        return (yield Cancel(())), (yield Cancel((one, two)))

    assert run(store, saga()) == (None, None)
    assert [ended(one), ended(two)] == [SagaCancelled] * 2
    assert left(store) == {"tasks": 1, "takers": 1}
    assert not other.done()


def test_a_task_that_has_ended_is_left_alone(new_store, run, reports):
    """Its result stays what it is."""
    store = new_store()

    def five():
        return 5
        yield

    def saga():
        task = yield Fork(five)
        yield Join(task)
        yield Cancel(task)
        return (yield Join(task))

    assert run(store, saga()) == 5
    assert reports(store) == []


def test_without_a_task_it_cancels_the_saga_that_yields_it(new_store, run, ended, seen, reports):
    """``SagaCancelled`` is thrown at its ``yield``, cleanup may yield, attached sagas go too."""
    store, forked = new_store(), []

    def saga():
        forked.append((yield Fork(wait, attached=True)))
        try:
            yield Cancel()
            yield Put(Action("PASSED"))
        finally:
            yield Put(Action("CLEANED"))

    assert ended(store.run_saga(saga())) is SagaCancelled
    assert ended(forked[0]) is SagaCancelled
    assert len(seen(store, "CLEANED")) == 1
    assert seen(store, "PASSED") == []
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 2


def test_it_cancels_itself_through_its_own_task_too(new_store, park, ended, seen):
    """Its own task, or that of a saga it is attached to, reaches itself at once."""
    store, above = new_store(), []

    def child():
        yield Take("GO")
        yield Cancel((above[0],))
        yield Put(Action("PASSED"))

    def saga():
        task = yield Fork(child, attached=True)
        yield Take("NEVER")
        return task

    above.append(park(store, saga()))
    store.dispatch(Action("GO"))
    assert ended(above[0]) is SagaCancelled
    store.wait_idle()
    assert seen(store, "PASSED") == []


def test_a_child_that_cancels_itself_does_not_cancel_who_waits_for_it(new_store, run):
    """The parent is told by an error, and in a race another one may win."""
    store = new_store()

    def quits():
        yield Cancel()

    def five():
        yield Delay(0.001)
        return 5

    def saga():
        try:
            yield All((quits(), wait()))
        except ChildCancelledError:
            return (yield Race((quits(), five())))

    assert run(store, saga()) == 5


def test_in_a_cleanup_it_changes_nothing(new_store, ended, seen):
    """A saga is cancelled once; the cleanup runs to its end."""
    store = new_store()

    def saga():
        try:
            yield Cancel()
        finally:
            yield Put(Action("CLEANED", (yield Cancel())))

    assert ended(store.run_saga(saga())) is SagaCancelled
    assert seen(store, "CLEANED") == [None]


def test_descriptors_compare_by_value(new_store, park):
    """A saga that is stepped by hand is checked with ``==``."""
    task = park(new_store(), wait())
    assert isinstance(task, SagaTask)
    assert Cancel() == Cancel()
    assert Cancel(task) == Cancel(task) != Cancel()
    assert repr(Cancel()) == "Cancel(task=<Target.SELF: 'self'>)"
    task.cancel()


@pytest.mark.parametrize("given", [None, 5, (None,), []])
def test_what_is_no_task_is_refused_where_it_is_written(given):
    """``None`` most of all, which is not to cancel the saga itself by mistake."""
    with pytest.raises(TypeError, match=r"Cancel takes the task .* for the saga itself .*Cancel"):
        Cancel(given)
