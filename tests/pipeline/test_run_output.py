"""What handlers print: live, in order, each phase's own, and without holding anything up."""

import asyncio
import io
import logging
import sys
import threading

import pytest
from run_tools import (
    HANG,
    SKIP,
    Gate,
    Watch,
    nothing,
    own_store,
    phase,
    python,
    raising,
    run,
    status_of,
    statuses,
)

from milo_core import Action, Store
from milo_pipeline import PhasePolicy, Pipeline

either_way = pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])


def captured(*phases, **options):
    return run(*phases, capture_output=True, **options)


def lines_of(state, name):
    return [log.line for log in status_of(state, name).logs]


@either_way
def test_lines_are_told_while_the_handler_runs(parallel):
    """The handler itself waits until its line stands in the state, and only then goes on."""
    watch = Watch()

    def works():
        print("begun")
        watch.wait_for_state(lambda state: "begun" in lines_of(state, "a"))
        print("ended")

    result, _ = captured(phase("a", works, parallel=parallel), watch=watch)
    assert result.ok
    assert lines_of(result.state, "a") == ["begun", "ended"]


@either_way
def test_async_lines_are_told_while_the_handler_runs(parallel):
    """As for a plain handler, and the loop is not held up by it."""
    watch = Watch()

    async def works():
        print("begun")
        await asyncio.to_thread(watch.wait_for, "PHASE_LOG a begun")
        print("ended")

    result, _ = captured(phase("a", works, parallel=parallel), watch=watch)
    assert result.ok
    assert lines_of(result.state, "a") == ["begun", "ended"]


@pytest.mark.parametrize("kind", ["plain", "async"])
@either_way
def test_lines_stand_before_what_became_of_the_attempt(parallel, kind):
    """Every line of an attempt comes between its start and its end, the unfinished one too."""
    attempts = []

    def works():
        attempts.append(1)
        print("try", len(attempts))
        print("unfinished", end="")
        if len(attempts) < 3:
            raise ValueError("no")

    async def works_async():
        await asyncio.sleep(0)
        works()

    policy = PhasePolicy("retry", max_retries=2, retry_delay=0)
    handler = works if kind == "plain" else works_async
    _, watch = captured(phase("a", handler, parallel=parallel, policy=policy))
    assert watch.story_of("a") == [
        *("PHASE_START a 1", "PHASE_LOG a try 1", "PHASE_LOG a unfinished", "PHASE_RETRY a 1 no"),
        *("PHASE_START a 2", "PHASE_LOG a try 2", "PHASE_LOG a unfinished", "PHASE_RETRY a 2 no"),
        *("PHASE_START a 3", "PHASE_LOG a try 3", "PHASE_LOG a unfinished", "PHASE_COMPLETE a"),
    ]


@pytest.mark.parametrize(("policy", "end"), [(SKIP, "SKIPPED"), (PhasePolicy(), "FAILED")])
@either_way
def test_lines_stand_before_a_failure(parallel, policy, end):
    """What a handler said last is there when its failure is told, and in the state."""

    def works():
        print("last words", file=sys.stderr)
        raise ValueError("no")

    result, watch = captured(phase("a", works, parallel=parallel, policy=policy))
    assert watch.story_of("a") == ["PHASE_START a 1", "PHASE_LOG a last words", f"PHASE_{end} a no"]
    (log,) = status_of(result.state, "a").logs
    assert (log.line, log.stream) == ("last words", "stderr")


def test_each_phase_keeps_its_own():
    """Parallel phases that print at the same time do not find each other's lines."""
    together = threading.Barrier(4, timeout=HANG)

    def works(name):
        together.wait()
        for number in range(100):
            print(name, number)
            print("part,", end="")
            print("rest", file=None)

    phases = [phase(n, lambda n=n: works(n), parallel=True, max_logs=500) for n in "abcd"]
    result, _ = captured(*phases, max_workers=4)
    for name in "abcd":
        expected = [line for i in range(100) for line in (f"{name} {i}", "part,rest")]
        assert lines_of(result.state, name) == expected


def test_async_phases_keep_their_own():
    """Also when they take turns on the one event loop."""

    async def works(name):
        for number in range(50):
            print(name, number)
            await asyncio.sleep(0)

    result, _ = captured(*[phase(n, lambda n=n: works(n), parallel=True) for n in "abcd"])
    for name in "abcd":
        assert lines_of(result.state, name) == [f"{name} {number}" for number in range(50)]


@pytest.mark.parametrize(("most", "kept"), [(3, ["7", "8", "9"]), (0, []), (10, [*"0123456789"])])
def test_the_last_lines_are_kept(most, kept):
    """Every line is told; the state keeps ``max_logs``."""

    def works():
        for number in range(10):
            print(number)

    result, watch = captured(phase("a", works, max_logs=most))
    assert lines_of(result.state, "a") == kept
    assert len([text for text in watch.story() if "PHASE_LOG" in text]) == 10


def test_a_line_is_what_was_printed():
    """Blank lines, control characters and pieces are kept; times do not go back."""

    def works():
        print()
        print("one,", end=" ")
        print("two\nthree\r")
        sys.stdout.write("\x1b[1mbold\x1b[0m\n")
        print("four", file=sys.stderr)

    result, watch = captured(phase("a", works))
    logs = status_of(result.state, "a").logs
    assert [log.line for log in logs] == ["", "one, two", "three", "\x1b[1mbold\x1b[0m", "four"]
    assert [log.stream for log in logs] == ["stdout"] * 4 + ["stderr"]
    begin, end = (watch.events[i][0].payload["at"] for i in (1, -2))
    times = [begin, *[log.timestamp for log in logs], end]
    assert times == sorted(times)


def test_threads_that_a_handler_starts():
    """Their lines belong to the phase, until it has ended; what comes later passes through."""
    real, ended, outlives = io.StringIO(), Gate(), []

    def late():
        print("in time")
        in_time.set()
        ended.pass_through()
        print("too late")

    def works():
        threads = [threading.Thread(target=print, args=(f"thread {i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
        outlives.append(threading.Thread(target=late))
        outlives[0].start()
        in_time.pass_through()

    in_time = Gate()
    shown, sys.stdout = sys.stdout, real
    try:
        result, watch = captured(phase("a", works))
        ended.set()
        outlives[0].join()
    finally:
        sys.stdout = shown
    assert lines_of(result.state, "a") == ["thread 0", "thread 1", "thread 2", "in time"]
    assert "PHASE_LOG a too late" not in watch.story()
    assert real.getvalue() == "too late\n"


@pytest.fixture
def logger():
    """A logger of the test's own, without handlers, that nobody hears afterwards."""
    logger = logging.getLogger("of the test")
    logger.propagate = False
    yield logger
    logger.handlers.clear()


def test_logging_in_handlers(logger):
    """A log handler made in a phase goes on to serve whoever logs; each gets its own lines."""

    def first():
        logger.addHandler(logging.StreamHandler())
        logger.warning("from a")

    result, _ = captured(
        phase("a", first), phase("b", lambda: logger.warning("from b"), "a", parallel=True)
    )
    assert lines_of(result.state, "a") == ["from a"]
    assert lines_of(result.state, "b") == ["from b"]
    assert status_of(result.state, "b").logs[0].stream == "stderr"


def test_5000_lines_through_one_worker():
    """More than any buffer holds, with a listener that is slow to listen: nothing is lost."""

    def works():
        for number in range(5000):
            print("line", number)

    result, watch = captured(phase("a", works, max_logs=10_000), max_workers=1)
    assert lines_of(result.state, "a") == [f"line {number}" for number in range(5000)]
    assert len(watch.events) == 5000 + 4


def test_5000_lines_from_a_coroutine():
    """A coroutine that prints more than any buffer holds gets to its end, too."""

    async def works():
        for number in range(5000):
            print("line", number)

    result, _ = captured(phase("a", works, max_logs=10_000), max_workers=1)
    assert len(lines_of(result.state, "a")) == 5000


def test_a_callback_that_prints(capsys):
    """What ``on_event`` prints is shown, is no phase's output, and does not come back to it."""

    def look(action, state):
        if action.type == "@@PHASE_LOG":
            print("told", action.payload["line"])
            print("told", file=sys.stderr)

    result, _ = captured(phase("a", lambda: print("line")), watch=Watch(look))
    assert lines_of(result.state, "a") == ["line"]
    assert capsys.readouterr() == ("told line\n", "told\n")


def test_a_listener_that_prints_inside_a_handler(capsys):
    """A handler that dispatches has what its listeners print among its own output, once."""

    def works():
        store.dispatch(Action("OTHER"))

    def listener():
        if told[-1].type == "OTHER" and threading.current_thread() is workers[0]:
            print("heard of it")

    workers = []
    pipeline = Pipeline(
        "p",
        phase("a", lambda: workers.append(threading.current_thread())),
        phase("b", works, "a"),
        capture_output=True,
    )
    with own_store(pipeline, max_workers=1) as (store, told):
        store.subscribe(listener)
        store.run_saga(pipeline.build_saga()()).result(HANG)
        assert lines_of(store.state, "b") == ["heard of it"]
    assert capsys.readouterr().out == ""


def test_a_reducer_that_prints(capsys):
    """A reducer around the pipeline's may print on every action; that is shown, and no log."""
    pipeline = Pipeline("p", phase("a", lambda: print("line")), capture_output=True)
    reduce = pipeline.build_reducer()

    def talkative(state, action):
        print("reducing", action.type)
        return reduce(state, action)

    with Store(talkative, None) as store:
        assert store.run_saga(pipeline.build_saga()()).result(HANG) is True
        assert lines_of(store.state, "a") == ["line"]
    assert "reducing @@PHASE_LOG\n" in capsys.readouterr().out


def test_without_capture_output_is_shown(capsys):
    """Nothing is told, nothing kept."""
    result, watch = run(phase("a", lambda: print("line")))
    assert capsys.readouterr().out == "line\n"
    assert lines_of(result.state, "a") == []
    assert len(watch.events) == 4


def test_the_streams_are_put_back():
    """Whatever became of the handlers."""
    before = sys.stdout, sys.stderr, threading.Thread.start
    captured(phase("a", lambda: print("x")), phase("b", raising(SystemExit()), parallel=True))
    assert (sys.stdout, sys.stderr, threading.Thread.start) == before


def test_output_of_a_cancelled_run():
    """Lines printed before and after the cancellation, until the handler ends, are kept."""
    cancel = threading.Event()

    def works():
        print("before")
        cancel.set()
        print("after")

    result, watch = captured(phase("a", works, parallel=True), cancel=cancel)
    assert lines_of(result.state, "a") == ["before", "after"]
    assert statuses(result.state) == {"a": "failed"}
    assert watch.story_of("a")[-1] == "PHASE_FAILED a cancelled"


def test_output_of_a_cancelled_coroutine():
    """What it prints while it cleans up is still its phase's."""
    cancel = threading.Event()

    async def works():
        print("before")
        try:
            cancel.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            print("cleaned up")

    result, watch = captured(phase("a", works), phase("b", nothing, "a"), cancel=cancel)
    assert lines_of(result.state, "a") == ["before", "cleaned up"]
    assert watch.story_of("a")[-1] == "PHASE_FAILED a cancelled"


PRINTS_EVERYWHERE = """
    import asyncio, os, subprocess, sys
    from milo_pipeline import Phase, Pipeline

    def plain():
        os.write(1, b"written\\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        print("printed")

    async def of_a_loop():
        os.write(1, b"written\\n")
        await asyncio.sleep(0)
        print("printed")

    for handler in (plain, of_a_loop):
        phases = Phase("a", handler, capture_fds=True), Phase("b", handler, depends_on=("a",))
        result = Pipeline("p", *phases, capture_output=True).run()
        result.raise_for_status()
        for phase in result.state.phases:
            print(phase.name, sorted(log.line for log in phase.logs), flush=True)
"""


def test_file_descriptors_of_a_phase_that_runs_alone():
    """With ``capture_fds`` also what is written to them is the phase's, and that of no other."""
    assert python(PRINTS_EVERYWHERE).splitlines() == [
        *("written", "child"),
        "a ['child', 'printed', 'written']",
        "b ['printed']",
        "written",
        "a ['printed', 'written']",
        "b ['printed']",
    ]
