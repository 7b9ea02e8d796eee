"""``SagaContext.on_cancel``: being told of a cancellation without being a saga."""

import pytest

from milo_effects import SagaContext, Take


def test_a_callback_is_called_once_when_the_scope_or_one_above_is_cancelled():
    """At once if it has been, and never if it was taken back."""
    above = SagaContext()
    below, told = above.child(), []
    below.on_cancel(lambda: told.append("first"))
    undo = below.on_cancel(lambda: told.append("never"))
    undo()
    undo()
    above.cancel_tree()
    above.cancel_tree()
    assert told == ["first"]
    below.on_cancel(lambda: told.append("late"))
    assert told == ["first", "late"]


def test_a_callback_on_its_way_may_be_taken_back_by_another():
    """What was taken back before its turn is not called."""
    scope, told, undos = SagaContext(), [], []
    for name in ("one", "two"):

        def tell(name=name):
            told.append(name)
            for undo in undos:
                undo()

        undos.append(scope.on_cancel(tell))
    scope.cancel_tree()
    assert told == ["one"]


def test_an_error_in_a_callback_is_logged(caplog):
    """The others are told all the same."""
    scope, told = SagaContext(), []
    scope.on_cancel(lambda: 1 / 0)
    scope.on_cancel(lambda: told.append(1))
    scope.cancel_tree()
    assert told == [1]
    assert "a callback of the cancellation of" in caplog.text


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_saga_that_is_listened_to_leaves_nothing(new_store, settle, cancelled):
    """However it ends."""
    store, told = new_store(), []

    def saga():
        yield Take("NEVER") if cancelled else Take("GO", timeout=0)

    task = store.run_saga(saga())
    undo = task.on_cancel(lambda: told.append(1))
    settle(store)
    if cancelled:
        task.cancel_tree()
        settle(store)
    else:
        undo()
    assert told == [1] * cancelled
    assert not task._members
