"""Fork starts a saga and goes on."""

import pytest

from milo_core import Action, StateError
from milo_effects import Call, Fork, Put, SagaCancelled, SagaTask, Take


def wait_for(kind):
    return (yield Take(kind)).payload


@pytest.mark.parametrize("made", ["generator", "function"])
def test_the_task_is_sent_back_at_once(new_store, park, run, hangs, made):
    """The parent goes on with a handle of the saga, which may be a generator or a function."""
    store = new_store(max_workers=1)

    def saga():
        source = wait_for("GO") if made == "generator" else lambda: wait_for("GO")
        return (yield Fork(source))

    task = run(store, saga())
    assert isinstance(task, SagaTask)
    assert task.context is task
    assert store.wait_idle(hangs)
    assert not task.done()
    store.dispatch(Action("GO", 5))
    assert task.result(hangs) == 5
    assert task.done()


def test_a_handle_can_be_used_like_an_event(new_store, run, ended):
    """``set`` and ``is_set`` cancel and ask, for people who know milo-cli's handle."""
    store = new_store()

    def saga():
        return (yield Fork(wait_for("NEVER")))

    task = run(store, saga())
    assert not task.is_set()
    task.set()
    assert task.is_set()
    assert ended(task) is SagaCancelled


@pytest.mark.parametrize(("attached", "outcome"), [(True, SagaCancelled), (False, 5)])
def test_attached_means_cancelled_together(new_store, park, settle, ended, attached, outcome):
    """A detached saga outlives its parent's cancellation, an attached one does not."""
    store, forked = new_store(), []

    def saga():
        forked.append((yield Fork(wait_for("GO"), attached=attached)))
        yield Take("NEVER")

    park(store, saga()).cancel()
    settle(store)
    store.dispatch(Action("GO", 5))
    assert ended(forked[0]) == outcome


def test_detached_is_the_default():
    """``Fork(saga)`` equals ``Fork(saga, attached=False)``."""
    assert Fork(wait_for) == Fork(wait_for, False) == Fork(saga=wait_for, attached=False)


@pytest.mark.parametrize("attached", [True, False])
def test_an_error_never_reaches_the_parent(new_store, run, ended, reports, attached):
    """It is reported, and the parent goes on."""
    store, forked = new_store(), []

    def broken():
        yield Call(int)
        raise ValueError("child")

    def saga():
        task = yield Fork(broken(), attached=attached)
        forked.append(task)
        yield Call(lambda: task.add_done_callback(lambda _: store.dispatch(Action("OVER"))))
        return "went on"

    assert run(store, saga()) == "went on"
    assert ended(forked[0]) is ValueError
    assert reports(store) == [("@@SAGA_ERROR", "ValueError")]


def test_an_attached_saga_outlives_its_parents_normal_end(new_store, run, settle, hangs):
    """Only cancellation is shared: a parent that returns leaves its children running."""
    store = new_store()

    def saga():
        return (yield Fork(wait_for("GO"), attached=True))

    task = run(store, saga())
    settle(store)
    assert not task.is_cancelled
    store.dispatch(Action("GO", 5))
    assert task.result(hangs) == 5


def test_an_orphan_is_still_below_its_grandparent(new_store, park, run, settle, ended, left):
    """Cancelling reaches an attached saga through a parent that has ended."""
    store, forked = new_store(), []

    def middle():
        forked.append((yield Fork(wait_for("NEVER"), attached=True)))

    def saga():
        yield Fork(middle(), attached=True)
        yield Take("NEVER")

    task = park(store, saga())
    task.cancel()
    assert ended(forked[0]) is SagaCancelled
    settle(store)
    assert left(store) == {}


@pytest.mark.parametrize("saga", [5, None, "text", [1]])
def test_what_is_no_saga_is_refused_at_the_yield(new_store, run, saga):
    """The error says what a saga is, and can be caught."""

    def parent():
        with pytest.raises(StateError, match="a saga is a generator"):
            yield Fork(saga)
        return "went on"

    assert run(new_store(), parent()) == "went on"


def test_a_function_that_makes_no_saga_fails_on_its_own(new_store, run, ended):
    """The forked task has the error; its parent does not."""

    def saga():
        return (yield Fork(lambda: 5))

    assert ended(run(new_store(), saga())) is StateError


def test_sagas_are_composed_with_yield_from(new_store, run, seen):
    """``yield from`` runs another saga inside this one and gives its return value."""
    store = new_store()

    def part(name):
        yield Put(Action(name))
        return name.lower()

    def whole():
        return [(yield from part("ONE")), (yield from part("TWO"))]

    assert run(store, whole()) == ["one", "two"]
