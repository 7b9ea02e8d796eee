"""Whole runs of random pipelines, simulated, against a small model of what may come of them.

The simulator chooses the order of all that happens; ``MILO_RUNS`` says how many runs, by
default 60. Times are virtual and far apart, so that what blocks cannot make others late.
"""

import asyncio
import os
from collections import Counter
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from milo_effects.testing import simulate
from milo_pipeline import Phase, PhasePolicy, Pipeline
from milo_pipeline.actions import ACTION_TYPES

RUNS = int(os.environ.get("MILO_RUNS", "60"))
BLOCKED = 1e4
"""The timeout of the one phase that may block for longer: more than all in time together."""
SLOW = 1e6
"""The timeout of the others: more than everything that blocks together."""
DONE = ("completed", "skipped")
OVER = {
    "@@PHASE_COMPLETE": "completed",
    "@@PHASE_SKIPPED": "skipped",
    "@@PHASE_FAILED": "failed",
}


class Work(NamedTuple):
    """A phase, and how each of its attempts goes: ``ok``, ``raises`` or ``late``."""

    name: str
    needs: tuple[str, ...]
    parallel: bool
    weight: int
    policy: PhasePolicy
    attempts: tuple[str, ...]
    is_async: bool
    blocks: bool
    wait: float
    condition: str
    left_out: bool


class Case(NamedTuple):
    """A pipeline and one run of it; ``cancel_at`` counts actions."""

    works: tuple[Work, ...]
    mode: str
    workers: int
    cancel_at: int | None


def case(random, size):
    """A case with so many phases, some of them in trouble, and which depends on the case."""
    trouble, beside = random.choice([0.0, 0.05, 0.5]), random.choice([0.0, 0.5, 0.9, 1.0])
    blocking = random.randrange(size) if random.random() < 0.3 else None
    works = []
    for i in range(size):
        works.append(work(random, works, trouble, beside, i == blocking))
    mode = random.choice(["plain", "plain", "fail_fast", "fail_fast", "keep_going"])
    cancel_at = random.randint(1, 3 * size) if random.random() < 0.3 else None
    return Case(tuple(works), mode, random.randint(1, 4), cancel_at)


def work(random, before, trouble, beside, blocks):
    on_fail = random.choice(["stop", "stop", "skip", "retry"])
    policy = PhasePolicy(on_fail, 2, random.choice([0, 0.5, 2]))
    bad = random.choice(["raises", "raises", "late"])
    near = [each.name for each in before[-20:]]
    return Work(
        # Not in the order of their names, nor of their numbers.
        name=f"p{(len(before) * 77) % 211:03}",
        needs=tuple(random.sample(near, min(len(near), random.choice([0, 1, 1, 2, 3])))),
        parallel=random.random() < beside,
        weight=random.randint(0, 3),
        policy=policy,
        attempts=tuple(
            bad if blocks or random.random() < trouble else "ok" for _ in range(policy.attempts)
        ),
        is_async=not blocks and (bad == "late" or random.random() < 0.5),
        blocks=blocks,
        wait=random.choice([0, 0.5, 3]),
        condition=random.choice(["none"] * 8 + ["holds", "does not hold"]),
        left_out=random.random() < 0.05,
    )


SMALL = st.builds(case, st.randoms(use_true_random=False), st.integers(1, 9))
LARGE = st.builds(lambda seed, size: case(Random(seed), size), st.integers(0), st.integers(10, 200))
CASES = st.one_of(SMALL, SMALL, SMALL, LARGE)
SEEDS = st.none() | st.integers(0, 2**32)
"""``None`` is first come, first served."""

AT_ONCE = Work("a", (), True, 1, PhasePolicy(), ("raises",), False, False, 0, "none", False)
IN_LINE = Case(
    (AT_ONCE, *(AT_ONCE._replace(name=n, attempts=("ok",)) for n in "bcd")), "plain", 1, None
)
"""The first fails before those that are forked behind it have had their turn."""


# The model: what comes of a phase that runs, of the whole, and what may come before what.


def verdict(each):
    """The status of a phase that may begin and is let be, and its attempts."""
    if each.left_out or each.condition == "does not hold":
        return "skipped", 0
    if "ok" in each.attempts:
        return "completed", each.attempts.index("ok") + 1
    return "skipped" if each.policy.on_fail == "skip" else "failed", len(each.attempts)


def fates(works):
    """What comes of each phase when all that does not depend on a failure goes on."""
    fate = {}
    for each in works:
        blocked = any(fate[name][0] not in DONE for name in each.needs)
        fate[each.name] = ("pending", 0) if blocked else verdict(each)
    return fate


def check_order(case, told, *, raced):
    """Go through a run's actions: what may be underway beside what, and begin after what.

    A parallel phase whose turn had come before a failure may, in a race, say so after it.
    """
    of, ended, underway = {each.name: each for each in case.works}, {}, []
    before = ended if case.mode == "keep_going" else None
    for kind, name, attempt in told:
        if kind == "@@PHASE_START" and attempt == 1:
            each, done = of[name], ended if before is None else before
            assert all(done.get(need) in DONE for need in each.needs), f"{name} is too early"
            may = before is None or before is ended or (raced and each.parallel)
            assert may, f"{name} begins after a failure"
            underway.append(name)
            alone = len(underway) == 1 or all(of[other].parallel for other in underway)
            assert alone, f"{underway} at the same time"
        elif kind in OVER:
            assert name not in ended, f"{name} ends twice"
            assert all(ended.get(need) in DONE for need in of[name].needs), f"{name} ends too early"
            ended[name] = OVER[kind]
            underway = [other for other in underway if other != name]
            if before is None and ended[name] == "failed":
                before = dict(ended)


# The run


def pipeline_of(case, sim, calls):
    fate = fates(case.works)
    phases = [phase_of(each, sim, calls, fate) for each in case.works]
    return Pipeline("p", *phases, **({} if case.mode == "plain" else {case.mode: True}))


def phase_of(each, sim, calls, fate):
    wanted = {name: name if fate[name][0] == "completed" else None for name in each.needs}

    def begin(context):
        how = each.attempts[calls[each.name]]
        calls[each.name] += 1
        if how == "raises" or context != wanted:
            raise OSError(f"no luck with {context}")
        return how == "late"

    def plain(context):
        sim.sleep(2 * BLOCKED if begin(context) else each.wait)
        return each.name

    async def of_a_loop(context):
        await asyncio.sleep(2 * SLOW if begin(context) else each.wait)
        return each.name

    return Phase(
        each.name,
        of_a_loop if each.is_async else plain,
        depends_on=each.needs,
        parallel=each.parallel,
        weight=each.weight,
        policy=each.policy,
        timeout=BLOCKED if each.blocks else SLOW if "late" in each.attempts else None,
        when=None if each.condition == "none" else lambda: each.condition == "holds",
    )


class Ended(NamedTuple):
    """What came of a run."""

    state: object
    told: list
    calls: Counter
    order: list
    stuck: tuple


def run(case, seed):
    calls, order = Counter(), []

    def workload(sim):
        pipeline = pipeline_of(case, sim, calls)
        order.extend(pipeline.execution_order())
        store = sim.store(pipeline.build_reducer(), max_workers=case.workers)
        skip = [each.name for each in case.works if each.left_out]
        saga = pipeline.build_saga(skip=skip)()
        task = sim.run_saga(saga)

        def cancel_in_time():
            if len(sim.actions) == case.cancel_at:
                sim.cancel(task, at=sim.now)

        store.subscribe(cancel_in_time)

    ended = simulate(workload, seed=seed)
    told = [(a.type, *facts(a.payload)) for a in ended.actions if a.type in ACTION_TYPES]
    return Ended(ended.store.state, told, calls, order, ended.stuck)


def facts(payload):
    given = payload if isinstance(payload, dict) else {}
    return given.get("name"), given.get("attempt")


def check_end(case, ended):
    """Every phase has come to what the model says, as far as the run let it."""
    state, fate = ended.state, fates(case.works)
    kinds = [kind for kind, *_ in ended.told]
    now = {each.name: (each.status, each.attempt) for each in state.phases}
    cancelled = "@@PIPELINE_CANCELLED" in kinds
    in_order = not cancelled and all(status in DONE for status, _ in now.values())
    assert not ended.stuck, f"for ever: {ended.stuck}"
    assert state.status == ("completed" if in_order else "failed")
    assert ("@@PIPELINE_COMPLETE" in kinds) == in_order
    assert kinds[0] == "@@PIPELINE_START"
    assert not {"@@PIPELINE_COMPLETE", "@@PIPELINE_CANCELLED"} & set(kinds[:-1])
    for each in state.phases:
        left = each.status == "pending" and (cancelled or case.mode != "keep_going")
        stopped = (each.status, each.error) == ("failed", "cancelled")
        stopped = stopped and (cancelled or case.mode == "fail_fast")
        assert now[each.name] == fate[each.name] or left or stopped, f"{each}: {fate[each.name]}"
        assert ended.calls[each.name] <= each.attempt
    if not cancelled and all(status != "failed" for status, _ in now.values()):
        assert now == fate
    check_progress(case, state)


def check_progress(case, state):
    weights = {each.name: each.weight for each in case.works}
    done = sum(weights[each.name] for each in state.phases if each.status in DONE)
    share = done / sum(weights.values()) if any(weights.values()) else 0.0
    assert state.progress == (1.0 if state.status == "completed" else share)


@settings(
    max_examples=RUNS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(CASES, SEEDS)
@example(IN_LINE, None)
def test_any_run_is_one_that_the_model_allows(case, seed):
    """It ends; in order, alone where it must be, with the statuses and progress of the model."""
    ended = run(case, seed)
    check_order(case, ended.told, raced=seed is not None)
    check_end(case, ended)
    if not any(each.parallel for each in case.works):
        begun = list(dict.fromkeys(name for _, name, attempt in ended.told if attempt))
        assert begun == [name for name in ended.order if name in begun]


@settings(max_examples=max(1, RUNS // 4), deadline=None)
@given(SMALL, SEEDS)
def test_the_same_seed_gives_the_same_run(case, seed):
    """The same actions in the same order, and so the same end."""
    first, again = run(case, seed), run(case, seed)
    assert first.told == again.told
    assert first.calls == again.calls


def test_a_phase_whose_condition_answers_after_a_failure_does_not_begin():
    """It was asked before; its handler is not called."""
    called = []

    async def holds():
        await asyncio.sleep(5)
        return True

    async def fails():
        await asyncio.sleep(1)
        raise OSError("no disk")

    def workload(sim):
        pipeline = Pipeline(
            "p",
            Phase("a", fails, parallel=True),
            Phase("b", lambda: called.append("b"), parallel=True, when=holds),
        )
        sim.store(pipeline.build_reducer())
        sim.run_saga(pipeline.build_saga()())

    state = simulate(workload, seed=None).store.state
    assert [each.status for each in state.phases] == ["failed", "pending"]
    assert called == []
