"""What happens by itself when an event does not come in time, or an operator ends the wait."""

from datetime import timedelta

import pytest
from saga_tools import DAY, START, Plain, Step, chain, failing, on, wait_once

from milo_durable import (
    AwaitingEvent,
    FixedRetry,
    InvalidEventError,
    OnTimeout,
    SagaDefinitionError,
    SagaStateError,
    StepAwaitEvent,
)

HOUR = timedelta(hours=1)
MISSED = "the event did not come in time"


def wait_an_hour(attempt, inp):
    """Wait, at every attempt."""
    return StepAwaitEvent(within=HOUR)


def unpaid(journal, *, behave=wait_an_hour, completed=True, **options):
    """A step that waits, with ``options``, after one that was completed, if there is one."""
    given = {"retry_policy": FixedRetry(1, HOUR), **options}
    waiting = Step("w", journal, behave)
    if not completed:
        return chain(waiting, step0=given)
    return chain(Step("a", journal), waiting, step1=given)


@pytest.mark.parametrize(
    ("choice", "completed", "ends", "undone"),
    [
        ("stop", True, "TIMEOUT", []),
        ("compensate", True, "COMPENSATED", ["undo a go go>a"]),
        ("compensate", False, "FAILED", []),
        ("fail", True, "FAILED", []),
        (OnTimeout.FAIL, False, "FAILED", []),
    ],
)
@pytest.mark.parametrize("call", ["run_due", "expire"])
def test_what_follows_is_what_the_step_says(database, call, choice, completed, ends, undone):
    """The saga stops, is undone or fails: when the time has passed, and when expire is called."""
    journal = []

    async def scenario(bench):
        definition = unpaid(journal, completed=completed, on_timeout=choice)
        saga_id = await bench.begin(definition)
        if call == "run_due":
            assert await bench.later() == 1
        else:
            await bench.admin.expire(saga_id)
        saga = await bench.see(saga_id)
        assert (saga.status, saga.error, saga.deadline_at) == (ends, MISSED, None)
        (missed,) = [each for each in saga.step_history if each["status"] == "TIMEOUT"]
        assert missed["error"] == MISSED
        assert [line for line in journal if line.startswith("undo")] == undone
        assert await bench.later() == 0

    on(database, scenario)


def test_a_wait_is_tried_again_under_the_retry_policy(database):
    """With "retry" the step runs again after the policy's delay; after the last it has failed."""
    journal = []

    async def scenario(bench):
        saga_id = await bench.begin(unpaid(journal, on_timeout="retry"))
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.retry_count, saga.awaiting) == ("SUSPENDED", 1, None)
        assert saga.deadline_at == bench.clock.now + HOUR
        assert await bench.later() == 1
        assert (await bench.see(saga_id)).awaiting is not None
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPENSATED"
        assert journal == ["do a", "do w", "do w", "undo a go go>a"]

    on(database, scenario)


def test_an_event_at_the_second_attempt(database):
    """A saga that waits again takes its event as if nothing had been missed."""

    def behave(attempt, inp):
        return wait_an_hour(attempt, inp) if attempt <= 2 else None

    async def scenario(bench):
        saga_id = await bench.begin(unpaid([], behave=behave, on_timeout="retry"))
        await bench.later()
        await bench.later()
        assert await bench.notify(saga_id, {"paid": True})
        saga = await bench.see(saga_id)
        assert (saga.status, saga.error) == ("COMPLETED", None)

    on(database, scenario)


def test_undoing_that_fails_is_retried(database):
    """What on_timeout has undone is undone as ever: with retries, and by others after a crash."""
    journal, times = [], []

    def undo():
        times.append(1)
        failing(1)(len(times), None)

    async def scenario(bench):
        definition = chain(
            *(Step("a", journal, undo=undo), Step("w", journal, wait_an_hour)),
            step0={"retry_policy": FixedRetry(1, DAY)},
            step1={"on_timeout": "compensate"},
        )
        saga_id = await bench.begin(definition)
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPENSATING_SUSPENDED"
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPENSATED"

    on(database, scenario)


def test_what_is_compensated_by_choice(database):
    """on_timeout="compensate" undoes also where other failures are left as they are."""

    async def scenario(bench):
        steps = Step("a", []), Step("w", [], wait_an_hour)
        options = {"on_timeout": "compensate"}
        saga_id = await bench.begin(chain(*steps, compensate_on_failure=False, step1=options))
        await bench.later()
        assert await bench.status(saga_id) == "COMPENSATED"

    on(database, scenario)


def test_within_is_counted_from_the_recording(database):
    """A step that takes its time does not shorten its wait; await_event counts from its call."""

    async def scenario(bench):
        def behave(attempt, inp):
            event = wait_an_hour(attempt, inp)
            bench.clock.forward(DAY)
            return event

        saga_id = await bench.begin(chain(Step("a", [], behave)))
        assert (await bench.see(saga_id)).deadline_at == START + DAY + HOUR
        bench.clock.forward(HOUR / 2)
        await bench.orchestrator.await_event(saga_id, AwaitingEvent(within=HOUR))
        assert (await bench.see(saga_id)).deadline_at == START + DAY + HOUR * 3 / 2

    on(database, scenario)


@pytest.mark.parametrize("event", [StepAwaitEvent, AwaitingEvent])
@pytest.mark.parametrize(
    "within", [timedelta(0), timedelta(-1), timedelta.max, timedelta(days=36501), 5, "1h"]
)
def test_a_length_of_time_that_cannot_be_meant(event, within):
    """A wait lasts longer than nothing, and at most a hundred years."""
    with pytest.raises(InvalidEventError, match="within must be a timedelta"):
        event(within=within)


@pytest.mark.parametrize("event", [StepAwaitEvent, AwaitingEvent])
def test_two_ends_of_one_wait(event):
    """until and within together are refused, with both values."""
    with pytest.raises(InvalidEventError, match="give one of them"):
        event(until=START, within=HOUR)


@pytest.mark.parametrize("choice", ["undo", None, 5, "STOP"])
def test_a_choice_that_is_none(choice):
    """on_timeout is one of four; the error names them."""
    with pytest.raises(SagaDefinitionError, match="stop, retry, compensate, fail"):
        chain(Plain(), step0={"on_timeout": choice})


def test_retrying_without_a_policy():
    """on_timeout="retry" says nothing without a retry policy, and is refused."""
    with pytest.raises(SagaDefinitionError, match="needs a retry_policy"):
        chain(Plain(), step0={"on_timeout": "retry"})


def test_expire_is_for_those_that_wait_for_an_event(database):
    """A saga that waits for its next attempt cannot be expired, and nothing is written."""

    async def scenario(bench):
        options = {"retry_policy": FixedRetry(1, DAY)}
        saga_id = await bench.begin(chain(Step("a", [], failing(1)), step0=options))
        before = await bench.see(saga_id)
        with pytest.raises(SagaStateError, match="wait for an event"):
            await bench.admin.expire(saga_id)
        assert await bench.see(saga_id) == before

    on(database, scenario)


def test_a_wait_without_end_is_expired(database):
    """expire ends also a wait that has no time."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        assert (await bench.admin.expire(saga_id)).status == "TIMEOUT"

    on(database, scenario)
