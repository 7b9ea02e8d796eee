"""What is given wrongly is an error that says so, and leaves nothing half done."""

import asyncio
import json
import uuid
from datetime import datetime, timedelta

import pytest
from pydantic import BaseModel
from saga_tools import START, Plain, Step, Word, chain, on, refuse, wait_once

from milo_durable import (
    AwaitingEvent,
    BaseStep,
    FixedRetry,
    InvalidEventError,
    NotifyEvent,
    NotifyResult,
    SagaBuilder,
    SagaDataError,
    SagaDefinitionError,
    SagaNotFoundError,
    StepAwaitEvent,
    UnknownSagaError,
)

UNFIT = {
    "NaN": float("nan"),
    "infinity": [float("inf")],
    "an object": object(),
    "a set": {1},
    "a NUL": "a\0b",
    "a NUL in a key": {"a\0": 1},
    "half a character": "\ud800",
}


@pytest.mark.parametrize("value", UNFIT.values(), ids=UNFIT)
def test_initial_data_that_json_cannot_hold(database, value):
    """A saga whose data neither database could give back is refused, and no row is written."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", [])))
        with pytest.raises(SagaDataError, match="initial_data"):
            await bench.orchestrator.start("saga", {"word": value}, "key")
        assert await bench.sagas() == []

    on(database, scenario)


@pytest.mark.parametrize("data", [None, [("word", "go")], "word", 5])
def test_initial_data_that_is_no_mapping(database, data):
    """Initial data is a mapping; anything else is refused before a row is written."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", [])))
        with pytest.raises(SagaDataError, match="must be a mapping"):
            await bench.orchestrator.start("saga", data, "key")
        assert await bench.sagas() == []

    on(database, scenario)


@pytest.mark.parametrize("key", ["", "  ", None, 5, "x" * 256, "a\0b", "\ud800"])
def test_an_aggregation_id_that_no_column_takes(database, key):
    """An aggregation id is a text of 1 to 255 characters; others are refused by either database."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", [])))
        with pytest.raises((SagaDefinitionError, SagaDataError), match="aggregation_id"):
            await bench.orchestrator.start("saga", {"word": "go"}, key)
        with pytest.raises((SagaDefinitionError, SagaDataError, InvalidEventError)):
            await bench.orchestrator.ingest_event({"event_id": "e"}, aggregation_id=key)
        assert await bench.sagas() == []

    on(database, scenario)


def test_an_unknown_name(database):
    """Starting a saga that is not registered names those that are, and writes nothing."""

    async def scenario(bench):
        bench.orchestrator.register("known", chain(Step("a", [])))
        with pytest.raises(UnknownSagaError, match="registered: known"):
            await bench.orchestrator.start("other", {}, "key")
        assert await bench.sagas() == []

    on(database, scenario)


def test_an_unknown_saga(database):
    """Every call about a saga that does not exist says that it does not."""

    async def scenario(bench):
        nobody, token = uuid.uuid4(), uuid.uuid4()
        calls = (
            bench.orchestrator.get_snapshot(nobody),
            bench.orchestrator.notify(nobody, token, {}),
            bench.orchestrator.await_event(nobody, AwaitingEvent()),
            bench.admin.get_saga(str(nobody)),
            bench.admin.retry_step(nobody),
            bench.admin.skip_step(nobody, {}),
            bench.admin.compensate_step(nobody),
            bench.admin.expire(nobody),
            bench.admin.abort(nobody),
        )
        for call in calls:
            with pytest.raises(SagaNotFoundError, match=str(nobody)):
                await call

    on(database, scenario)


def test_an_id_that_is_none(database):
    """What cannot be a saga's id is told apart from an id that nobody has."""

    async def scenario(bench):
        for given in ("7", 7, None, b"x"):
            with pytest.raises(TypeError, match="must be a UUID"):
                await bench.admin.get_saga(given)

    on(database, scenario)


def test_what_the_first_drive_sees_is_what_a_later_one_sees(database):
    """Initial data is JSON from the start: keys are texts also before it has been stored."""
    seen = []

    def first(ctx):
        seen.append(json.dumps(ctx.initial_data))
        return Word(word="go")

    async def scenario(bench):
        given = {"word": "go", "counts": {1: (2, 3)}}
        step = Step("a", [], behave=lambda attempt, inp: refuse(1, inp) if attempt == 1 else None)
        options = {"retry_policy": FixedRetry(1)}
        bench.orchestrator.register("saga", chain(step, first=first, step0=options))
        await bench.orchestrator.start("saga", given, "key")
        given["counts"].clear()
        await bench.later()
        assert [json.loads(each)["counts"] for each in seen] == [{"1": [2, 3]}] * 2

    on(database, scenario)


def raises(ctx):
    raise KeyError("missing")


async def is_async(ctx):
    return Word(word="late")


class Number(BaseStep[int, int]):
    """A step whose input is no model."""

    async def execute(self, inp: int) -> int:
        return inp + 1


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize(
    ("step", "input_map"),
    [
        (Plain(), raises),
        (Plain(), is_async),
        (Plain(), lambda out: {"word": "a dict"}),
        (Plain(), lambda out: None),
        (Number(), lambda out: "many"),
        (Number(), lambda out: out),
        (Number(), lambda out: object()),
    ],
)
def test_an_input_map_that_goes_wrong(database, step, input_map):
    """A saga whose input_map raises or gives another type fails alone, and is undone."""
    journal = []

    async def scenario(bench):
        options = {"input_map": input_map, "retry_policy": FixedRetry(3)}
        definition = chain(Step("a", journal), step, step1=options)
        saga = await bench.see(await bench.begin(definition))
        assert saga.status == "COMPENSATED" and saga.error
        assert journal == ["do a", "undo a go go>a"]
        bench.orchestrator.register("good", chain(Step("b", journal)))
        assert await bench.status(await bench.begin(name="good")) == "COMPLETED"

    on(database, scenario)


def test_a_step_gets_what_its_type_makes_of_the_input(database):
    """A step gets the validated input, the same that its compensation would get."""
    seen = []

    class Undone(Number):
        async def execute(self, inp: int) -> int:
            seen.append(inp)
            return inp

        async def compensate(self, inp: int, out: int) -> None:
            seen.append((inp, out))

    async def scenario(bench):
        builder = SagaBuilder()
        first = builder.add_step(Undone(), lambda ctx: "5")
        builder.add_step(Plain(), raises, first)
        await bench.begin(builder.build())
        assert seen == [5, (5, 5)]

    on(database, scenario)


class Unfit(BaseModel):
    value: float | list[float] | object


@pytest.mark.parametrize("kind", [kind for kind in UNFIT if kind != "a set"])  # that is a list
def test_an_output_that_json_cannot_hold(database, kind):
    """A step that returns what JSON does not hold has failed for good, and the error says so."""

    class Returns(BaseStep[Word, Unfit]):
        async def execute(self, inp: Word) -> Unfit:
            return Unfit(value=UNFIT[kind])

    async def scenario(bench):
        definition = chain(Returns(), step0={"retry_policy": FixedRetry(3)})
        saga = await bench.see(await bench.begin(definition))
        assert saga.status == "FAILED"
        assert "the output of Returns cannot be stored as JSON" in saga.error

    on(database, scenario)


@pytest.mark.parametrize("value", ["text", {"other": 1}, 5, Unfit(value=1)])
def test_an_output_that_is_not_the_model(database, value):
    """A step that returns something else than it promises has failed for good."""

    async def scenario(bench):
        saga = await bench.see(await bench.begin(chain(Step("a", [], lambda *_: value))))
        assert saga.status == "FAILED"
        assert "is not what its model takes" in saga.error

    on(database, scenario)


class Returning(BaseStep[object, object]):
    """A step of any types."""

    def __init__(self, value):
        self.value = value

    async def execute(self, inp: object) -> object:
        return self.value


@pytest.mark.parametrize(
    "value", [None, 0, 1.5, "", "a \"b\" 'c' \\ \\u0000 é 💥", [], [[None]], {}, True]
)
def test_outputs_of_any_json(database, value):
    """Whatever JSON holds makes the round trip as the output of a step, also null."""

    async def scenario(bench):
        seen = []
        builder = SagaBuilder()
        first = builder.add_step(Returning(value), lambda ctx: None, step_id="a.b-ç_1")
        second = builder.add_step(Step("w", [], wait_once), lambda out: Word(word="x"), first)
        builder.add_step(Returning(1), lambda out, word: seen.append(out), [first, second])
        saga_id = await bench.begin(builder.build())
        await bench.notify(saga_id, {})
        saga = await bench.see(saga_id)
        assert saga.status == "COMPLETED"
        assert saga.outputs["a.b-ç_1"] == value and seen == [value]
        assert type(seen[0]) is type(value)
        assert saga.step_history[0]["output"] == value

    on(database, scenario)


class Unspeakable(Exception):
    """An error that cannot be told."""

    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "error", [RuntimeError("a\0b"), RuntimeError("\ud800"), Unspeakable(), RuntimeError(b"\xff")]
)
def test_errors_that_no_column_takes(database, error):
    """A saga fails also with an error whose text cannot be stored, or cannot be had."""

    def behave(attempt, inp):
        raise error

    async def scenario(bench):
        saga = await bench.see(await bench.begin(chain(Step("a", [], behave))))
        assert saga.status == "FAILED"
        assert saga.error.startswith(type(error).__name__)

    on(database, scenario)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [1],
        "text",
        {"event_id": 5, "payload": {}},
        {"event_id": "e", "payload": [1]},
        {"event_id": "e", "payload": {}, "event_type": 1},
        {"event_type": "a\0", "payload": {}},
        {"amount": float("nan")},
        {"amount": "\0"},
        NotifyEvent(payload=[1]),
        NotifyEvent(event_type=1),
        NotifyEvent(payload={"x": object()}),
    ],
)
def test_events_that_are_none(database, event):
    """What is no event is refused, by notify and by the inbox, and its saga waits on."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        before = await bench.see(saga_id)
        with pytest.raises((InvalidEventError, SagaDataError)):
            await bench.notify(saga_id, event)
        with pytest.raises((InvalidEventError, SagaDataError)):
            await bench.orchestrator.ingest_event(event, saga_id=saga_id)
        assert await bench.see(saga_id) == before
        assert await bench.orchestrator.run_inbox_due() == 0

    on(database, scenario)


@pytest.mark.parametrize("event_id", [None, "", "x" * 256])
def test_the_inbox_needs_an_event_id(database, event_id):
    """An event for the inbox has an id that its column takes."""

    async def scenario(bench):
        event = NotifyEvent({"a": 1}, event_id=event_id)
        with pytest.raises((InvalidEventError, SagaDefinitionError), match="event_id"):
            await bench.orchestrator.ingest_event(event, aggregation_id="key")

    on(database, scenario)


def test_the_inbox_needs_to_know_for_whom(database):
    """An event is for a saga or for an aggregation, and not for both or nobody."""

    async def scenario(bench):
        for given in ({}, {"saga_id": uuid.uuid4(), "aggregation_id": "key"}):
            with pytest.raises(InvalidEventError, match="who the event is for"):
                await bench.orchestrator.ingest_event({"event_id": "e"}, **given)

    on(database, scenario)


def test_an_event_with_an_id_loses_nothing(database):
    """What stands beside the event id is the payload, when no payload is named."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        event = {"event_id": "e", "event_type": "paid", "amount": 5}
        assert await bench.notify(saga_id, event) is NotifyResult.ACCEPTED
        context = (await bench.see(saga_id)).context
        assert context["latest_event"] == {"amount": 5}
        assert context["latest_event_meta"]["event_type"] == "paid"

    on(database, scenario)


@pytest.mark.parametrize("token", ["", "x", 5, None])
def test_a_token_that_is_none(database, token):
    """What cannot be a token is told apart from one that is stale."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        with pytest.raises(InvalidEventError, match="step_execution_token"):
            await bench.orchestrator.notify(saga_id, token, {})
        assert await bench.orchestrator.notify(saga_id, uuid.uuid4(), {}) is False
        assert await bench.status(saga_id) == "SUSPENDED"

    on(database, scenario)


@pytest.mark.parametrize(
    "given",
    [
        {"event_types": "paid"},
        {"event_types": [1]},
        {"event_types": 5},
        {"correlation_id": 5},
        {"until": datetime(2030, 1, 1)},  # noqa: DTZ001  # that is what is wrong with it
        {"until": timedelta(1)},
    ],
)
def test_waiting_for_what_cannot_come(database, given):
    """A step that waits in a way that cannot be meant has failed, and says why."""

    def behave(attempt, inp):
        return StepAwaitEvent(**given)

    async def scenario(bench):
        saga = await bench.see(await bench.begin(chain(Step("a", [], behave))))
        assert saga.status == "FAILED" and saga.error.startswith("InvalidEventError: ")

    on(database, scenario)


@pytest.mark.parametrize(
    "given",
    [{"event_type": 1}, {"correlation_id": 5}, {"until": START.replace(tzinfo=None)}],
)
def test_an_await_event_that_cannot_be_meant(given):
    """An AwaitingEvent says at once what is wrong with it."""
    with pytest.raises(InvalidEventError, match="must be"):
        AwaitingEvent(**given)


def test_await_event_takes_its_own_type(database):
    """A mapping is no AwaitingEvent, and the saga waits on."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        with pytest.raises(InvalidEventError, match="AwaitingEvent"):
            await bench.orchestrator.await_event(saga_id, {"event_type": "x"})
        assert await bench.notify(saga_id, {}) is NotifyResult.ACCEPTED

    on(database, scenario)


class BadPolicy:
    """A retry policy that breaks its promise."""

    def __init__(self, answer):
        self.answer = answer

    def next_delay(self, attempt):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [RuntimeError("policy"), 5, timedelta.max])
def test_a_retry_policy_that_breaks_its_promise(database, answer):
    """A saga whose policy raises, or answers what is no wait, fails; it is not run for ever."""

    async def scenario(bench):
        options = {"retry_policy": BadPolicy(answer)}
        journal = []
        saga = await bench.see(await bench.begin(chain(Step("a", journal, refuse), step0=options)))
        assert saga.status == "FAILED"
        assert saga.error == "RuntimeError: refused"
        assert await bench.later() == 0 and journal == ["do a"]

    on(database, scenario)


def test_a_clear_error_beside_a_running_loop():
    """The session maker is bound to an async engine; anything else is refused by name."""
    from saga_tools import Saga
    from sqlalchemy.ext.asyncio import async_sessionmaker

    from milo_durable import SagaOrchestrator

    async def scenario():
        with pytest.raises(SagaDefinitionError, match="AsyncEngine"):
            SagaOrchestrator(Saga, async_sessionmaker())
        with pytest.raises(SagaDefinitionError, match="SagaStateMixin"):
            SagaOrchestrator(Word, async_sessionmaker())

    asyncio.run(asyncio.wait_for(scenario(), 60))
