"""Only so many sagas of a name run at the same time; others wait for their turn, none for ever."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta

import pytest
from saga_tools import DAY, Plain, Step, Word, chain, failing, on
from worker_tools import BRIEF, HOUR, one_step, opened, orchestrator_on, two_steps, working

from milo_durable import (
    ActiveSagaAlreadyExistsError,
    BaseStep,
    FixedRetry,
    NotifyResult,
    SagaBuilder,
    SagaDefinitionError,
    SagaHooks,
    StepAwaitEvent,
    _crash,
)

SECOND = timedelta(seconds=1)
AGAIN = {"step0": {"retry_policy": FixedRetry(1, SECOND)}}


class Hold:
    """A behaviour that stays inside until it is let go."""

    def __init__(self):
        self.inside, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, attempt, inp):
        self.inside.set()
        await self.open.wait()


class Named(BaseStep[Word, Word]):
    """Notes the word that its saga was started with."""

    def __init__(self, journal):
        self.journal = journal

    async def execute(self, inp: Word) -> Word:
        self.journal.append(inp.word)
        return inp


def first_word_holds(journal, hold):
    """One step, in which the saga started with the word "first" stays until it is let go."""

    class First(Named):
        async def execute(self, inp: Word) -> Word:
            if inp.word == "first":
                await hold(1, inp)
            return await super().execute(inp)

    return chain(First(journal))


@asynccontextmanager
async def full(bench, definition, hold):
    """The one place of "saga" is taken in the block; then it becomes free."""
    bench.orchestrator.register("saga", definition, concurrency_limit=1)
    first = asyncio.create_task(bench.begin(key="first", word="first"))
    await hold.inside.wait()
    yield
    hold.open.set()
    await first


@contextmanager
def reached(point):
    """Gives an event that is set when this crash point is reached."""
    event = asyncio.Event()
    with _crash.hooked(lambda name: event.set() if name == point else None):
        yield event


async def drained(*orchestrators):
    """Have all that is due done, by all of them at the same time, until nothing is."""
    while sum(await asyncio.gather(*[each.run_due() for each in orchestrators])):
        pass


class Counted(BaseStep[str, str]):
    """Counts the sagas inside, from the first step to the last; three go on together."""

    def __init__(self, counts, by):
        self.counts, self.by = counts, by

    async def execute(self, inp: str) -> str:
        counts = self.counts
        counts["inside"] += self.by
        counts["most"] = max(counts["most"], counts["inside"])
        if self.by > 0:
            await counts["three"].wait()
        else:
            counts["left"] -= 1
            if not counts["left"]:
                counts["none"].set()
        return inp


def test_no_more_run_than_there_are_places(database):
    """Of 42 sagas never more than 3 are inside, with three workers, and all of them complete."""

    async def scenario():
        counts = {"inside": 0, "most": 0, "left": 42}
        counts |= {"three": asyncio.Barrier(3), "none": asyncio.Event()}
        definition = two_steps(Counted(counts, 1), Counted(counts, -1))
        first = await opened(database)
        three = [first, *[orchestrator_on(database.engine()) for _ in range(2)]]
        for each in three:
            each.register("order", definition, concurrency_limit=3)
        async with AsyncExitStack() as stack:
            for each in three:
                await stack.enter_async_context(working(each, poll=BRIEF))
            starts = [three[n % 3].start("order", {"word": "w"}, str(n)) for n in range(42)]
            await asyncio.gather(*starts)
            await counts["none"].wait()
        return counts

    counts = database.run(scenario)
    assert (counts["inside"], counts["most"]) == (0, 3)


def test_claims_at_the_same_time_share_the_places(database):
    """Orchestrators that claim at the same moment take no more together than one would."""

    async def scenario(bench):
        hold, journal = Hold(), []
        three = [bench.another(engine=database.engine())[0] for _ in range(3)]
        for each in three:
            each.register("saga", chain(Step("a", journal, hold)), concurrency_limit=3)
        for n in range(9):
            await three[0].start("saga", {"word": "w"}, str(n), after=DAY)
        bench.clock.forward()
        taken = await asyncio.gather(*[each.engine.take_due(9) for each in three])
        assert sum(count for _, count in taken) == 3
        running = [row for row in await bench.sagas() if row.status == "RUNNING"]
        assert len(running) == 3
        drives = [
            each.engine.drive_all(views) for each, (views, _) in zip(three, taken, strict=True)
        ]
        hold.open.set()
        await asyncio.gather(*drives)
        await drained(*three)
        assert {row.status for row in await bench.sagas()} == {"COMPLETED"}
        assert journal == ["do a"] * 9

    on(database, scenario)


def test_starts_at_the_same_time_share_the_places(database):
    """Of eight starts at the same time three run at once; the others are stored, and run later."""
    journal = []

    async def scenario(bench):
        hold = Hold()
        two = [bench.orchestrator, bench.another(engine=database.engine())[0]]
        for each in two:
            each.register("saga", chain(Step("a", journal, hold)), concurrency_limit=3)
        starts = [
            asyncio.ensure_future(two[n % 2].start("saga", {"word": "w"}, str(n))) for n in range(8)
        ]
        waiting = set(starts)
        while len(waiting) > 3:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stored = sorted(row.status for row in await bench.sagas())
        assert stored == ["RUNNING"] * 3 + ["SUSPENDED"] * 5
        hold.open.set()
        await asyncio.gather(*starts)
        await drained(*two)
        assert {row.status for row in await bench.sagas()} == {"COMPLETED"}

    on(database, scenario)


def test_the_oldest_has_its_turn_first(database):
    """Whoever waits has its turn before a younger one, also one that starts as a place is free."""
    journal = []

    async def scenario(bench):
        hold = Hold()
        async with full(bench, first_word_holds(journal, hold), hold):
            for word in "bca":
                bench.clock.forward(SECOND)
                saga = await bench.see(await bench.begin(key=word, word=word))
                assert (saga.status, saga.deadline_at) == ("SUSPENDED", bench.clock())
                assert await bench.orchestrator.run_due() == 0
        assert journal == ["first"]
        bench.clock.forward(SECOND)
        assert await bench.status(await bench.begin(key="late", word="late")) == "SUSPENDED"
        for _ in range(4):
            assert await bench.orchestrator.run_due() == 1
        assert journal == ["first", "b", "c", "a", "late"]
        assert await bench.status(await bench.begin(key="last", word="last")) == "COMPLETED"

    on(database, scenario)


def test_a_worker_that_died_gives_its_place_back(database):
    """The place of a dead worker's saga is free when its lease ends; that saga waits its turn."""
    journal = []

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Named(journal)), concurrency_limit=1)
        engine = bench.orchestrator.engine
        definition = engine.definitions.newest("saga")
        new = bench.orchestrator._new("saga", definition, {"word": "dead"}, "dead")
        (left,) = await engine.begin(new)
        assert left.status == "RUNNING"
        await bench.begin(key="b", word="b")
        bench.clock.forward(SECOND)
        assert await bench.orchestrator.run_due() == 0 and journal == []
        assert await bench.later() == 1 and journal == ["b"]
        assert await bench.orchestrator.run_due() == 1 and journal == ["b", "dead"]
        assert await bench.status(left.id) == "COMPLETED"

    on(database, scenario)


def test_what_takes_over_counts_who_died(database):
    """A saga that kills its workers is halted as it is without a limit."""

    async def scenario(bench):
        options = {"step0": {"max_crashes": 2}}
        bench.orchestrator.register("saga", chain(Plain(), **options), concurrency_limit=1)
        saga_id = await bench.orchestrator.start("saga", {"word": "w"}, "key", after=DAY)
        engine = bench.orchestrator.engine
        for crashes in range(2):
            bench.clock.forward()
            (view,), _ = await engine.take_due(1)
            assert view.crash_count == crashes
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.deadline_at) == ("SUSPENDED", None)
        assert "2 workers in a row" in saga.error
        assert await bench.status(await bench.begin(key="next")) == "COMPLETED"

    on(database, scenario)


@pytest.mark.parametrize("way", ["notify", "inbox"])
def test_an_event_at_the_limit(database, way):
    """It is accepted, once; its saga goes on with it when a place is free."""
    journal = []

    class Asks(Named):
        async def execute(self, inp: Word) -> Word | StepAwaitEvent:
            if inp.word == "asks":
                return StepAwaitEvent()
            return await super().execute(inp)

    def word_of(ctx):
        return Word(word=(ctx.event or ctx.initial_data)["word"])

    async def scenario(bench):
        hold = Hold()

        class First(Asks):
            async def execute(self, inp: Word) -> Word | StepAwaitEvent:
                if inp.word == "first":
                    await hold(1, inp)
                return await super().execute(inp)

        definition = chain(First(journal), first=word_of)
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin(key="key", word="asks")
        first = asyncio.create_task(bench.begin(key="first", word="first"))
        await hold.inside.wait()
        token = (await bench.see(saga_id)).step_execution_token
        event = {"event_id": "e", "payload": {"word": "told"}}
        if way == "notify":
            assert await bench.orchestrator.notify(saga_id, token, event)
        else:
            await bench.orchestrator.ingest_event(event, saga_id=saga_id)
            assert await bench.orchestrator.run_inbox_due() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.awaiting, saga.deadline_at) == ("SUSPENDED", None, bench.clock())
        assert saga.step_execution_token != token
        assert await bench.notify(saga_id, event) is NotifyResult.NOT_WAITING
        assert await bench.orchestrator.run_inbox_due() == 0
        assert await bench.orchestrator.run_due() == 0 and journal == []
        hold.open.set()
        await first
        assert await bench.orchestrator.run_due() == 1
        assert journal == ["first", "told"]
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_an_event_while_there_is_a_place(database):
    """What waits has no place, so an event sets it going at once when one is free."""

    async def scenario(bench):
        wait = chain(Step("a", [], lambda attempt, inp: StepAwaitEvent() if attempt < 3 else None))
        bench.orchestrator.register("saga", wait, concurrency_limit=1)
        ids = [await bench.begin(key=key) for key in "ab"]
        for saga_id in ids:
            assert await bench.status(saga_id) == "SUSPENDED"
            assert await bench.notify(saga_id, {"n": 1})
            assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_a_retry_at_the_limit(database):
    """An attempt that is due waits until a place is free, and is the next one then."""
    journal = []

    async def scenario(bench):
        hold = Hold()

        async def behave(attempt, inp):
            if inp.word == "first":
                await hold(attempt, inp)
            elif attempt == 1:
                raise RuntimeError("once")

        definition = chain(Step("a", journal, behave), **AGAIN)
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin(key="key")
        first = asyncio.create_task(bench.begin(key="first", word="first"))
        await hold.inside.wait()
        bench.clock.forward(SECOND)
        assert await bench.orchestrator.run_due() == 0
        assert await bench.status(saga_id) == "SUSPENDED"
        hold.open.set()
        await first
        assert await bench.orchestrator.run_due() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.step_history[-1]["attempt"]) == ("COMPLETED", 2)

    on(database, scenario)


def test_names_without_a_limit_are_not_held_up(database):
    """What waits for a place takes none of run_due's limit from others."""
    journal = []

    async def scenario(bench):
        hold = Hold()
        bench.orchestrator.register("other", chain(Step("o", journal, failing(1)), **AGAIN))
        await bench.begin(name="other", key="o")
        bench.clock.forward()
        async with full(bench, first_word_holds(journal, hold), hold):
            for n in range(5):
                assert await bench.status(await bench.begin(key=str(n))) == "SUSPENDED"
            journal.clear()
            assert await bench.orchestrator.run_due(1) == 1
            assert journal == ["do o"]
        await drained(bench.orchestrator)
        assert {row.status for row in await bench.sagas()} == {"COMPLETED"}

    on(database, scenario)


def test_neither_kind_of_name_starves(database):
    """Where run_due may do no more than one, those with a limit and the others take turns."""
    journal = []

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("limited", journal)), concurrency_limit=2)
        bench.orchestrator.register("other", chain(Step("free", journal)))
        for n in range(3):
            for name in ("saga", "other"):
                key = f"{name}{n}"
                await bench.orchestrator.start(name, {"word": "w"}, key, after=DAY)
        bench.clock.forward()
        for _ in range(4):
            assert await bench.orchestrator.run_due(1) == 1
        assert sorted(journal) == ["do free"] * 2 + ["do limited"] * 2

    on(database, scenario)


def test_operators_do_not_wait(database):
    """retry_step and resume set a saga going at once, over the limit; it counts while it runs."""
    journal = []

    async def scenario(bench):
        hold = Hold()
        async with full(bench, first_word_holds(journal, hold), hold):
            one, two, three = [await bench.begin(key=key, word=key) for key in "abc"]
            assert (await bench.admin.retry_step(one)).status == "COMPLETED"
            assert (await bench.orchestrator.resume(two)).status == "COMPLETED"
            assert (await bench.admin.abort(three)).status == "FAILED"
            assert journal == ["a", "b"]
        assert await bench.orchestrator.run_due() == 0

    on(database, scenario)


def test_a_saga_that_turns_back_at_the_limit(database):
    """A wait that comes to nothing ends in time; undoing waits for a place, as running does."""
    journal = []

    async def scenario(bench):
        hold, told = Hold(), []

        class Late(SagaHooks):
            def step_failed(self, step):
                told.append((step.status, step.retry_at))

        async def behave(attempt, inp):
            if inp.word == "first":
                await hold(attempt, inp)

        def ask(attempt, inp):
            return None if inp.word.startswith("first") else StepAwaitEvent(within=SECOND)

        steps = Step("a", journal, behave), Step("w", journal, ask)
        definition = chain(*steps, step1={"on_timeout": "compensate"})
        bench.orchestrator, _ = bench.another(hooks=[Late()])
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin(key="key")
        first = asyncio.create_task(bench.begin(key="first", word="first"))
        await hold.inside.wait()
        bench.clock.forward(SECOND)
        assert await bench.orchestrator.run_due() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.deadline_at) == ("COMPENSATING_SUSPENDED", bench.clock())
        assert told == [("TIMEOUT", None)]
        assert await bench.orchestrator.run_due() == 0
        hold.open.set()
        await first
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPENSATED"
        assert journal[-1] == "undo a go go>a"

    on(database, scenario)


def beside(*steps):
    """Steps that do not depend on each other."""
    builder = SagaBuilder()
    for step in steps:
        builder.add_step(
            step=step,
            input_map=lambda ctx: Word(word=ctx.initial_data["word"]),
            step_id=step.name,
            retry_policy=FixedRetry(1, DAY),
        )
    return builder.build()


def test_a_saga_with_branches_counts_once(database):
    """Its steps run beside each other in one place; another waits for that, with all of its."""
    journal = []

    async def scenario(bench):
        together = asyncio.Barrier(2)

        async def meet(attempt, inp):
            await together.wait()

        definition = beside(Step("a", journal, meet), Step("b", journal, meet))
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        assert await bench.status(await bench.begin(key="1")) == "COMPLETED"
        new = bench.orchestrator._new("saga", definition, {"word": "w"}, "2")
        await bench.orchestrator.engine.begin(new)
        waiting = await bench.see(await bench.begin(key="3"))
        assert waiting.status == "SUSPENDED"
        assert {each.status for each in waiting.branches.values()} == {"SUSPENDED"}
        assert await bench.orchestrator.run_due() == 0
        # Its workers have died, but it keeps its place, and whoever takes it goes on there.
        bench.clock.forward()
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(new.id) == "COMPLETED"
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(waiting.id) == "COMPLETED"

    on(database, scenario)


def test_a_branch_takes_its_event_at_the_limit(database):
    """The branch waits for a place with its event; beside one that runs it needs none."""
    journal = []

    async def scenario(bench):
        hold = Hold()

        def ask(attempt, inp):
            return StepAwaitEvent() if attempt == 1 else None

        async def run(attempt, inp):
            if inp.word == "first":
                await hold(attempt, inp)

        definition = beside(Step("r", journal, run), Step("w", journal, ask))
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin(key="key")
        first = asyncio.create_task(bench.begin(key="first", word="first"))
        await hold.inside.wait()
        assert await bench.notify(saga_id, {"n": 1})
        saga = await bench.see(saga_id)
        branch = saga.branches["w"]
        assert (saga.status, branch.status, branch.awaiting) == ("SUSPENDED", "SUSPENDED", None)
        assert saga.deadline_at == branch.deadline_at == bench.clock()
        assert await bench.orchestrator.run_due() == 0
        hold.open.set()
        await first
        assert await bench.orchestrator.run_due() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.context["latest_event"]) == ("COMPLETED", {"n": 1})

    on(database, scenario)


def test_branches_that_are_tried_again_wait_for_a_place(database):
    """A saga whose branches are due is taken in its turn, all of them at once."""
    journal = []

    async def scenario(bench):
        definition = beside(Step("a", journal, failing(1)), Step("b", journal, failing(1)))
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin(key="key")
        bench.clock.forward()
        new = bench.orchestrator._new("saga", definition, {"word": "w"}, "2")
        engine = bench.orchestrator.engine
        assert (await engine.begin(new)) == ()
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(new.id) == "COMPLETED"

    on(database, scenario)


def test_a_wait_that_is_over_takes_no_place_away(database):
    """A saga with a step that runs keeps its place, though the wait of another is over."""

    async def scenario(bench):
        hold = Hold()
        ask = Step("w", [], lambda attempt, inp: StepAwaitEvent(within=SECOND))
        definition = beside(Step("r", [], hold), ask)
        with reached("branch.after") as waits:
            async with full(bench, definition, hold):
                await waits.wait()
                bench.clock.forward(SECOND)
                assert await bench.status(await bench.begin(key="key")) == "SUSPENDED"
                assert await bench.orchestrator.run_due() == 1  # the wait
                assert await bench.orchestrator.run_due() == 0

    on(database, scenario)


def test_a_saga_does_not_stand_in_its_own_way(database):
    """An event sets a branch going though another, which is due, waits for its turn."""
    journal = []

    async def scenario(bench):
        ask = Step("w", journal, lambda attempt, inp: StepAwaitEvent() if attempt == 1 else None)
        definition = beside(Step("f", journal, failing(1)), ask)
        bench.orchestrator.register("saga", definition, concurrency_limit=1)
        saga_id = await bench.begin()
        bench.clock.forward()
        assert await bench.notify(saga_id, {"n": 1})
        assert journal == ["do f", "do w", "do w"]
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_a_broken_saga_stands_in_nobodys_way(database, caplog):
    """One whose branches its definition does not know is logged; others have their turn."""

    async def scenario(bench):
        old, new = bench.orchestrator, bench.another()[0]
        old.register("saga", beside(Step("x", []), Step("y", [])))
        new.register("saga", beside(Step("a", []), Step("b", [])), concurrency_limit=1)
        broken = await old.start("saga", {"word": "w"}, "broken", after=SECOND)
        bench.clock.forward(SECOND)
        saga_id = await new.start("saga", {"word": "w"}, "key")
        assert await new.run_due() == 0
        assert f"saga {broken} could not be taken" in caplog.text
        assert await new.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert await bench.status(broken) == "SUSPENDED"
        assert await old.run_due() == 1
        assert await bench.status(broken) == "COMPLETED"

    on(database, scenario)


def test_a_worker_learns_that_a_place_is_free(database):
    """A worker begins what waits as soon as another process's saga has ended."""

    async def scenario():
        inside, leave, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

        class Place(BaseStep[str, str]):
            async def execute(self, inp: str) -> str:
                if inp == "first":
                    inside.set()
                    await leave.wait()
                else:
                    begun.set()
                return inp

        orchestrator = await opened(database)
        another = orchestrator_on(database.engine())
        for each in (orchestrator, another):
            each.register("order", one_step(Place()), concurrency_limit=1)
        first = asyncio.create_task(orchestrator.start("order", {"word": "first"}, "1"))
        await inside.wait()
        await orchestrator.start("order", {"word": "second"}, "2")
        poll = HOUR if database.kind == "postgres" else BRIEF
        with reached("claim.after") as looked:
            async with working(another, poll=poll) as worker:
                await looked.wait()  # the worker has found no place, and sleeps
                leave.set()
                await begun.wait()
        await first
        return worker.stats.failures

    assert database.run(scenario) == 0


def test_the_active_saga_of_an_aggregation(database):
    """One that waits for its turn is the active one of its aggregation, as any other."""

    async def scenario(bench):
        hold = Hold()
        async with full(bench, first_word_holds([], hold), hold):
            await bench.begin(key="key")
            for key in ("key", "first"):
                with pytest.raises(ActiveSagaAlreadyExistsError):
                    await bench.begin(key=key)
        assert len(await bench.sagas()) == 2

    on(database, scenario)


def test_all_versions_share_the_limit(database):
    """A version that says nothing of the limit has that of its name."""

    async def scenario(bench):
        hold = Hold()
        async with full(bench, first_word_holds([], hold), hold):
            bench.orchestrator.register("saga", chain(Plain(), version=2))
            assert await bench.status(await bench.begin(key="new")) == "SUSPENDED"
        assert await bench.orchestrator.run_due() == 1

    on(database, scenario)


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "3"])
def test_a_limit_that_cannot_be_meant(database, limit):
    """A limit is a whole number from 1; else nothing is registered."""

    async def scenario(bench):
        register = bench.orchestrator.register
        with pytest.raises(SagaDefinitionError, match="'saga': concurrency_limit must be a whole"):
            register("saga", chain(Plain()), concurrency_limit=limit)
        register("saga", chain(Plain()))

    on(database, scenario)


def test_two_limits_for_one_name(database):
    """Another limit for a name is refused, and what stands is said; the same is not."""

    async def scenario(bench):
        register = bench.orchestrator.register
        register("saga", chain(Plain()), concurrency_limit=2)
        with pytest.raises(SagaDefinitionError, match="concurrency_limit=2 already"):
            register("saga", chain(Plain(), version=2), concurrency_limit=3)
        register("saga", chain(Plain(), version=2), concurrency_limit=2)
        with pytest.raises(SagaDefinitionError, match="version 2"):
            register("saga", chain(Plain(), version=2), concurrency_limit=2)
        with pytest.raises(SagaDefinitionError, match="the name of a saga"):
            register(["saga"], chain(Plain()), concurrency_limit=2)
        with pytest.raises(SagaDefinitionError, match="build"):
            register("other", SagaBuilder(), concurrency_limit=2)
        assert "other" not in bench.orchestrator.engine.limits

    on(database, scenario)
