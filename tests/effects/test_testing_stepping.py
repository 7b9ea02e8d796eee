"""stepping: a saga by hand."""

import pytest

from milo_core import Action, StateError
from milo_effects import Call, Put, SagaCancelled, Take
from milo_effects.testing import Stepper, stepping


def charge(cart):
    """Never called: nothing is carried out."""
    raise NotImplementedError


def checkout(cart):
    try:
        receipt = yield Call(charge, (cart,))
    except OSError:
        yield Put(Action("FAILED"))
        return "try again"
    yield Put(Action("PAID", receipt))
    return "thanks"


def failing():
    yield Take("GO")
    raise LookupError("no such thing")


def test_answers_lead_from_effect_to_effect():
    """Each effect compares by value; answers go in by send; the end has the result."""
    saga = stepping(checkout("tea"))
    assert not saga.done
    assert saga.effect == Call(charge, ("tea",))
    assert saga.send("receipt") == saga.effect == Put(Action("PAID", "receipt"))
    assert saga.send() is None
    assert saga.done
    assert saga.result == "thanks"
    assert saga.error is None


def test_errors_are_thrown_in():
    """throw makes the effect fail, and the saga may go on."""
    saga = stepping(checkout("tea"))
    assert saga.throw(OSError("closed")) == Put(Action("FAILED"))
    saga.send()
    assert saga.result == "try again"


def test_a_function_is_called():
    """A function that returns a saga will do, too."""
    assert stepping(failing).effect == Take("GO")


def test_cancelling_runs_the_cleanup():
    """cancel throws SagaCancelled; cleanup may yield, and the error is kept."""

    def careful():
        try:
            yield Take("GO")
        finally:
            yield Put(Action("BYE"))

    saga = stepping(careful)
    assert saga.cancel() == Put(Action("BYE"))
    saga.send()
    assert isinstance(saga.error, SagaCancelled)
    with pytest.raises(SagaCancelled, match="careful was cancelled"):
        _ = saga.result


def test_a_failure_is_kept_for_who_asks():
    """What the saga raises is its error, and raised as its result."""
    saga = stepping(failing)
    saga.send(Action("GO"))
    assert saga.done
    assert isinstance(saga.error, LookupError)
    with pytest.raises(LookupError, match="no such thing"):
        _ = saga.result


def test_a_saga_that_fails_at_once_has_ended():
    """An error before the first effect is kept as any other."""

    def hasty():
        raise LookupError("too early")
        yield

    saga = stepping(hasty)
    assert saga.done
    with pytest.raises(StateError, match="hasty has failed after 0 effects"):
        _ = saga.effect


def test_the_result_is_not_there_before_the_end():
    """Asking too early says where the saga stands."""
    saga = stepping(checkout("tea"))
    with pytest.raises(StateError, match=r"has not ended.*after 1 effect it waits for Call\("):
        _ = saga.result


@pytest.mark.parametrize(
    "ask", [lambda s: s.effect, lambda s: s.send(1), lambda s: s.throw(OSError()), Stepper.cancel]
)
def test_stepping_past_the_end_says_how_it_ended(ask):
    """There is no effect after the end, and nobody to be sent anything."""
    saga = stepping(checkout("tea"))
    saga.send("receipt")
    saga.send()
    with pytest.raises(StateError, match=r"checkout has returned after 2 effects, so.*'thanks'"):
        ask(saga)


def test_stepping_past_a_failure_names_it_as_the_cause():
    """A saga that has failed where it should have yielded tells why."""
    saga = stepping(failing)
    saga.send()
    with pytest.raises(StateError, match="failed after 1 effect") as caught:
        saga.send()
    assert caught.value.__cause__ is saga.error


def test_control_flow_is_not_kept():
    """KeyboardInterrupt and the like come out at once, and the saga has ended."""

    def interrupted():
        yield Take("GO")
        raise KeyboardInterrupt

    saga = stepping(interrupted)
    with pytest.raises(KeyboardInterrupt):
        saga.send()
    assert saga.done


@pytest.mark.parametrize("given", [42, lambda: 42])
def test_what_is_no_saga_is_refused(given):
    """Only generators, and functions that return one, can be stepped."""
    with pytest.raises(StateError, match="a saga is a generator"):
        stepping(given)


def test_it_shows_where_it_stands():
    """Its text has the effect, then the result or the error."""
    saga = stepping(checkout("tea"))
    assert repr(saga).startswith("<Stepper checkout: waits for Call(")
    saga.throw(OSError())
    saga.send()
    assert repr(saga) == "<Stepper checkout: returned 'try again'>"
    broken = stepping(failing)
    broken.send()
    assert repr(broken) == "<Stepper failing: LookupError('no such thing')>"
