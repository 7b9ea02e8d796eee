"""Steps of one saga that run beside each other."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from saga_tools import DAY, START, Step, Word, failing, on, refuse, wait_once

from milo_durable import (
    AwaitingEvent,
    FixedRetry,
    NotifyResult,
    SagaBuilder,
    SagaDefinitionError,
    SagaStateError,
    StepAwaitEvent,
    _crash,
)
from milo_durable.engine import utc_now

AGAIN = FixedRetry(1, DAY)
SHORT = timedelta(milliseconds=60)


def start_word(ctx):
    return Word(word=ctx.initial_data["word"])


def joined(*words):
    return Word(word="+".join(each.word for each in words))


def graph(steps, *, compensate_on_failure=True, sequential=False, **depends_on):
    """A definition of ``steps``, each after those that ``depends_on`` names."""
    builder, refs = SagaBuilder(), {}
    for step in steps:
        needs = [refs[name] for name in depends_on.get(step.name, "").split()]
        refs[step.name] = builder.add_step(
            step=step,
            input_map=joined if needs else start_word,
            depends_on=needs,
            step_id=step.name,
            retry_policy=step.retries,
        )
    return builder.build(compensate_on_failure=compensate_on_failure, sequential=sequential)


class Part(Step):
    """A step with its retry policy."""

    def __init__(self, name, journal, behave=None, undo=None, retries=None):
        super().__init__(name, journal, behave, undo)
        self.retries = retries


class Meeting:
    """A behaviour that goes on only when so many steps are inside at the same time."""

    def __init__(self, size):
        self._barrier = asyncio.Barrier(size)

    async def __call__(self, attempt, inp):
        await self._barrier.wait()


@contextlib.contextmanager
def commits(point, count):
    """Gives an event that is set once so many commits have come to this crash point."""
    reached, left = asyncio.Event(), [count]

    def hook(name):
        left[0] -= name == point
        if left[0] <= 0:
            reached.set()

    with _crash.hooked(hook):
        yield reached


class Gate:
    """A behaviour that says when it is inside, and stays until it is let go."""

    def __init__(self, fails=False):
        self.inside, self.open, self.fails = asyncio.Event(), asyncio.Event(), fails

    async def __call__(self, attempt, inp):
        self.inside.set()
        await self.open.wait()
        if self.fails:
            raise RuntimeError("refused")


def waits_for(event_type, until=None):
    """A behaviour that waits for an event of this type, then goes on."""

    def behave(attempt, inp):
        return StepAwaitEvent([event_type], until=until) if attempt == 1 else None

    return behave


async def tokens(bench, saga_id):
    return {name: each.token for name, each in (await bench.see(saga_id)).branches.items()}


# Forward


def test_independent_steps_run_at_the_same_time_and_meet(database):
    """Each is inside while the other is; what depends on both gets their outputs in order."""
    journal = []

    async def scenario(bench):
        meeting = Meeting(2)
        parts = [Part("a", journal), Part("b", journal, meeting), Part("c", journal, meeting)]
        definition = graph([*parts, Part("d", journal)], b="a", c="a", d="c b")
        saga = await bench.see(await bench.begin(definition))
        assert saga.status == "COMPLETED" and not saga.branches
        assert saga.outputs["d"]["word"] == "go>a>c+go>a>b>d"
        assert journal[0] == "do a" and journal[-1] == "do d" and len(journal) == 4
        assert [each["status"] for each in saga.step_history] == ["SUCCESS"] * 4

    on(database, scenario)


def test_a_sequential_saga_runs_its_steps_in_the_order_in_which_they_were_added(database):
    journal = []

    async def scenario(bench):
        definition = graph([Part(name, journal) for name in "abc"], sequential=True)
        saga = await bench.see(await bench.begin(definition))
        assert saga.status == "COMPLETED" and journal == ["do a", "do b", "do c"]

    on(database, scenario)


def test_a_branch_waits_while_another_goes_on(database):
    """A waiting step holds up only what depends on it, and its event finds it by its token."""
    journal = []

    async def scenario(bench):
        waiting = Part("w", journal, waits_for("paid"))
        rest = [Part("a", journal), Part("b", journal), Part("end", journal)]
        definition = graph([waiting, *rest], b="a", end="w b")
        saga_id = await bench.begin(definition)
        saga = await bench.see(saga_id)
        assert saga.status == "SUSPENDED" and list(saga.branches) == ["w"]
        assert set(saga.outputs) == {"a", "b"}
        assert saga.awaiting["event_types"] == ["paid"]
        assert await bench.notify(saga_id, {"event_type": "paid", "payload": {}})
        assert await bench.status(saga_id) == "COMPLETED"
        assert journal.count("do end") == 1

    on(database, scenario)


def test_two_branches_wait_each_for_its_own_event(database):
    """Each has a token of its own; one that is stale is refused; ``ctx.event`` is the step's."""
    seen = {}

    async def scenario(bench):
        builder = SagaBuilder()
        first = builder.add_step(step=Step("first", []), input_map=start_word)
        for name in ("left", "right"):

            def took(word, *, ctx, name=name):
                seen[name] = ctx.event
                return word

            builder.add_step(
                step=Step(name, [], waits_for(name)),
                input_map=took,
                depends_on=first,
                step_id=name,
            )
        saga_id = await bench.begin(builder.build())
        assert seen == {"left": None, "right": None}
        before = await tokens(bench, saga_id)
        assert len(set(before.values())) == 2
        event = {"event_type": "right", "event_id": "1", "payload": {"n": 1}}
        notify = bench.orchestrator.notify_detailed
        assert await notify(saga_id, before["left"], event) is NotifyResult.WRONG_EVENT_TYPE
        assert await notify(saga_id, before["right"], event) is NotifyResult.ACCEPTED
        assert seen == {"left": None, "right": {"n": 1}}
        assert await notify(saga_id, before["right"], event) is NotifyResult.STALE_TOKEN
        assert await tokens(bench, saga_id) == {"left": before["left"]}
        assert await notify(saga_id, before["left"], event) is NotifyResult.DUPLICATE_EVENT
        event = {"event_type": "left", "payload": {"n": 2}, "event_id": "2"}
        assert await notify(saga_id, before["left"], event) is NotifyResult.ACCEPTED
        assert seen["left"] == {"n": 2} and await bench.status(saga_id) == "COMPLETED"
        assert await notify(saga_id, before["left"], event) is NotifyResult.NOT_WAITING

    on(database, scenario)


def test_the_inbox_finds_the_branch_that_waits(database):
    """Events that came early are delivered to whichever step waits for them."""
    journal = []

    async def scenario(bench):
        names = ("x", "y", "z")
        definition = graph([Part(name, journal, waits_for(name)) for name in names])
        for name in reversed(names):
            await bench.ingest(name, name)
        saga_id = await bench.begin(definition)
        while await bench.orchestrator.run_inbox_due():
            pass
        assert await bench.status(saga_id) == "COMPLETED"
        assert sorted(journal) == ["do x", "do x", "do y", "do y", "do z", "do z"]

    on(database, scenario)


def test_an_event_reaches_a_branch_while_another_runs(database):
    """The row shows the step that waits, and the inbox delivers to it."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        parts = [Part("slow", journal, gate), Part("w", journal, waits_for("paid"))]
        bench.orchestrator.register("saga", graph(parts))
        with commits("branch.after", 1) as one_waits:
            running = asyncio.ensure_future(bench.begin())
            await one_waits.wait()
        await gate.inside.wait()
        (row,) = await bench.sagas()
        saga = await bench.see(row.id)
        assert saga.status == "RUNNING" and saga.awaiting["event_types"] == ["paid"]
        assert saga.step_execution_token == saga.branches["w"].token
        await bench.ingest("1", "paid")
        assert await bench.orchestrator.run_inbox_due() == 1
        assert set((await bench.see(row.id)).branches) == {"slow"}
        gate.open.set()
        await running
        assert await bench.status(row.id) == "COMPLETED"

    on(database, scenario)


def test_await_event_of_the_wrong_step_is_refused(database):
    """Also where there is only one in flight: nothing is asked for and ignored."""

    async def scenario(bench):
        first, second = Part("x", [], wait_once), Part("y", [])
        saga_id = await bench.begin(graph([first, second], y="x"))
        before = await bench.see(saga_id)
        with pytest.raises(SagaStateError, match="step y is not in SUSPENDED"):
            await bench.orchestrator.await_event(saga_id, AwaitingEvent("paid"), step_id="y")
        assert await bench.see(saga_id) == before
        token = await bench.orchestrator.await_event(saga_id, AwaitingEvent("paid"), step_id="x")
        assert (await bench.see(saga_id)).step_execution_token == token

    on(database, scenario)


def test_await_event_says_which_branch_is_to_wait(database):
    async def scenario(bench):
        steps = [Part(name, [], wait_once) for name in ("x", "y")]
        saga_id = await bench.begin(graph(steps))
        await_event = bench.orchestrator.await_event
        with pytest.raises(SagaStateError, match=r"say which step is meant: .* x, y"):
            await await_event(saga_id, AwaitingEvent("paid"))
        token = await await_event(saga_id, AwaitingEvent("paid"), step_id="y")
        assert (await bench.see(saga_id)).branches["y"].token == token
        notify = bench.orchestrator.notify_detailed
        assert await notify(saga_id, token, {"event_type": "no", "payload": {}}) is (
            NotifyResult.WRONG_EVENT_TYPE
        )
        assert await notify(saga_id, token, {"event_type": "paid", "payload": {}})
        assert set((await bench.see(saga_id)).branches) == {"x"}

    on(database, scenario)


def test_each_branch_is_tried_again_by_itself(database):
    """An attempt that is not due yet is not begun because another is."""
    journal = []

    async def scenario(bench):
        late = Part("late", journal, failing(1), retries=FixedRetry(1, 3 * DAY))
        soon = Part("soon", journal, failing(1), retries=AGAIN)
        saga_id = await bench.begin(graph([late, soon]))
        saga = await bench.see(saga_id)
        assert saga.status == "SUSPENDED" and saga.deadline_at == START + DAY
        assert await bench.later() == 1
        assert journal.count("do soon") == 2 and journal.count("do late") == 1
        assert list((await bench.see(saga_id)).branches) == ["late"]
        assert await bench.later() == 0
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


# Back


def test_a_failure_lets_running_steps_end_and_undoes_in_reverse(database):
    """What runs is recorded and undone, too; what waits is dropped; nothing more is begun."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        parts = [
            Part("root", journal),
            Part("slow", journal, gate),
            Part("waits", journal, wait_once),
            Part("later", journal, failing(1), retries=FixedRetry(1, DAY)),
            Part("bad", journal, refuse),
            Part("after", journal),
        ]
        needs = dict.fromkeys(("slow", "waits", "later", "bad"), "root")
        bench.orchestrator.register("saga", graph(parts, **needs, after="slow"))
        with commits("branch.after", 4) as others_ended:
            running = asyncio.ensure_future(bench.begin())
            await others_ended.wait()
        await gate.inside.wait()
        (row,) = await bench.sagas()
        saga = await bench.see(row.id)
        assert saga.status == "RUNNING" and "refused" in saga.error
        assert set(saga.branches) == {"slow", "bad"}
        gate.open.set()
        saga = await bench.see(await running)
        assert (saga.status, saga.error) == ("COMPENSATED", "RuntimeError: refused")
        undone = [line.split()[1] for line in journal if line.startswith("undo")]
        assert undone == ["slow", "root"] and "do after" not in journal
        assert saga.deadline_at is None and saga.awaiting is None and not saga.branches

    on(database, scenario)


@pytest.mark.parametrize("fails", [False, True])
def test_without_compensation_a_failed_saga_can_be_taken_up_again(database, fails):
    """``retry_step`` runs all that can run; what had completed is not run again."""
    journal = []

    async def scenario(bench):
        parts = [
            Part("a", journal),
            Part("b", journal, failing(1)),
            Part("w", journal, wait_once),
            Part("c", journal),
        ]
        definition = graph(parts, compensate_on_failure=False, b="a", c="b w")
        saga_id = await bench.begin(definition)
        saga = await bench.see(saga_id)
        assert saga.status == "FAILED" and list(saga.branches) == ["b"]
        assert await bench.orchestrator.run_due() == 0
        if fails:
            saga = await bench.admin.compensate_step(saga_id)
            assert saga.status == "COMPENSATED" and "undo a" in journal[-1]
            return
        with pytest.raises(SagaDefinitionError, match="no step 'q'"):
            await bench.admin.retry_step(saga_id, step_id="q")
        with pytest.raises(SagaStateError, match="step c is not in FAILED"):
            await bench.admin.retry_step(saga_id, step_id="c")
        saga = await bench.admin.retry_step(saga_id, step_id="b")
        assert saga.status == "COMPLETED"
        assert journal.count("do a") == 1 and journal.count("do c") == 1

    on(database, scenario)


# Operators


def test_admin_calls_say_which_step(database):
    journal = []

    async def scenario(bench):
        parts = [Part("x", journal, wait_once), Part("y", journal, wait_once), Part("z", journal)]
        saga_id = await bench.begin(graph(parts, z="x y"))
        admin = bench.admin
        with pytest.raises(SagaStateError, match=r"say which step is meant: .* one of x, y"):
            await admin.retry_step(saga_id)
        with pytest.raises(SagaStateError, match="step z is not in SUSPENDED"):
            await admin.skip_step(saga_id, {"word": "skipped"}, step_id="z")
        with pytest.raises(SagaDefinitionError, match="no step 'q'; its steps are x, y, z"):
            await admin.retry_step(saga_id, step_id="q")
        saga = await admin.skip_step(saga_id, {"word": "skipped"}, step_id="x")
        assert list(saga.branches) == ["y"] and saga.status == "SUSPENDED"
        saga = await admin.retry_step(saga_id)  # there is only one now
        assert saga.status == "COMPLETED" and saga.outputs["z"]["word"] == "skipped+go>y>z"

    on(database, scenario)


def test_a_saga_is_aborted_with_all_its_branches(database):
    """Nobody holds a branch afterwards: what still runs changes nothing."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        parts = [Part("slow", journal, gate), Part("w", journal, wait_once)]
        bench.orchestrator.register("saga", graph(parts))
        running = asyncio.ensure_future(bench.begin())
        await gate.inside.wait()
        (row,) = await bench.sagas()
        before = await tokens(bench, row.id)
        saga = await bench.admin.abort(row.id)
        assert (saga.status, saga.error) == ("FAILED", "aborted")
        gate.open.set()
        await running
        assert (await bench.see(row.id)).outputs == {}
        notify = bench.orchestrator.notify_detailed
        assert await notify(row.id, before["w"], {"said": 1}) is NotifyResult.NOT_WAITING
        assert await bench.later() == 0

    on(database, scenario)


def test_an_event_that_does_not_come_ends_its_branch_only(database):
    """The saga is in TIMEOUT once nothing else is in flight; its step can be tried again."""
    journal = []

    async def scenario(bench):
        parts = [
            Part("w", journal, waits_for("paid", until=START + DAY / 2)),
            Part("b", journal, failing(1), retries=FixedRetry(1, 3 * DAY)),
            Part("end", journal),
        ]
        saga_id = await bench.begin(graph(parts, end="w b"))
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert saga.status == "SUSPENDED" and saga.branches["w"].status == "TIMEOUT"
        assert saga.step_history[-1]["status"] == "TIMEOUT"
        await bench.later()
        await bench.later()
        saga = await bench.see(saga_id)
        assert saga.status == "TIMEOUT" and list(saga.branches) == ["w"]
        assert saga.deadline_at is None
        assert (await bench.admin.retry_step(saga_id)).status == "COMPLETED"

    on(database, scenario)


# Workers


def test_branches_of_one_saga_are_driven_by_several_workers(database):
    """The one that ends last goes on with what depends on both, and it alone."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        parts = [
            Part("slow", journal, gate),
            Part("again", journal, failing(1), retries=FixedRetry(1, timedelta(seconds=1))),
            Part("end", journal),
        ]
        definition = graph(parts, end="slow again")
        bench.orchestrator.register("saga", definition)
        other, _ = bench.another(engine=database.engine())
        other.register("saga", definition)
        with commits("branch.after", 1) as has_failed_once:
            running = asyncio.ensure_future(bench.begin())
            await has_failed_once.wait()
        await gate.inside.wait()
        (row,) = await bench.sagas()
        bench.clock.forward(timedelta(seconds=2))
        assert await other.run_due() == 1
        assert set((await bench.see(row.id)).branches) == {"slow"}
        assert await other.run_due() == 0
        gate.open.set()
        await running
        saga = await bench.see(row.id)
        assert saga.status == "COMPLETED" and journal.count("do end") == 1

    on(database, scenario)


def test_a_branch_that_was_taken_over_changes_nothing(database):
    """A worker that was taken for dead finds its token gone; the others' work stands."""
    journal = []

    async def scenario(bench):
        gate = Gate()

        async def held_once(attempt, inp):
            if attempt == 1:
                await gate(attempt, inp)
                return Word(word="late")
            return None

        parts = [Part("slow", journal, held_once), Part("b", journal), Part("end", journal)]
        bench.orchestrator.register("saga", graph(parts, end="slow b"))
        running = asyncio.ensure_future(bench.begin())
        await gate.inside.wait()
        (row,) = await bench.sagas()
        assert await bench.later() == 1  # its lease is long over
        assert await bench.status(row.id) == "COMPLETED"
        gate.open.set()
        await running
        saga = await bench.see(row.id)
        assert saga.outputs["slow"]["word"] == "go>slow"
        assert journal.count("do end") == 1

    on(database, scenario)


def test_the_lease_of_a_branch_is_put_off_while_it_runs(database):
    """Nobody takes a branch over whose worker lives."""
    journal = []

    async def scenario(bench):
        renewed = asyncio.Event()
        mine, _ = bench.another(clock=utc_now, lease=SHORT)

        async def long(attempt, inp):
            async with asyncio.timeout(30):
                await renewed.wait()

        definition = graph([Part("slow", journal, long), Part("b", journal)])
        mine.register("saga", definition)
        renew = mine.engine.database.transaction

        def seen(commit):
            if commit == "branch.renew":
                renewed.set()
            return renew(commit)

        mine.engine.database.transaction = seen
        saga_id = await mine.start("saga", {"word": "go"}, "key")
        assert await bench.status(saga_id) == "COMPLETED" and journal.count("do slow") == 1

    on(database, scenario)


@pytest.mark.parametrize(
    ("choice", "ends", "undone"),
    [
        ("retry", "COMPLETED", []),
        ("compensate", "COMPENSATED", ["a"]),
        ("fail", "FAILED", []),
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
def test_what_a_step_says_of_its_timeout_holds_beside_others(
    database, choice, ends, undone, by_hand
):
    """Others that wait are dropped with it, when it ends the saga."""
    journal = []

    async def scenario(bench):
        builder = SagaBuilder()
        builder.add_step(Step("a", journal), start_word)
        late = Step("w", journal, waits_for("paid", until=START + DAY / 2))
        builder.add_step(
            late, start_word, step_id="w", on_timeout=choice, retry_policy=FixedRetry(1, DAY / 4)
        )
        if choice != "retry":
            builder.add_step(Step("x", journal, wait_once), start_word)
        saga_id = await bench.begin(builder.build())
        if by_hand:
            await bench.admin.expire(saga_id, step_id="w")
        await bench.later()
        await bench.later()
        saga = await bench.see(saga_id)
        assert saga.status == ends and not saga.awaiting
        assert [line.split()[1] for line in journal if line.startswith("undo")] == undone
        assert "TIMEOUT" in [entry["status"] for entry in saga.step_history]

    on(database, scenario)


def test_a_saga_that_begins_later_begins_with_all_its_roots(database):
    journal = []

    async def scenario(bench):
        bench.orchestrator.register("saga", graph([Part("a", journal), Part("b", journal)]))
        saga_id = await bench.orchestrator.start("saga", {"word": "go"}, "key", after=DAY)
        assert await bench.orchestrator.run_due() == 0
        assert set((await bench.see(saga_id)).branches) == {"a", "b"} and journal == []
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED" and len(journal) == 2

    on(database, scenario)


def test_resume_sets_all_branches_going_that_wait_for_the_time(database):
    """One that waits for an event stays; with nothing else it is refused."""
    journal = []

    async def scenario(bench):
        parts = [Part(name, journal, failing(1), retries=AGAIN) for name in ("a", "b")]
        parts.append(Part("w", journal, waits_for("paid")))
        saga_id = await bench.begin(graph(parts))
        saga = await bench.orchestrator.resume(saga_id)
        assert list(saga.branches) == ["w"] and journal.count("do a") == 2
        with pytest.raises(SagaStateError, match="waits for an event of type 'paid'"):
            await bench.orchestrator.resume(saga_id)

    on(database, scenario)
