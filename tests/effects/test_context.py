"""SagaContext: the identity of a saga and the scope it is cancelled with."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import SagaCancelled, SagaContext, Take


def never():
    yield Take("NEVER")


def members(context):
    return set(context._members or ())


def test_a_context_has_a_name():
    """The given one, or a number of its own."""
    assert SagaContext("mine").saga_id == "mine"
    first, second = SagaContext(), SagaContext()
    assert first.saga_id != second.saga_id
    assert first.saga_id.startswith("saga-")
    first.cancel_tree()
    assert repr(first) == f"<SagaContext {first.saga_id} cancelled>"


def test_a_fresh_context_is_not_cancelled():
    """Cancelling is harmless when repeated."""
    context = SagaContext()
    assert context.is_cancelled is False
    for _ in range(2):
        context.cancel_tree()
        assert context.is_cancelled is True


def test_everything_below_is_cancelled_and_nothing_above():
    """Children share the scope of their parents, at every depth."""
    root = SagaContext()
    child = root.child("child")
    grandchild, sibling = child.child(), root.child()
    child.cancel_tree()
    assert child.is_cancelled
    assert grandchild.is_cancelled
    assert not root.is_cancelled
    assert not sibling.is_cancelled


def test_a_detached_child_inherits_nothing():
    """Its scope is its own, in both directions."""
    root = SagaContext()
    free = root.detached_child("free")
    assert free.saga_id == "free"
    root.cancel_tree()
    assert not free.is_cancelled
    assert not free.child().is_cancelled


def test_a_child_of_a_cancelled_context_is_cancelled():
    """It is so from the start."""
    root = SagaContext()
    root.cancel_tree()
    assert root.child().is_cancelled
    assert root.child().child().is_cancelled


def test_a_very_deep_tree_is_no_problem():
    """Ten thousand levels are cancelled without recursion."""
    root = deepest = SagaContext()
    for _ in range(10_000):
        deepest = deepest.child()
    root.cancel_tree()
    assert deepest.is_cancelled


@pytest.mark.parametrize(
    "wrong", [{"cancel": 5}, {"cancel": "event"}, {"parent": 5}, {"parent": "root"}]
)
def test_arguments_of_the_wrong_kind_are_refused(wrong):
    """The error names what was given."""
    with pytest.raises(TypeError, match="was given"):
        SagaContext(**wrong)


# Events


def test_an_event_stands_for_its_scope():
    """Setting it cancels the scope, and cancelling the scope sets it."""
    event = threading.Event()
    context = SagaContext(cancel=event)
    child = context.child()
    event.set()
    assert context.is_cancelled
    assert child.is_cancelled
    other = threading.Event()
    SagaContext(cancel=other).cancel_tree()
    assert other.is_set()


def test_an_event_that_is_set_already_cancels_at_once():
    """Also the contexts made below."""
    event = threading.Event()
    event.set()
    context = SagaContext(cancel=event)
    assert context.is_cancelled
    assert context.child().is_cancelled


def test_setting_the_event_reaches_running_sagas_below(new_store, park, ended, reports):
    """Sagas in child contexts of the event's context are cancelled at once."""
    store, event = new_store(), threading.Event()
    context = SagaContext(cancel=event)
    over = threading.Event()

    def saga():
        try:
            yield Take("NEVER")
        finally:
            over.set()

    park(store, saga(), context=context.child().child())
    event.set()
    assert over.wait(60)
    assert store.wait_idle(60)
    assert reports(store) == [("@@SAGA_CANCELLED",)]


# Sagas in contexts


def test_run_saga_returns_the_context_of_the_saga(new_store, park, ended):
    """A fresh one for each saga, of which the saga is the whole scope."""
    store = new_store()
    first, second = park(store, never()), park(store, never())
    assert isinstance(first, SagaContext)
    assert first.saga_id != second.saga_id
    first.cancel_tree()
    assert ended(first) is SagaCancelled
    assert not second.is_cancelled


def test_run_saga_in_a_given_context(new_store, park, settle, seen):
    """That very context is returned, gives the saga its name, and cancels it."""
    store, mine = new_store(), SagaContext("mine")
    assert park(store, never(), context=mine) is mine
    mine.cancel_tree()
    settle(store)
    assert seen(store, "@@SAGA_CANCELLED") == [{"saga_id": "mine"}]


def test_several_sagas_share_a_context(new_store, park, settle, reports):
    """All are cancelled together, however far below they run."""
    store, root = new_store(), SagaContext()
    for context in (root, root, root.child(), root.child().child()):
        park(store, never(), context=context)
    park(store, never(), context=root.detached_child())
    root.cancel_tree()
    settle(store)
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 4


@pytest.mark.parametrize("wrong", [{"cancel": 5}, {"context": 5}, {"context": threading.Event()}])
def test_run_saga_refuses_what_is_neither_event_nor_context(new_store, wrong):
    """The error names what was given."""
    with pytest.raises(TypeError, match="was given"):
        new_store().run_saga(never(), **wrong)


def test_a_saga_that_has_ended_is_forgotten(new_store, park, hangs):
    """A long-lived context holds on to nothing of the sagas that ran in it."""
    store, root = new_store(), SagaContext()
    child = root.child()

    def saga():
        yield Take("GO")

    for _ in range(10):
        park(store, saga(), context=child)
    assert len(members(child)) == 10
    assert members(root) == {child}
    store.dispatch(Action("GO"))
    assert store.wait_idle(hangs)
    assert members(child) == members(root) == set()


def test_contexts_cost_nothing_once_they_are_forgotten():
    """A parent does not keep children in which nothing runs."""
    root = SagaContext()
    passing = weakref.ref(root.child().child())
    gc.collect()
    assert passing() is None
    assert not members(root)


def test_coming_going_and_cancelling_at_the_same_time(new_store, together, frantic, hangs):
    """Sagas that start while their context is cancelled end, every one, in thirty rounds."""
    store = new_store(lambda state, action: state, None, max_workers=2)
    for _ in range(30):
        root = SagaContext()
        branches = [root.child() for _ in range(4)]
        over = threading.Semaphore(0)

        def saga(over=over):
            try:
                yield Take("NEVER")
            finally:
                over.release()

        def start(branches=branches):
            for branch in branches:
                store.run_saga(saga(), context=branch.child())

        together(start, start, root.cancel_tree)
        assert store.wait_idle(hangs)
        assert not any(members(each) for each in (root, *branches))
