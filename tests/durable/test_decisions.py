"""What follows from the outcomes of steps, as pure functions: any sequence of them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_tools import DAY, START, Plain, Step, chain

from milo_durable import (
    ExponentialRetry,
    FixedRetry,
    NoRetry,
    NotifyEvent,
    NotifyResult,
    OnTimeout,
    SagaDefinitionError,
    SagaSnapshot,
    SagaStatus,
    StepAwaitEvent,
)
from milo_durable._deciding.back import after_compensation, begin_compensation
from milo_durable._deciding.forward import after_execution
from milo_durable._deciding.outside import (
    aborted,
    after_event,
    after_expiry,
    again,
    expecting,
    judge_event,
)
from milo_durable._deciding.transition import Failed, Moment, Succeeded, Waits, applied
from milo_durable.status import ACTIVE, TERMINAL, TRANSITIONS, WORKING

KEYS = {
    *("timestamp", "phase", "status", "step_id", "step_name", "attempt", "token"),
    *("input", "output", "error", "skipped"),
}
OUTCOMES = st.sampled_from(
    [
        *(Succeeded({"word": "x"}), Succeeded({"word": "x"}), Succeeded({"word": "x"})),
        *(Failed("first"), Failed("late", timed_out=True), Failed("for good", retries=False)),
        *(Waits(StepAwaitEvent()), Waits(StepAwaitEvent(until=START + DAY))),
    ]
)
CALLS = st.sampled_from(["go on"] * 12 + ["abort", "compensate", "retry", "await", "halt"])


def moment(now=START):
    return Moment(now, uuid4(), timedelta(minutes=5), timedelta(seconds=5))


def new(definition):
    return SagaSnapshot(
        *(uuid4(), "saga", 1, "key", SagaStatus.RUNNING, 0, uuid4()),
        *({"initial_data": {}, "outputs": {}}, (), START + DAY, 0, None, None, START, START),
    )


def next_transition(saga, definition, outcome, call):
    """What happens to ``saga`` next: to a working one ``outcome``, to a waiting one its event."""
    if call == "abort" and saga.status not in TERMINAL:
        return aborted(saga, moment())
    if call == "compensate" and saga.status not in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        return begin_compensation(saga, definition, moment())
    if call == "await" and saga.status == SagaStatus.SUSPENDED:
        return expecting(saga, ["t"], None, START + DAY, moment())
    if call == "retry" and saga.status in (SagaStatus.SUSPENDED, SagaStatus.TIMEOUT):
        return again(saga, definition, moment())
    if call == "halt" and saga.status in WORKING:
        outcome = Failed("it killed its worker", halts=True)
    if saga.status == SagaStatus.RUNNING:
        return after_execution(saga, definition, outcome, {"word": "in"}, moment())
    if saga.status == SagaStatus.COMPENSATING:
        return after_compensation(saga, definition, outcome, {"word": "in"}, moment())
    if saga.status == SagaStatus.SUSPENDED and saga.awaiting is not None:
        if saga.deadline_at is not None and isinstance(outcome, Failed):
            return after_expiry(saga, definition, moment())
        return after_event(saga, definition, NotifyEvent({"n": 1}), moment())
    if saga.status == SagaStatus.SUSPENDED:
        return again(saga, definition, moment())
    if saga.status == SagaStatus.COMPENSATING_SUSPENDED and saga.deadline_at is not None:
        # as a claim does
        after = replace(saga, status=SagaStatus.COMPENSATING, step_execution_token=uuid4())
        return replace(again(saga, definition, moment()), after=after)
    return None


@st.composite
def definitions(draw):
    steps = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    retries = draw(st.sampled_from([NoRetry(), FixedRetry(1), ExponentialRetry(2)]))
    given_to_all = {"retry_policy": retries, "on_timeout": draw(st.sampled_from(OnTimeout))}
    options = {f"step{index}": given_to_all for index in range(len(steps))}
    made = [Step(str(n), []) if undoes else Plain() for n, undoes in enumerate(steps)]
    return chain(*made, compensate_on_failure=draw(st.booleans()), **options)


@given(definitions(), st.lists(st.tuples(OUTCOMES, CALLS), max_size=30))
def test_any_sequence_of_outcomes(definition, events):
    """Whatever happens, a saga moves as TRANSITIONS says, with a fresh token and its deadline."""
    saga = new(definition)
    tokens = {saga.step_execution_token}
    for outcome, call in events:
        transition = next_transition(saga, definition, outcome, call)
        if transition is None:
            continue
        after = applied(saga, transition)
        assert after.status in TRANSITIONS[saga.status]
        assert after.step_execution_token not in tokens
        tokens.add(after.step_execution_token)
        assert (after.deadline_at is not None) or after.status not in WORKING
        if after.status not in ACTIVE:
            assert after.deadline_at is None
        if after.status == SagaStatus.SUSPENDED and after.awaiting is None:
            assert (after.deadline_at is None) == (call == "halt")
        if after.awaiting is not None:
            assert after.status == SagaStatus.SUSPENDED
        if transition.entry is not None:
            assert set(transition.entry) == KEYS
            assert transition.entry["token"] == str(saga.step_execution_token)
        saga = after
    check_history(saga, definition)


def check_history(saga, definition):
    """Steps succeed in order; they are undone in reverse, once each, only what can be."""
    done = [e for e in saga.step_history if e["status"] == "SUCCESS"]
    forward = [e["step_id"] for e in done if e["phase"] == "execute"]
    back = [e["step_id"] for e in done if e["phase"] == "compensate"]
    assert forward == [f"step_{index}" for index in range(len(forward))]
    can = [each.step_id for each in definition.steps if each.undoes and each.step_id in forward]
    assert back == can[::-1][: len(back)]
    assert set(saga.outputs) == set(forward)
    if saga.status == SagaStatus.COMPENSATED:
        assert back == can[::-1]
    if saga.status == SagaStatus.COMPLETED:
        assert len(forward) == len(definition.steps) and not back


@given(st.integers(min_value=0, max_value=6), st.integers(min_value=1, max_value=5))
def test_retries_are_counted_beside_the_first_execution(retries, lucky):
    """A policy of n retries is n+1 executions, each with its number, unless one succeeds."""
    definition = chain(Step("a", []), step0={"retry_policy": FixedRetry(retries)})
    saga = new(definition)
    while saga.status in (SagaStatus.RUNNING, SagaStatus.SUSPENDED):
        attempt = saga.retry_count + 1
        outcome = Succeeded(None) if attempt == lucky else Failed("no")
        saga = applied(saga, after_execution(saga, definition, outcome, None, moment()))
        if saga.status == SagaStatus.SUSPENDED:
            saga = applied(saga, again(saga, definition, moment()))
    expected = min(lucky, retries + 1)
    assert [e["attempt"] for e in saga.step_history] == list(range(1, expected + 1))
    assert saga.status == ("COMPLETED" if lucky <= retries + 1 else "FAILED")


def test_fixed_retry_three_is_four_executions():
    """FixedRetry(3) waits three times and no fourth; NoRetry never; exponential waits double."""
    assert [FixedRetry(3).next_delay(n) is None for n in (1, 2, 3, 4)] == [False] * 3 + [True]
    assert NoRetry().next_delay(1) is None and NoRetry().max_attempts == 0
    policy = ExponentialRetry(5, timedelta(seconds=1), max_delay=timedelta(seconds=5))
    waits = [policy.next_delay(n) for n in range(1, 7)]
    assert [w and w.total_seconds() for w in waits] == [1, 2, 4, 5, 5, None]
    assert ExponentialRetry(5000).next_delay(5000) == timedelta(hours=1)


@pytest.mark.parametrize("given_", [-1, True, 1.5, "3", None])
def test_a_policy_that_cannot_be_meant(given_):
    """A number of retries is a whole number from 0, and a wait a timedelta up to a century."""
    for policy in (FixedRetry, ExponentialRetry):
        with pytest.raises(SagaDefinitionError, match="max_attempts must be"):
            policy(given_)
        with pytest.raises(SagaDefinitionError, match="delay must be a timedelta"):
            policy(1, given_)
        with pytest.raises(SagaDefinitionError, match="delay must be a timedelta"):
            policy(1, timedelta(seconds=-1))
        with pytest.raises(SagaDefinitionError, match="to 36500 days, not"):
            policy(1, timedelta.max)


EVENT = NotifyEvent({}, event_id="e", event_type="t", correlation_id="c")


@given(*[st.booleans()] * 6)
def test_the_first_reason_is_told(waits, token, fresh, typed, correlated, in_time):
    """An event is refused for the first of the six reasons, in the order of SEMANTICS."""
    context = {"events": [] if fresh else [{"event_id": "e"}], "outputs": {}}
    awaiting = {
        "event_types": ["t"] if typed else ["other"],
        "correlation_id": "c" if correlated else "other",
    }
    saga = replace(
        new(None),
        status=SagaStatus.SUSPENDED,
        context=context,
        awaiting=awaiting if waits else None,
        deadline_at=START + DAY if in_time else START,
    )
    reasons = [
        (waits, NotifyResult.NOT_WAITING),
        (token, NotifyResult.STALE_TOKEN),
        (fresh, NotifyResult.DUPLICATE_EVENT),
        (typed, NotifyResult.WRONG_EVENT_TYPE),
        (correlated, NotifyResult.WRONG_CORRELATION_ID),
        (in_time, NotifyResult.EXPIRED),
    ]
    first = next((result for fine, result in reasons if not fine), NotifyResult.ACCEPTED)
    sent = saga.step_execution_token if token else UUID(int=0)
    assert judge_event(saga, sent, EVENT, START) is first
    assert bool(first) is all(fine for fine, _ in reasons)


def test_the_first_error_is_kept():
    """A saga that was undone, or could not be, tells the error that had it undone."""
    for outcome, status in ((Succeeded(None), "COMPENSATED"), (Failed("second"), "FAILED")):
        definition = chain(Step("a", []), Step("b", []))
        saga = new(definition)
        for each in (Succeeded(None), Failed("first")):
            saga = applied(saga, after_execution(saga, definition, each, None, moment()))
        assert saga.status == SagaStatus.COMPENSATING
        saga = applied(saga, after_compensation(saga, definition, outcome, None, moment()))
        assert (saga.status, saga.error) == (status, "first")
