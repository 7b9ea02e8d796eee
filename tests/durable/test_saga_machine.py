"""A saga does what a small model of it does, whatever is done to it in whatever order.

Operators, events and workers come at any time, workers die at any point, or are overtaken while
they run a step. ``MILO_RUNS`` says how many lives are tried, of up to forty calls each; the
default is 50. All is one aggregation's, so of its sagas at most one is active.
"""

import asyncio
import faulthandler
import os
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from saga_model import HELD, Model, Plan, Step, Wait, outcome_of
from saga_tools import Base, Clock, Inbox, Saga
from sqlalchemy import delete, event, select
from sqlalchemy.ext.asyncio import async_sessionmaker

from milo_durable import (
    ActiveSagaAlreadyExistsError,
    AwaitingEvent,
    BaseStep,
    FixedRetry,
    NotifyEvent,
    SagaAdmin,
    SagaBuilder,
    SagaOrchestrator,
    SagaStateError,
    StepAwaitEvent,
    _crash,
)
from milo_durable.status import ACTIVE

RUNS = int(os.environ.get("MILO_RUNS", "50"))
KEY = "key"
MOST = 6  # sagas in one life
SECONDS_TO_SHRINK = 900  # a life that went wrong is made shorter and shorter

SECONDS = st.sampled_from([0, 1, 30, 60, 400])
WAITS = st.builds(
    Wait,
    event_type=st.sampled_from([None, None, "paid"]),
    correlation_id=st.sampled_from([None, None, "1"]),
    seconds=st.none() | SECONDS,
)
TRIES = st.lists(st.just("fail") | WAITS, max_size=3)
UNDOINGS = [(), ("ok",), ("fail", "ok"), ("fail", "fail", "ok"), ("fail",)]


def steps(ends):
    """Steps that fail and wait at first, and end as said."""
    does = st.builds(lambda tries, end: (*tries, end), TRIES, st.sampled_from(ends))
    retries = st.sampled_from([0, 1, 2, 2])
    return st.builds(Step, retries, SECONDS, does, st.sampled_from(UNDOINGS))


FIRST = st.lists(steps(["ok"] * 7 + ["bad"]), max_size=3)
LAST = steps(["ok", "fail", "fail", "bad"])
PLANS = st.builds(lambda first, last, back: Plan((*first, last), back), FIRST, LAST, st.booleans())
MARKS = {
    "event_type": st.sampled_from([None, "paid", "paid", "sent"]),
    "correlation_id": st.sampled_from([None, "1", "1", "2"]),
}
IDS = st.sampled_from("ab")
EVENTS = st.builds(NotifyEvent, st.just({"said": "it"}), st.none() | IDS, **MARKS)
MESSAGES = st.builds(NotifyEvent, st.just({"said": "it"}), IDS, **MARKS)
PICK = st.sampled_from([None] * 4 + list(range(MOST)))  # None: the active one
DIES = st.sampled_from([None] * 12 + list(range(1, 9)))
MEANWHILE = st.sampled_from([None] * 6 + ["claim", "abort"])
TROUBLE = st.tuples(DIES, MEANWHILE)
AGES = st.sampled_from([0, 0, 0, 0, 1, 2, None])
CALLS = st.sampled_from(["retry", "skip", "compensate", "abort", "await", "start"])


class Died(BaseException):
    """The process is gone."""


class Doing(BaseStep[Any, str]):
    """Goes as the plan says, and lets others act before it returns."""

    def __init__(self, plan, index, journal, world):
        self.plan, self.index, self.journal, self.world = plan, index, journal, world

    async def execute(self, inp: Any) -> str | StepAwaitEvent:
        outcome = await self.outcome("do")
        if isinstance(outcome, Wait):
            types = None if outcome.event_type is None else [outcome.event_type]
            until = until_of(outcome, self.world.now())
            return StepAwaitEvent(types, outcome.correlation_id, until)
        return 5 if outcome == "bad" else f"done {self.index}"

    async def outcome(self, word):
        self.journal.append((word, self.index))
        outcome = outcome_of(self.plan, self.journal)
        await self.world.meanwhile()
        if outcome == "fail":
            raise RuntimeError(f"fail {self.index}")
        return outcome


class Undoing(Doing):
    """One that can be undone."""

    async def compensate(self, inp: Any, out: str) -> None:
        assert out in (f"done {self.index}", "skipped")
        await self.outcome("undo")


def until_of(wait, now):
    return None if wait.seconds is None else now + timedelta(seconds=wait.seconds)


def definition_of(plan, journal, world):
    """The plan's steps as a chain."""
    builder, before = SagaBuilder(), None
    for index, step in enumerate(plan.steps):
        made = (Undoing if step.undoes else Doing)(plan, index, journal, world)
        retry = FixedRetry(step.retries, timedelta(seconds=step.delay))
        before = builder.add_step(made, lambda given: None, before, retry_policy=retry)
    return builder.build(compensate_on_failure=plan.compensates)


def told(stored):
    """What a stored error says in the model's words."""
    kind, _, text = (stored or "").partition(": ")
    return {"RuntimeError": text, "SagaDataError": "bad"}.get(kind, stored)


def heard(awaiting):
    """What a saga waits for, as in a ``Wait``."""
    return awaiting and (*(awaiting["event_types"] or [None]), awaiting["correlation_id"])


class Points:
    """Counts the points that are reached, and dies at one of them."""

    def __init__(self, dies):
        self.reached, self.dies = 0, dies

    def __call__(self, name=None):
        self.reached += 1
        if self.reached == self.dies:
            raise Died


class Bench:
    """The real thing: tables, and a worker that is replaced when it has died."""

    def __init__(self, runner, engine):
        self.runner, self.engine = runner, engine
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)

    def emptied(self):
        """No saga and no event is left, and the time is as in the beginning."""
        self.clock, self.definitions = Clock(), {}
        self.replace_worker()
        self.runner.run(self._empty())

    async def _empty(self):
        async with self.sessions.begin() as session:
            await session.execute(delete(Inbox))
            await session.execute(delete(Saga))

    def replace_worker(self):
        self.orchestrator, self.admin = self.another()

    def another(self):
        orchestrator = SagaOrchestrator(Saga, self.sessions, Inbox, clock=self.clock)
        for name, definition in self.definitions.items():
            orchestrator.register(name, definition)
        return orchestrator, SagaAdmin(orchestrator.engine)

    def add(self, name, definition):
        self.definitions[name] = definition
        self.orchestrator.register(name, definition)

    async def rows(self):
        async with self.sessions() as session:
            return (await session.execute(select(Saga))).scalars().all()


class Machine(RuleBasedStateMachine):
    """Does the same to the real sagas and to their models, and compares."""

    def __init__(self, bench):
        super().__init__()
        self.bench = bench

    @initialize()
    def begin(self):
        self.bench.emptied()
        self.models, self.journals, self.tokens = [], [], []
        self.stored = []
        self.points, self.others = Points(None), [None, None]
        self.modelled = SimpleNamespace(
            now=self.now, point=self.point, meanwhile=self.others_in_model
        )
        self.real = SimpleNamespace(now=self.now, meanwhile=self.others_in_reality)

    def now(self):
        return self.bench.clock.now

    def point(self):
        self.points()

    # Both sides of each rule

    def compare(self, trouble, modelled, really):
        """``modelled()`` and ``really()`` answer the same, die or not, and leave the same."""
        began, (dies, meanwhile) = self.now(), trouble
        expected = self.one_side(dies, meanwhile, 0, modelled)
        ended, self.bench.clock.now = self.now(), began
        actual = self.one_side(dies, meanwhile, 1, lambda: self.bench.runner.run(really()))
        assert actual == expected
        assert self.now() == ended
        if actual[0] is Died:
            self.bench.replace_worker()
        self.look()

    def one_side(self, dies, meanwhile, side, act):
        self.points, self.others[side] = Points(dies), meanwhile
        try:
            with _crash.hooked(self.points) if side else nullcontext():
                answer = act()
        except (Died, SagaStateError, ActiveSagaAlreadyExistsError) as error:
            answer = type(error)
        return answer, self.points.reached

    def others_in_model(self):
        """What others do to the active saga while its step runs."""
        what, self.others[0] = self.others[0], None
        if what == "claim":
            self.bench.clock.forward(timedelta(seconds=HELD))
            self.run_due_in_model()
        elif what == "abort":
            self.on_model(self.active(), "abort")

    async def others_in_reality(self):
        what, self.others[1] = self.others[1], None
        if what is None:
            return
        orchestrator, admin = self.bench.another()
        if what == "claim":
            self.bench.clock.forward(timedelta(seconds=HELD))
            await orchestrator.run_due()
        else:
            rows = await self.bench.rows()
            (active,) = [row.id for row in rows if row.status in ACTIVE]
            await admin.abort(active)

    def active(self):
        """The model of the active saga, or of one that nothing can be done to by itself."""
        return next((each for each in self.models if each.status in ACTIVE), self.models[0])

    def is_busy(self):
        """Whether a saga is active."""
        return any(each.status in ACTIVE for each in self.models)

    def look(self):
        """The rows are as the models say."""
        rows = self.bench.runner.run(self.bench.rows())
        by_name = {row.saga_name: row for row in rows}
        self.ids = {name: row.id for name, row in by_name.items()}
        assert sorted(by_name) == [f"saga{n}" for n in range(len(self.models))]
        for n, (model, journal) in enumerate(zip(self.models, self.journals, strict=True)):
            self.look_at(model, journal, by_name[f"saga{n}"], self.tokens[n])
        tokens = [token for each in self.tokens for token in each.values()]
        assert len(set(tokens)) == len(tokens)

    def look_at(self, model, journal, row, tokens):
        assert (row.status, row.deadline_at) == (model.status, model.deadline)
        assert (row.current_step_index, row.retry_count) == (model.step, model.tries)
        assert journal == model.journal
        assert [
            (each["phase"], each["status"], each["step_id"], each["attempt"], each["skipped"])
            for each in row.step_history
        ] == model.history
        assert sorted(row.context["outputs"]) == [f"step_{n}" for n in sorted(model.done)]
        assert [each["event_id"] for each in row.context.get("events", ())] == model.events
        assert heard(row.awaiting) == (model.wait and model.wait[:2])
        assert told(row.error) == model.error
        assert tokens.setdefault(model.token, row.step_execution_token) == row.step_execution_token

    # What is done

    @precondition(lambda self: len(self.models) < MOST and not self.is_busy())
    @rule(plan=PLANS, trouble=TROUBLE)
    def start(self, plan, trouble):
        name, journal = f"saga{len(self.models)}", []
        model = Model(plan, self.modelled)
        self.bench.add(name, definition_of(plan, journal, self.real))

        def modelled():
            self.point()
            self.models.append(model)
            self.journals.append(journal)
            self.tokens.append({})
            self.point()
            model.drive()

        self.compare(trouble, modelled, partial(self.begun, name))
        if model not in self.models:  # the process died before
            del self.bench.definitions[name]
            self.bench.replace_worker()

    async def begun(self, name):
        await self.bench.orchestrator.start(name, {}, KEY)

    @precondition(lambda self: self.models)
    @rule(seconds=st.sampled_from([None] * 5) | SECONDS, is_looked=st.booleans(), trouble=TROUBLE)
    def time_passes(self, seconds, is_looked, trouble):
        """So many seconds, or until something is due; then a worker looks what is, or none."""
        due = self.active().deadline
        if seconds is not None:
            self.bench.clock.forward(timedelta(seconds=seconds))
        elif due is not None:
            self.bench.clock.now = max(self.now(), due)
        if is_looked:
            self.compare(trouble, self.run_due_in_model, self.bench.orchestrator.run_due)

    def run_due_in_model(self):
        model = self.active()
        self.point()
        is_due = model.is_due()
        is_claimed = is_due and model.wait is None
        if is_claimed:
            model.claim()
        self.point()
        if is_claimed:
            model.drive()
        elif is_due:
            self.point()
            model.expire()
            self.point()
        return int(is_due)

    @precondition(lambda self: self.models)
    @rule(pick=PICK, call=CALLS, wait=WAITS, trouble=TROUBLE)
    def operate(self, pick, call, wait, trouble):
        """Whatever the saga's status; what it does not allow is refused."""
        if call != "start" or self.is_busy():
            self.call(self.picked(pick), call, wait, trouble)

    @precondition(lambda self: self.allowed())
    @rule(pick=st.integers(0, 99), wait=WAITS, trouble=TROUBLE)
    def go_on(self, pick, wait, trouble):
        """Something that is allowed."""
        allowed = self.allowed()
        self.call(*allowed[pick % len(allowed)], wait, trouble)

    def allowed(self):
        calls = ("compensate", "retry", "skip", "await")
        return [(each, call) for call in calls for each in self.models if each.allows(call)]

    def call(self, model, call, wait, trouble):
        saga_id = self.id_of(model)
        awaiting = AwaitingEvent(wait.event_type, wait.correlation_id, until_of(wait, self.now()))

        async def really():
            admin = self.bench.admin
            if call == "start":
                await self.begun("saga0")
            elif call == "await":
                await self.bench.orchestrator.await_event(saga_id, awaiting)
            elif call == "skip":
                await admin.skip_step(saga_id, "skipped")
            elif call == "abort":
                await admin.abort(saga_id)
            else:
                await getattr(admin, f"{call}_step")(saga_id)

        self.compare(trouble, lambda: self.on_model(model, call, wait), really)

    def on_model(self, model, call, wait=None):
        if call == "start":
            self.point()
            raise ActiveSagaAlreadyExistsError(KEY)
        if not model.allows(call):
            raise SagaStateError(uuid4(), model.status, call, "")
        revives = call == "retry" or (call == "compensate" and model.left())
        if revives and model.status not in ACTIVE and self.is_busy():
            raise ActiveSagaAlreadyExistsError(KEY)
        self.point()
        model.act(call, wait)
        self.point()
        model.drive()

    @precondition(is_busy)
    @rule(pick=PICK, age=AGES, event=EVENTS, trouble=TROUBLE)
    def notify(self, pick, age, event, trouble):
        """With any event, and a token that is so old, or nobody's where ``age`` is ``None``."""
        self.send(self.picked(pick), age, event, trouble)

    @precondition(lambda self: self.models and self.active().wait)
    @rule(event=EVENTS, is_known=st.booleans(), trouble=TROUBLE)
    def answer(self, event, is_known, trouble):
        """What is waited for, perhaps once more."""
        model = self.active()
        marks = {"event_type": model.wait[0], "correlation_id": model.wait[1]}
        if is_known and model.events:
            marks["event_id"] = model.events[-1]
        self.send(model, 0, replace(event, **marks), trouble)

    def send(self, model, age, event, trouble):
        saga_id = self.id_of(model)
        known = self.tokens[self.models.index(model)]
        version = None if age is None else max(model.token - age, min(known))
        token = known.get(version, uuid4())

        def modelled():
            self.point()
            result = model.judge(event, version if version in known else -1)
            if result:
                model.accept(event)
            self.point()
            if result:
                model.drive()
            return result

        notified = partial(self.bench.orchestrator.notify_detailed, saga_id, token, event)
        self.compare(trouble, modelled, notified)

    @precondition(lambda self: self.models)
    @rule(event=MESSAGES, pick=PICK, is_for_all=st.booleans(), trouble=TROUBLE)
    def ingest(self, event, pick, is_for_all, trouble):
        """For a saga, or for the aggregation."""
        model = None if is_for_all else self.picked(pick)

        def modelled():
            self.point()
            is_new = event.event_id not in [message[0].event_id for message in self.stored]
            if is_new:
                self.stored.append([event, model, False])
                self.point()
            return is_new

        to = {"saga_id": self.id_of(model)} if model else {"aggregation_id": KEY}
        self.compare(trouble, modelled, lambda: self.bench.orchestrator.ingest_event(event, **to))

    @precondition(lambda self: self.models and self.stored)
    @rule(trouble=TROUBLE)
    def deliver(self, trouble):
        self.compare(trouble, self.deliver_in_model, self.bench.orchestrator.run_inbox_due)

    def deliver_in_model(self):
        model = self.active()
        for message in self.stored:
            event, to, is_done = message
            if is_done or to not in (None, model) or not model.wait or not model.judge_kind(event):
                continue
            self.point()
            message[2] = True
            if is_new := event.event_id not in model.events:
                model.accept(event)
            self.point()
            if is_new:
                model.drive()
                return 1
        return 0

    def picked(self, pick):
        """The model of that number, or of the active saga."""
        return self.active() if pick is None else self.models[pick % len(self.models)]

    def id_of(self, model):
        return self.ids[f"saga{self.models.index(model)}"]


@pytest.fixture
def bench(database):
    """Tables that many lives are lived in, one after the other."""
    options = {"server_settings": {"synchronous_commit": "off"}} if database.schema else {}
    with asyncio.Runner() as runner:
        runner.run(database.create(Base.metadata))
        engine = database.engine(connect_args=options)
        if database.schema is None:
            event.listen(engine.sync_engine, "connect", forget_the_disk)
        yield Bench(runner, engine)
        runner.run(engine.dispose())


def forget_the_disk(connection, _record):
    """Nobody switches the machine off in these tests."""
    connection.execute("PRAGMA synchronous = OFF")


def test_a_saga_lives_as_its_model_says(bench):
    """Each call does, answers and leaves what the model says, also when a worker dies in it."""
    limits = settings(
        max_examples=RUNS,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[each for each in Phase if each is not Phase.explain],
    )
    faulthandler.dump_traceback_later(SECONDS_TO_SHRINK, exit=True)
    run_state_machine_as_test(lambda: Machine(bench), settings=limits)
