"""Hooks: what they are told, when, and that none of them does any harm."""

import asyncio
import contextvars
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from saga_tools import DAY, START, Plain, Step, chain, failing, on, refuse, wait_once
from sqlalchemy import event

from milo_durable import (
    FixedRetry,
    SagaDefinitionError,
    SagaHooks,
    SagaOrchestrator,
    StepAwaitEvent,
)

AGAIN = {"retry_policy": FixedRetry(1, timedelta(hours=1))}


class Telling(SagaHooks):
    """Notes what it is told, a line each."""

    def __init__(self):
        self.lines = []

    def note(self, what, step=None, **facts):
        if step is not None:
            what = f"{what} {step.step_id}.{step.attempt}"
        self.lines.append(" ".join([what, *(str(each) for each in facts.values() if each)]))

    def saga_started(self, saga):
        self.note("started", status=saga.status)

    def saga_resumed(self, saga):
        self.note("resumed", status=saga.status)

    async def saga_ended(self, saga):
        self.note("ended", status=saga.status, error=saga.error)

    def event_accepted(self, saga, event):
        self.note("event", type=event.event_type, id=event.event_id, payload=event.payload)

    def step_started(self, step):
        self.note("begins", step)

    def step_succeeded(self, step):
        self.note("did", step, output=step.output["word"], skipped=step.skipped and "skipped")

    def step_waiting(self, step):
        self.note("waits", step, types=step.saga.awaiting["event_types"])

    async def step_failed(self, step):
        self.note("failed", step, error=step.error, retry=step.retry_at)

    def compensation_started(self, step):
        self.note("undoes", step)

    def compensation_succeeded(self, step):
        self.note("undid", step)

    def compensation_failed(self, step):
        self.note("stuck", step, error=step.error, retry=step.retry_at)


def hooked(bench, *hooks):
    """Have the bench's orchestrator tell ``hooks``, or one that is returned."""
    telling = Telling()
    bench.orchestrator, bench.admin = bench.another(hooks=hooks or [telling])
    return telling


def test_a_saga_is_told_from_its_start_to_its_end(database):
    """A retry, a wait, its event and the success of steps come in the order of their commits."""

    def behave(attempt, inp):
        return StepAwaitEvent(event_types=["paid"]) if attempt == 1 else None

    async def scenario(bench):
        telling = hooked(bench)
        saga_id = await bench.begin(
            chain(Step("a", [], failing(1)), Step("b", [], behave), step0=AGAIN)
        )
        await bench.later()
        paid = {"event_id": "e", "event_type": "paid", "payload": {"sum": 5}}
        assert await bench.notify(saga_id, paid)
        return telling.lines

    assert on(database, scenario) == [
        "started RUNNING",
        "begins step_0.1",
        f"failed step_0.1 RuntimeError: failure 1 {START + timedelta(hours=1)}",
        "begins step_0.2",
        "did step_0.2 go>a",
        "begins step_1.1",
        "waits step_1.1 ['paid']",
        "event paid e {'sum': 5}",
        "begins step_1.1",
        "did step_1.1 go>a>b",
        "ended COMPLETED",
    ]


def test_undoing_is_told(database):
    """The way back is told with hooks of its own, its retries and its failure too."""

    def undo():
        raise RuntimeError("stuck")

    async def scenario(bench):
        telling = hooked(bench)
        first, last = Step("a", [], undo=undo), Step("c", [], refuse)
        saga_id = await bench.begin(chain(first, Step("b", []), last, step0=AGAIN))
        del telling.lines[:6]
        await bench.later()
        first.undo = None
        await bench.admin.compensate_step(saga_id)
        return telling.lines

    assert on(database, scenario) == [
        "failed step_2.1 RuntimeError: refused",
        "undoes step_1.1",
        "undid step_1.1",
        "undoes step_0.1",
        f"stuck step_0.1 RuntimeError: stuck {START + timedelta(hours=1)}",
        "undoes step_0.2",
        "stuck step_0.2 RuntimeError: stuck",
        "ended FAILED RuntimeError: refused",
        "resumed COMPENSATING",
        "undoes step_0.1",
        "undid step_0.1",
        "ended COMPENSATED RuntimeError: refused",
    ]


def test_what_operators_do_is_told(database):
    """A retry by hand, a skipped step and an abort reach the hooks of the one who calls."""

    async def scenario(bench):
        telling = hooked(bench)
        waiting = Step("a", [], lambda attempt, inp: StepAwaitEvent())
        saga_id = await bench.begin(chain(waiting, Step("b", [], wait_once)))
        del telling.lines[:]
        await bench.admin.retry_step(saga_id)
        await bench.admin.skip_step(saga_id, {"word": "given"})
        await bench.admin.abort(saga_id)
        return telling.lines

    assert on(database, scenario) == [
        "resumed RUNNING",
        "begins step_0.1",
        "waits step_0.1",
        "did step_0.1 given skipped",
        "begins step_1.1",
        "waits step_1.1",
        "ended FAILED aborted",
    ]


def test_an_event_that_does_not_come_is_told(database):
    """When it is too late, its step has failed and the saga has ended as TIMEOUT."""

    async def scenario(bench):
        telling = hooked(bench)
        await bench.begin(chain(Step("a", [], lambda *_: StepAwaitEvent(until=START + DAY))))
        del telling.lines[:]
        await bench.later()
        return telling.lines

    late = "the event did not come in time"
    assert on(database, scenario) == [f"failed step_0.1 {late}", f"ended TIMEOUT {late}"]


def test_an_event_from_the_inbox_is_told(database):
    """Delivering is told as notifying is."""

    async def scenario(bench):
        telling = hooked(bench)
        await bench.begin(chain(Step("a", [], wait_once)))
        await bench.ingest("e", "paid")
        del telling.lines[:]
        assert await bench.orchestrator.run_inbox_due() == 1
        return telling.lines

    assert on(database, scenario)[0] == "event paid e"


def test_hooks_hear_only_of_what_was_committed(database):
    """What they are told is in the database by then; of what was rolled back they hear nothing."""

    class Looking(Telling):
        async def step_succeeded(self, step):
            stored = await self.bench.see(step.saga.id)
            self.note("stored" if stored == step.saga else "not stored")

    async def scenario(bench):
        looking = Looking()
        looking.bench = bench
        hooked(bench, looking)

        def cut(connection, cursor, statement, *rest):
            if statement.startswith("UPDATE"):
                raise ConnectionResetError("cut off")

        await bench.begin(chain(Plain(), Plain()))
        done, looking.lines = looking.lines, []
        event.listen(bench.engine.sync_engine, "before_cursor_execute", cut)
        with pytest.raises(ConnectionResetError):
            await bench.begin(key="other")
        return done, looking.lines

    done, cut_off = on(database, scenario)
    assert [line for line in done if "stored" in line] == ["stored", "stored"]
    assert cut_off == ["started RUNNING", "begins step_0.1"]


def test_a_result_that_comes_too_late_is_not_told(database):
    """Of a step whose saga was taken over, the hooks hear that it began, and no more."""

    async def scenario(bench):
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            inside.set()
            await may_end.wait()

        telling = hooked(bench)
        starting = asyncio.ensure_future(bench.begin(chain(Step("a", [], behave))))
        await inside.wait()
        (row,) = await bench.sagas()
        _, other = bench.another()
        other._engine.definitions.add("saga", chain(Plain()))
        await other.abort(row.id)
        may_end.set()
        await starting
        return telling.lines

    assert on(database, scenario) == ["started RUNNING", "begins step_0.1"]


class Failing(SagaHooks):
    """Fails in every way there is."""

    def headers(self, saga_name, aggregation_id):
        return {"n": 1}

    @contextmanager
    def around_step(self, step):
        yield
        raise KeyError("leaving")

    def saga_started(self, saga):
        raise KeyError("plain")

    async def step_succeeded(self, step):
        raise KeyError("async")


class NoBlock(SagaHooks):
    def around_step(self, step):
        return None


def test_a_hook_that_fails_changes_nothing(database, caplog):
    """The saga goes on, the hooks beside it are told, and every error is logged."""

    async def scenario(bench):
        telling = Telling()
        hooked(bench, Failing(), NoBlock(), telling)
        saga_id = await bench.begin(chain(Plain()))
        return (await bench.see(saga_id)), telling.lines

    saga, lines = on(database, scenario)
    assert saga.status == "COMPLETED" and "headers" not in saga.context
    assert lines == ["started RUNNING", "begins step_0.1", "did step_0.1 go>plain", lines[3]]
    told = [f"{record.message} {record.exc_info[1]}" for record in caplog.records]
    assert len(told) == 5
    for part in ("headers must be texts", "plain", "async", "leaving", "NoBlock.around_step"):
        assert any(part in each for each in told), part


def test_steps_run_within_the_block_of_their_hook(database):
    """What the block sets is seen by the step, async or on a thread, forward and back."""
    inside = contextvars.ContextVar("inside", default=None)
    seen = []

    class Blocks(SagaHooks):
        @contextmanager
        def around_step(self, step):
            token = inside.set(f"{step.phase} {step.step_id}")
            try:
                yield
            finally:
                inside.reset(token)

        def compensation_succeeded(self, step):
            seen.append(f"told in {inside.get()}")

    class OnThread(Plain):
        def execute(self, inp):
            seen.append(inside.get())
            return inp

        def compensate(self, inp, out):
            seen.append(inside.get())

    async def behave(attempt, inp):
        seen.append(inside.get())
        raise RuntimeError("no")

    async def scenario(bench):
        hooked(bench, Blocks())
        await bench.begin(chain(OnThread(), Step("b", [], behave)))
        assert inside.get() is None

    on(database, scenario)
    back = "compensate step_0"
    assert seen == ["execute step_0", "execute step_1", back, f"told in {back}"]


def test_an_error_within_a_block_is_the_same_outside(database):
    """A hook that swallows what it should not cannot hide that the database failed."""

    class Swallowing(SagaHooks):
        def around_step(self, step):
            return suppress(ConnectionResetError)

    async def scenario(bench):
        hooked(bench, Swallowing())

        def cut(connection, cursor, statement, *rest):
            if statement.startswith("UPDATE"):
                raise ConnectionResetError("cut off")

        event.listen(bench.engine.sync_engine, "before_cursor_execute", cut)
        with pytest.raises(ConnectionResetError):
            await bench.begin(chain(Plain()))

    on(database, scenario)


def test_headers_stay_with_the_saga(database):
    """What hooks give as a saga starts is in its context, in every process."""

    class Tenant(SagaHooks):
        def headers(self, saga_name, aggregation_id):
            return {"tenant": f"{saga_name} of {aggregation_id}"}

    class Region(SagaHooks):
        def headers(self, saga_name, aggregation_id):
            return {"region": "north"}

    async def scenario(bench):
        hooked(bench, Tenant(), Region())
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        assert await bench.notify(saga_id, {"x": 1})
        return (await bench.see(saga_id)).context["headers"]

    assert on(database, scenario) == {"tenant": "saga of key", "region": "north"}


@pytest.mark.parametrize(
    ("hooks", "told"),
    [
        ([SagaHooks], "make one: SagaHooks()"),
        (SagaHooks(), "a list of SagaHooks"),
        ([print], "is no SagaHooks object"),
        ({1}, "a list of SagaHooks"),
    ],
)
def test_what_is_no_hook_is_refused(database, hooks, told):
    """An orchestrator is not made with it, and the error says what is wanted."""

    async def scenario(bench):
        from saga_tools import Saga

        with pytest.raises(SagaDefinitionError) as raised:
            SagaOrchestrator(Saga, bench.sessions, hooks=hooks)
        assert told in str(raised.value)

    on(database, scenario)
