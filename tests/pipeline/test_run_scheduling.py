"""When phases of a run begin: dataflow, who runs alone, in which order, on how many threads."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_tools import Gate, Watch, nothing, phase, python, run, statuses

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
    """Whichever phase ends next: the ready ones start by order, up to the first that must wait."""
    phases = [Phase(name, nothing, depends_on=n, parallel=p) for name, n, p in graph]
    pipeline = Pipeline("p", *phases)
    order = pipeline.execution_order()
    by_name = {each.name: each for each in phases}
    execution = Execution(pipeline, plan_run(pipeline))
    done, begun, running = set(), set(), set()

    def end(index):
        running.discard(index)
        execution.running.pop(index, None)
        execution.note(index, Completed(None))
        execution.settle(index)
        done.add(execution.phase(index).name)

    while len(done) < len(phases):
        ready = [n for n in order if n not in begun and done.issuperset(by_name[n].depends_on)]
        index = execution.next_ready()
        if ready and (by_name[ready[0]].parallel or not running):
            assert execution.phase(index).name == ready[0]
            begun.add(ready[0])
            running.add(index)
            execution.running[index] = None
            if not by_name[ready[0]].parallel:
                end(index)
        else:
            assert index is None
            end(random.choice(sorted(running)))


def test_a_phase_that_ended_without_a_word_has_failed_the_run():
    """A run whose phase was cancelled by somebody else does not count as done."""
    pipeline = Pipeline("p", phase("a"))
    execution = Execution(pipeline, plan_run(pipeline))
    execution.settle(execution.next_ready())
    assert execution.failed
    assert (execution.results, execution.errors) == ({}, {})


def test_a_forked_phase_begins_or_is_given_up():
    """Whoever asks first has it; one that has begun is still waited for, the other is forgotten."""
    pipeline = Pipeline("p", *[phase(name, parallel=True) for name in "ab"], fail_fast=True)
    execution = Execution(pipeline, plan_run(pipeline))
    execution.running = {0: None, 1: None}
    assert execution.begins(0)
    execution.note(0, Failed(ValueError("no")))
    execution.settle(0)
    assert list(execution.running) == [0]
    assert not execution.begins(1)


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
