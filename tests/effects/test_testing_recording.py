"""record_run: what a saga did, as data."""

import pytest

from milo_core import Action, StateError
from milo_effects import Call, Delay, EffectRegistry, Fork, Put, Race, Select, Take, handles
from milo_effects.results import EffectResult
from milo_effects.testing import UNANSWERED, Sent, SimulationError, Step, Thrown, record_run


def add(count, action):
    return count + action.payload if action.type == "ADD" else count


def charge(cart):
    raise OSError("the bank is closed")


def test_every_effect_is_kept_with_its_answer():
    """Steps are pairs of an effect and what was sent or thrown, in order."""

    def saga():
        before = yield Select()
        yield Put(Action("ADD", 2))
        try:
            yield Call(charge, ("tea",))
        except OSError:
            yield Delay(60)
        return before

    run = record_run(saga, reducer=add, state=40)
    assert run.steps == (
        Step(Select(), Sent(40)),
        Step(Put(Action("ADD", 2)), Sent(None)),
        Step(Call(charge, ("tea",)), Thrown(OSError("the bank is closed"))),
        Step(Delay(60), Sent(None)),
    )
    assert run.effects == tuple(step.effect for step in run.steps)
    assert (run.result, run.error, run.state, run.seconds) == (40, None, 42, 60)
    assert run.actions == (Action("ADD", 2),)


def test_actions_come_when_all_sagas_wait():
    """Each is dispatched at rest, so none comes too early; time does not pass for them."""

    def saga():
        first = yield Take("GO", timeout=1)
        second = yield Take("GO", timeout=1)
        return first.payload, second.payload

    run = record_run(saga, actions=[Action("GO", 1), Action("GO", 2)])
    assert run.result == (1, 2)
    assert run.seconds == 0


def test_answers_can_be_provided():
    """An equal effect is answered, or fails, as the test says; others are carried out."""

    def saga():
        yield Put(Action("ADD", 1))
        answers = yield Call(charge, ("tea",))
        try:
            yield Call(charge, ("coffee",))
        except LookupError:
            answers += yield Call(int)
        return answers

    provide = [
        (Call(charge, ("tea",)), 41),
        (Call(charge, ("coffee",)), Thrown(LookupError())),
    ]
    run = record_run(saga, reducer=add, state=0, provide=provide)
    assert run.result == 41
    assert run.state == 1


def test_handlers_can_be_given():
    """A registry of one's own is used."""

    class Double:
        pass

    @handles(Double)
    def double(effect, context, store):
        return EffectResult.send(store.state * 2)

    def saga():
        return (yield Double())

    assert record_run(saga, state=21, registry=EffectRegistry(double)).result == 42


def test_other_sagas_are_recorded_beside_it():
    """Forks and the children of a Race have records of their own, in order of their starts."""

    def child():
        yield Delay(1)
        return "child"

    def loser():
        yield Take("NEVER")

    def saga():
        yield Fork(child)
        yield Race((child(), loser()))

    run = record_run(saga())
    assert [each.name for each in run.sagas] == ["saga", "child", "loser", "child"]
    assert run.sagas[0] is run.saga
    assert [each.result for each in run.sagas[1::2]] == ["child", "child"]
    lost = run.sagas[2]
    assert lost.was_cancelled
    assert lost.steps == [Step(Take("NEVER"), UNANSWERED)]
    assert repr(UNANSWERED) == "UNANSWERED"


def test_what_waits_for_ever_has_no_answer_and_no_result():
    """A missing action shows: the last step is unanswered, the result is refused."""

    def saga():
        yield Take("GO")

    run = record_run(saga)
    assert run.steps == (Step(Take("GO"), UNANSWERED),)
    assert run.error is None
    with pytest.raises(StateError, match=r"has not ended.*waits at Take.*an action missing"):
        _ = run.result


def test_a_failure_is_recorded():
    """What ends the saga is its error, raised by its result."""

    def saga():
        yield Call(charge, ("tea",))

    run = record_run(saga)
    assert isinstance(run.error, OSError)
    with pytest.raises(OSError, match="closed"):
        _ = run.result


def test_sagas_without_an_end_need_one():
    """until lets so much time pass; without it the run is given up."""

    def saga():
        while True:
            yield Delay(1)

    assert len(record_run(saga, until=10).steps) == 11
    with pytest.raises(SimulationError, match="has not ended after 100 steps"):
        record_run(saga, max_steps=100)


def test_what_is_no_saga_is_refused():
    """As run_saga does."""
    with pytest.raises(StateError, match="a saga is a generator"):
        record_run(42)


def test_thrown_errors_compare_by_what_they_are():
    """Same class and arguments: equal, with equal hashes; else not."""
    assert Thrown(OSError(1)) == Thrown(OSError(1))
    assert hash(Thrown(OSError(1))) == hash(Thrown(OSError(1)))
    assert Thrown(OSError(1)) != Thrown(OSError(2))
    assert Thrown(OSError(1)) != Thrown(LookupError(1))
    assert Thrown(OSError(1)) != Sent(1)


def test_a_seed_chooses_the_order():
    """With a seed, what may happen in several orders happens in one that it chooses."""

    def saga():
        return (yield Race((winner("one"), winner("other"))))

    def winner(name):
        yield Delay(1)
        return name

    assert {record_run(saga, seed=seed).result for seed in range(20)} == {"one", "other"}
    assert record_run(saga).result == "one"
