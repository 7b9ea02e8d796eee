"""When phases of a run begin: dataflow, who runs alone, in which order, on how many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_tools import Gate, Watch, nothing, phase, python, run, statuses

from milo_effects import SagaContext
from milo_pipeline import Phase, Pipeline
from milo_pipeline._execution import Completed, Execution, Failed
from milo_pipeline.run_plan import plan_run


def test_a_phase_starts_the_moment_its_own_dependencies_are_done():
    """It does not wait for the slow neighbour of its dependency: here that one waits for it."""
    begun = Gate()
    result, watch = run(
        phase("quick", nothing, parallel=True),
        phase("slow", begun.pass_through, parallel=True),
        phase("next", begun.set, "quick", parallel=True),
        phase("last", nothing, "slow", "next"),
    )
    assert result.ok
    story = watch.story()
    assert story.index("PHASE_START next 1") < story.index("PHASE_COMPLETE slow")


def test_parallel_phases_run_at_the_same_time():
    """Phases that wait for each other inside their handlers all come to their end."""
    all_here = threading.Barrier(5, timeout=60)
    result, _ = run(
        *[phase(f"p{i}", all_here.wait, parallel=True) for i in range(5)], max_workers=5
    )
    assert result.ok


def test_a_sequential_phase_runs_alone():
    """It waits for what runs, and what comes after it in the order waits for it."""
    begun = Gate()

    result, watch = run(
        phase("a", begun.set, parallel=True),
        phase("m", begun.pass_through),
        phase("z", nothing, parallel=True),
        max_workers=4,
    )
    assert result.ok
    assert watch.story()[1:-1] == [
        *("PHASE_START a 1", "PHASE_COMPLETE a"),
        *("PHASE_START m 1", "PHASE_COMPLETE m"),
        *("PHASE_START z 1", "PHASE_COMPLETE z"),
    ]


def test_the_first_ready_phase_in_execution_order_decides():
    """A parallel phase before a sequential one starts; behind it, it waits."""
    result, watch = run(
        phase("a"), phase("b", nothing, parallel=True), phase("c"), phase("d", parallel=True)
    )
    starts = [text for text in watch.story() if "START" in text]
    assert result.ok
    assert starts[1:] == [f"PHASE_START {name} 1" for name in "abcd"]


@st.composite
def graphs(draw, most=40):
    """Phases as (name, dependencies, parallel): any graph, declared in any order."""
    count = draw(st.integers(1, most))
    flags = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    names = draw(st.permutations([f"p{i:02}" for i in range(count)]))
    edges = [
        draw(st.sets(st.sampled_from(names[:i]), max_size=4)) if i else set() for i in range(count)
    ]
    return draw(st.permutations(list(zip(names, edges, flags, strict=True))))


@settings(max_examples=40)
@given(graphs())
def test_any_graph_runs_without_an_overlap(graph):
    """No phase begins before its dependencies have ended; nothing runs beside a sequential one."""
    happened = []

    def handler(name):
        def work():
            happened.append((name, "begins"))
            happened.append((name, "ends"))
            return name

        return work

    phases = [
        Phase(name, handler(name), depends_on=needs, parallel=parallel)
        for name, needs, parallel in graph
    ]
    result = Pipeline("p", *phases).run(max_workers=4)
    assert result.ok
    assert result.results == {name: name for name, _, _ in graph}
    at = {event: place for place, event in enumerate(happened)}
    assert len(at) == len(happened) == 2 * len(graph)
    for name, needs, parallel in graph:
        assert all(at[needed, "ends"] < at[name, "begins"] for needed in needs)
        assert parallel or at[name, "ends"] == at[name, "begins"] + 1


@given(graphs(), st.randoms(use_true_random=False))
def test_what_starts_is_decided_by_the_order_alone(graph, random):
    """Whichever phase ends next: the ready ones get their turn by order, up to one that waits."""
    phases = [Phase(name, nothing, depends_on=n, parallel=p) for name, n, p in graph]
    pipeline = Pipeline("p", *phases)
    execution = Execution(pipeline, plan_run(pipeline))
    turns = Turns(pipeline)
    running, lanes = [], int(execution.claim())
    turns.give()
    while turns.line or running:
        if lanes and random.random() < 0.7:
            lanes -= 1
            index, needs_lane = execution.first(SCOPE)
            running += turns.take(index)
            lanes += needs_lane
        elif running:
            index = running.pop(random.randrange(len(running)))
            execution.note(index, Completed(None))
            turns.end(index)
            following, needs_lane = execution.next_after(index, SCOPE)
            running += turns.take(following)
            lanes += needs_lane
        elif execution.alone is not None:
            (index,) = turns.take(execution.alone, parallel=False)
            execution.note(index, Completed(None))
            turns.end(index)
            execution.end(index)
            lanes += execution.claim()
        assert lanes <= 1
    assert len(turns.done) == len(phases)
    assert not execution.is_underway


class Turns:
    """The model: whose turn has come, the first of the ready ones first."""

    def __init__(self, pipeline):
        self.phases = {each.name: each for each in pipeline.phases}
        self.names = [each.name for each in pipeline.phases]
        self.order = pipeline.execution_order()
        self.line, self.had, self.done = [], set(), set()

    def give(self):
        """Give all their turn who can have it."""
        if any(not self.phases[each].parallel for each in self.had - self.done):
            return
        for name in [name for name in self.order if self._is_ready(name)]:
            if not self.phases[name].parallel and self.had > self.done:
                break
            self.line.append(name)
            self.had.add(name)
            if not self.phases[name].parallel:
                break

    def _is_ready(self, name):
        return name not in self.had and self.done.issuperset(self.phases[name].depends_on)

    def take(self, index, *, parallel=True):
        """Phase ``index`` begins, if it is one: the first in line, if that is of this kind."""
        fits = self.line and self.phases[self.line[0]].parallel is parallel
        expected = self.line.pop(0) if fits else None
        assert (None if index is None else self.names[index]) == expected
        return [] if index is None else [index]

    def end(self, index):
        self.done.add(self.names[index])
        self.give()


SCOPE = SagaContext()


def test_a_phase_that_ended_without_a_word_has_failed_the_run():
    """A run whose phase was cancelled by somebody else does not count as done."""
    pipeline = Pipeline("p", phase("a"))
    execution = Execution(pipeline, plan_run(pipeline))
    execution.claim()
    execution.end(execution.alone)
    assert execution.failed
    assert execution.stopped
    assert (execution.results, execution.errors) == ({}, {})


def test_a_failure_cancels_what_runs_and_lets_nothing_begin():
    """With ``fail_fast``: the other's scope is cancelled; what stood in line is forgotten."""
    pipeline = Pipeline("p", *[phase(name, parallel=True) for name in "abc"], fail_fast=True)
    execution = Execution(pipeline, plan_run(pipeline))
    assert execution.claim()
    fails, other, late = SagaContext(), SagaContext(), SagaContext()
    assert (execution.first(fails), execution.first(other)) == ((0, True), (1, True))
    execution.note(0, Failed(ValueError("no")))
    assert execution.stopped
    assert execution.next_after(0, fails) == (None, False)
    assert other.is_cancelled
    assert not fails.is_cancelled
    assert execution.first(late) == (None, False)
    assert execution.is_underway
    execution.end(1)
    assert not execution.is_underway


def test_one_lane_at_a_time_is_on_its_way():
    """A chain needs one; of several phases in line each lane that begins sends for the next."""
    pipeline = Pipeline(
        "p",
        phase("a", parallel=True),
        *[phase(name, nothing, "a", parallel=True) for name in "bcd"],
        phase("e", nothing, "b", parallel=True),
    )
    execution = Execution(pipeline, plan_run(pipeline))
    assert execution.claim()
    assert not execution.claim()
    assert execution.first(SCOPE) == (0, False)
    execution.note(0, Completed(None))
    assert execution.next_after(0, SCOPE) == (1, True)
    assert execution.first(SCOPE) == (2, True)
    execution.note(1, Completed(None))
    assert execution.next_after(1, SCOPE) == (3, False)
    assert execution.first(SCOPE) == (4, False)


def test_a_lane_between_two_phases_is_underway(monkeypatch):
    """Whoever asks while one phase has been settled and the next not taken waits for the answer."""
    pipeline = Pipeline("p", phase("a", parallel=True), phase("b", nothing, "a", parallel=True))
    execution = Execution(pipeline, plan_run(pipeline))
    execution.claim()
    execution.first(SCOPE)
    execution.note(0, Completed(None))
    claim, answers = execution._claim, []

    def ask_meanwhile():
        answers.append(pool.submit(lambda: execution.is_underway))
        wait(answers, timeout=0.1)  # long enough for who does not wait
        return claim()

    monkeypatch.setattr(execution, "_claim", ask_meanwhile)
    with ThreadPoolExecutor(1) as pool:
        assert execution.next_after(0, SCOPE) == (1, False)
        assert answers[0].result(60)


PRINTS_ITS_ORDER = """
    import random
    from milo_pipeline import Phase, Pipeline

    draw = random.Random(1)
    names = [f"phase-{draw.random()}" for _ in range(60)]
    phases = [
        Phase(
            name,
            handler=lambda: None,
            depends_on=set(draw.sample(names[:i], min(i, 3))),
            parallel=draw.random() < 0.5,
        )
        for i, name in enumerate(names)
    ]

    def tell(action, state):
        if action.type == "@@PHASE_START":
            print(action.payload["name"])

    Pipeline("p", *phases).run(max_workers=1, on_event=tell)
"""


def test_the_order_does_not_depend_on_the_hash_seed():
    """Other hash seeds, other order of every set, but the same order of phases."""
    orders = {python(PRINTS_ITS_ORDER, PYTHONHASHSEED=seed) for seed in ("0", "1", "4711")}
    assert len(orders) == 1
    assert len(orders.pop().split()) == 60


def test_max_workers_bounds_handlers_and_threads():
    """50 parallel phases on two workers: always two at a time, never a third."""
    lock, both_here = threading.Lock(), threading.Barrier(2, timeout=60)
    now, most, workers = 0, 0, set()

    def work():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both_here.wait()
        workers.update(t.name for t in threading.enumerate() if t.name.startswith("milo-worker"))
        with lock:
            now -= 1
        both_here.wait()

    result, _ = run(*[phase(f"p{i}", work, parallel=True) for i in range(50)], max_workers=2)
    assert result.ok
    assert most == 2
    assert workers == {"milo-worker-1", "milo-worker-2"}


def test_500_parallel_phases_use_no_500_threads():
    """All of them are run, by the few workers a run gets by default."""
    workers = set()

    def work():
        workers.add(threading.current_thread().name)

    result, _ = run(*[phase(f"p{i}", work, parallel=True) for i in range(500)])
    assert result.ok
    assert set(statuses(result.state).values()) == {"completed"}
    assert len(workers) <= 8


@pytest.mark.parametrize("parallel", [False, True])
def test_a_chain_of_2000(parallel):
    """A chain far beyond the recursion limit runs to its end, each result handed to the next."""

    def count(context):
        return sum(context.values()) + 1

    chain = [
        Phase(f"p{i}", count, depends_on=(f"p{i - 1}",) if i else (), parallel=parallel)
        for i in range(2000)
    ]
    result = Pipeline("p", *chain).run(max_workers=2)
    assert result.results["p1999"] == 2000
    assert result.state.progress == 1.0


def test_a_pipeline_without_phases_completes():
    """There is nothing to do, and that is done."""
    result, watch = run()
    assert result.ok
    assert watch.story() == ["PIPELINE_START", "PIPELINE_COMPLETE"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_keeps_forked_phases_from_beginning(workers):
    """Parallel phases that stand in line for a worker do not begin once one has failed."""
    watch, all_busy = Watch(), threading.Barrier(workers, timeout=60)

    def fails():
        all_busy.wait()
        raise ValueError("no")

    def works():
        all_busy.wait()
        watch.wait_for("PHASE_FAILED a no")

    busy = [phase(f"aa{i}", works, parallel=True) for i in range(workers - 1)]
    others = [phase(f"b{i}", nothing, parallel=True) for i in range(20)]
    result, _ = run(
        phase("a", fails, parallel=True), *busy, *others, watch=watch, max_workers=workers
    )
    begun = {name for name, status in statuses(result.state).items() if status != "pending"}
    assert begun == {"a", *(each.name for each in busy)}
    assert result.blocked == {each.name: ("a",) for each in others}
