"""What operators may do to a saga, and when not."""

import asyncio

import pytest
from saga_tools import (
    DAY,
    START,
    Plain,
    Step,
    Word,
    chain,
    failing,
    on,
    refuse,
    wait_once,
)

from milo_durable import (
    ActiveSagaAlreadyExistsError,
    FixedRetry,
    SagaDataError,
    SagaStateError,
    SagaStatus,
    StepAwaitEvent,
    UnknownSagaError,
)

RETRIES = {"retry_policy": FixedRetry(1, DAY)}
OUTPUT = {"word": "given"}


def boom():
    raise RuntimeError("cannot be undone")


async def in_status(bench, status, journal):
    """A saga of two steps, the first of which is completed, that has got into ``status``."""
    undo = boom if status.startswith("COMPENSATING") else None
    until = StepAwaitEvent(until=START + DAY)
    behaviours = {
        SagaStatus.SUSPENDED: wait_once,
        SagaStatus.TIMEOUT: lambda attempt, inp: until if attempt == 1 else None,
        SagaStatus.COMPLETED: None,
    }
    behave = behaviours.get(status, refuse)
    keeps = status == SagaStatus.FAILED
    first = Step("a", journal, undo=undo)
    definition = chain(
        *(first, Step("b", journal, behave)), compensate_on_failure=not keeps, step0=RETRIES
    )
    saga_id = await bench.begin(definition)
    if status == SagaStatus.TIMEOUT:
        await bench.later()
    if status in (SagaStatus.RUNNING, SagaStatus.COMPENSATING):
        index = 1 if status == SagaStatus.RUNNING else 0
        values = {"status": str(status), "current_step_index": index}
        await bench.force(saga_id, **values, deadline_at=bench.clock.now + DAY)
    first.undo = None
    journal.clear()
    assert await bench.status(saga_id) == status
    return saga_id


CALLS = {
    "retry": lambda admin, saga_id: admin.retry_step(saga_id),
    "skip": lambda admin, saga_id: admin.skip_step(saga_id, OUTPUT),
    "compensate": lambda admin, saga_id: admin.compensate_step(saga_id),
    "expire": lambda admin, saga_id: admin.expire(saga_id),
    "abort": lambda admin, saga_id: admin.abort(saga_id),
}
ENDS = {  # what comes of it; all else is refused
    ("retry", "SUSPENDED"): "COMPLETED",
    ("retry", "TIMEOUT"): "COMPLETED",
    ("retry", "FAILED"): "FAILED",
    ("skip", "SUSPENDED"): "COMPLETED",
    ("expire", "SUSPENDED"): "TIMEOUT",
    **{
        ("compensate", status): "COMPENSATED"
        for status in ("SUSPENDED", "FAILED", "TIMEOUT", "COMPENSATING", "COMPENSATING_SUSPENDED")
    },
    **{
        ("abort", status): "FAILED"
        for status in (
            *("RUNNING", "SUSPENDED", "TIMEOUT"),
            *("COMPENSATING", "COMPENSATING_SUSPENDED"),
        )
    },
}


@pytest.mark.parametrize("status", SagaStatus)
@pytest.mark.parametrize("call", CALLS)
def test_each_call_in_each_status(database, call, status):
    """Each call is allowed in the statuses that are promised, and refused by name in the others."""
    journal = []

    async def scenario(bench):
        saga_id = await in_status(bench, status, journal)
        before = await bench.see(saga_id)
        if (call, status) not in ENDS:
            with pytest.raises(SagaStateError, match=f"is {status}, so it cannot") as refused:
                await CALLS[call](bench.admin, saga_id)
            assert (refused.value.saga_id, refused.value.status) == (saga_id, status)
            assert await bench.see(saga_id) == before and journal == []
            return
        after = await CALLS[call](bench.admin, saga_id)
        assert after == await bench.see(saga_id)
        assert after.status == ENDS[call, status]
        assert after.step_execution_token != before.step_execution_token
        if call == "compensate":
            assert journal == ["undo a go go>a"]
        if call == "abort":
            assert after.error == "aborted" and journal == []

    on(database, scenario)


@pytest.mark.parametrize("output", [{}, {"word": 5}, None, "text", {"word": "a\0"}])
def test_a_skipped_step_needs_an_output_of_its_model(database, output):
    """An output that the step's model refuses changes nothing."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        before = await bench.see(saga_id)
        with pytest.raises(SagaDataError, match="the output of Step"):
            await bench.admin.skip_step(saga_id, output)
        assert await bench.see(saga_id) == before

    on(database, scenario)


def test_a_skipped_step_is_undone_with_its_last_input(database):
    """A step that was skipped counts as completed: it is undone, with what it was tried with."""
    journal = []

    async def scenario(bench):
        step = Step("b", journal, refuse)
        definition = chain(
            *(Step("a", journal), step, Step("c", journal, refuse)), step1={**RETRIES}
        )
        saga_id = await bench.begin(definition)
        saga = await bench.admin.skip_step(saga_id, Word(word="given"))
        assert saga.status == "COMPENSATED"
        assert journal[-2:] == ["undo b go>a given", "undo a go go>a"]
        skipped = [entry for entry in saga.step_history if entry["skipped"]]
        assert [entry["output"] for entry in skipped] == [OUTPUT]

    on(database, scenario)


def test_compensation_goes_on_where_it_failed(database):
    """A failed compensation is taken up at the step that could not be undone, no other twice."""
    journal = []

    async def scenario(bench):
        stuck = Step("b", journal, undo=boom)
        definition = chain(
            *(Step("a", journal), stuck, Step("c", journal), Step("d", journal, refuse))
        )
        saga = await bench.see(await bench.begin(definition))
        assert saga.status == "FAILED" and saga.error == "RuntimeError: refused"
        assert journal[4:] == ["undo c go>a>b go>a>b>c", "undo b go>a go>a>b"]
        with pytest.raises(SagaStateError, match="FAILED"):
            await bench.admin.retry_step(saga.id)
        stuck.undo = None
        saga = await bench.admin.compensate_step(saga.id)
        assert (saga.status, saga.error) == ("COMPENSATED", "RuntimeError: refused")
        assert journal[6:] == ["undo b go>a go>a>b", "undo a go go>a"]

    on(database, scenario)


def test_what_was_aborted_on_the_way_back_is_not_run_forward(database):
    """A saga that was aborted while its first step was undone is not tried again, only undone."""
    journal = []

    async def scenario(bench):
        saga_id = await in_status(bench, SagaStatus.COMPENSATING, journal)
        await bench.admin.abort(saga_id)
        with pytest.raises(SagaStateError, match="compensate_step"):
            await bench.admin.retry_step(saga_id)
        assert (await bench.admin.compensate_step(saga_id)).status == "COMPENSATED"
        assert journal == ["undo a go go>a"]

    on(database, scenario)


def test_abort_while_a_step_runs(database):
    """What a step returns after its saga was aborted changes nothing."""

    async def scenario(bench):
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            inside.set()
            await may_end.wait()

        starting = asyncio.ensure_future(bench.begin(chain(Step("a", [], behave))))
        await inside.wait()
        (row,) = await bench.sagas()
        aborted = await bench.admin.abort(row.id)
        may_end.set()
        await starting
        assert await bench.see(row.id) == aborted

    on(database, scenario)


def test_nothing_to_undo(database):
    """A saga of which nothing was completed cannot be undone; the error says to abort it."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        with pytest.raises(SagaStateError, match="abort it instead"):
            await bench.admin.compensate_step(saga_id)

    on(database, scenario)


def test_nothing_that_can_be_undone(database):
    """Where only steps without compensate were completed, undoing them is done at once."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Plain(), Step("a", [], wait_once)))
        assert (await bench.admin.compensate_step(saga_id)).status == "COMPENSATED"

    on(database, scenario)


@pytest.mark.parametrize("call", ["retry", "compensate"])
@pytest.mark.parametrize("status", [SagaStatus.FAILED, SagaStatus.TIMEOUT])
def test_reviving_beside_an_active_saga(database, call, status):
    """A saga that has ended is not revived while another of its aggregation is active."""

    async def scenario(bench):
        saga_id = await in_status(bench, status, [])
        before = await bench.see(saga_id)
        bench.orchestrator.register("other", chain(Step("a", [], wait_once)))
        other = await bench.begin(name="other")
        with pytest.raises(ActiveSagaAlreadyExistsError, match="'key'") as raised:
            await CALLS[call](bench.admin, saga_id)
        assert raised.value.aggregation_id == "key"
        assert await bench.see(saga_id) == before
        await bench.admin.abort(other)
        await CALLS[call](bench.admin, saga_id)

    on(database, scenario)


@pytest.mark.parametrize("call", CALLS)
def test_a_saga_that_is_not_known_here(database, call):
    """An operator's call about a saga whose definition is not registered says so."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        _, stranger = bench.another()
        with pytest.raises(UnknownSagaError, match="version 1 of saga 'saga'"):
            await CALLS[call](stranger, saga_id)
        assert (await stranger.get_saga(saga_id)).status == "SUSPENDED"

    on(database, scenario)


def test_retrying_now_does_not_wait(database):
    """retry_step runs the attempt that was still to be waited for, and the wait is over."""
    journal = []

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", journal, failing(1)), step0=RETRIES))
        assert (await bench.admin.retry_step(saga_id)).status == "COMPLETED"
        assert await bench.later() == 0
        assert journal == ["do a", "do a"]

    on(database, scenario)
