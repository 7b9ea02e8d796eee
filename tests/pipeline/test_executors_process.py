"""``executor="process"``: work that goes to a process, and what comes back."""

import functools
import math
import os
import sys
import threading

import process_handlers as handlers
import pytest
from run_tools import AT_ONCE, SKIP, Watch, phase, run, statuses

from milo_capture import CompletedRun
from milo_pipeline import (
    Cache,
    DefinitionError,
    ItemFailed,
    Param,
    ProcessDied,
    TransferError,
)
from milo_pipeline.executors import ProcessExecutor
from milo_pipeline.executors._outcomes import Response, result_of
from milo_pipeline.executors._packing import pack, read_request

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

LARGE = 20_000_000


def process(name, handler, *needs, **options):
    return phase(name, handler, *needs, executor="process", **options)


def lines_of(result, name="a"):
    (status,) = (each for each in result.state.phases if each.name == name)
    return [(log.line, log.stream) for log in status.logs]


def defined_here():
    return os.getpid()


def test_a_handler_runs_in_a_process_of_its_own():
    """One for each phase; one of a test's module can be found there, too."""
    result, _ = run(process("a", handlers.process_id), process("b", defined_here))
    result.raise_for_status()
    assert len({os.getpid(), *result.results.values()}) == 3


def test_two_run_at_the_same_time(tmp_path):
    """Each turns in circles until the other one has begun."""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    result, _ = run(
        process("a", functools.partial(handlers.meet, a, b), parallel=True),
        process("b", functools.partial(handlers.meet, b, a), parallel=True),
        max_workers=2,
    )
    assert len(set(result.results.values())) == 2


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (functools.partial(handlers.same, "given"), "given"),
        (functools.partial(functools.partial(handlers.same), value=3), 3),
        (handlers.Counter(1).method, 2),
        (handlers.Counter(1), 3),
        (handlers.in_a_loop, True),
        (dict, {}),
        (functools.partial(math.factorial, 5), 120),
        ("text".upper, "TEXT"),
        (functools.partial(str.upper, "text"), "TEXT"),
    ],
)
def test_whatever_can_be_pickled_is_called(handler, expected):
    """Partials, methods, objects, coroutine functions, classes."""
    result, _ = run(process("a", handler))
    assert result.results == {"a": expected}


def test_context_and_params_go_along():
    """As they are given to a handler on a thread."""
    result, _ = run(
        phase("a", handlers.seven),
        process("b", handlers.add, "a", params=("more",)),
        params=[Param("more", int)],
        given={"params": {"more": 3}},
    )
    assert result.results["b"] == 10


def test_large_work_and_a_large_result():
    """Larger than any pipe."""
    result, _ = run(
        phase("a", functools.partial(bytes, LARGE)), process("b", handlers.context_of, "a")
    )
    assert result.results["b"] == {"a": bytes(LARGE)}


def test_each_item_has_a_process():
    """With ``map_over``; resources and conditions are looked at where the pipeline runs."""
    asked = []
    result, _ = run(
        phase("a", functools.partial(list, range(3))),
        process(
            "b",
            handlers.double,
            "a",
            map_over="a",
            resources={"cpu": 1},
            when=lambda context: asked.append(os.getpid()) or True,
        ),
        resources={"cpu": 1},
    )
    assert [value for value, _ in result.results["b"]] == [0, 2, 4]
    assert len({pid for _, pid in result.results["b"]}) == 3
    assert asked == [os.getpid()]


def test_checkpoint_and_cache_keep_its_result(tmp_path):
    """It does not run again."""
    phases = process("a", handlers.process_id), process("b", handlers.process_id, cache=Cache())
    kept = {"checkpoint": tmp_path / "checkpoint", "cache": tmp_path / "cache"}
    first, _ = run(*phases, given={"cache": kept["cache"]})
    again, _ = run(*phases, given={"cache": kept["cache"]})
    assert first.results["a"] != again.results["a"]
    assert first.results["b"] == again.results["b"]

    stops = phase("c", handlers.raise_value_error, "a", "b")
    stopped, _ = run(*phases, stops, given=kept)
    resumed, _ = run(*phases, stops, given=kept)
    assert stopped.results == resumed.results


def test_a_process_inside_a_process():
    """A handler may run pipelines itself."""
    result, _ = run(process("a", handlers.run_a_pipeline))
    outer, inner = result.results["a"]
    assert len({os.getpid(), outer, inner}) == 3


def test_what_a_process_finds():
    """Arguments of the program, path and folder are as they are here; there is no input."""
    result, _ = run(process("a", handlers.surroundings))
    assert result.results["a"] == (sys.argv, sys.path, os.getcwd(), "")


def test_its_output_is_the_phases():
    """Whoever writes it in its process, and programs that it starts; nothing is lost."""
    result, _ = run(process("a", handlers.print_everywhere), capture_output=True)
    assert result.ok
    assert sorted(lines_of(result)) == [
        ("descriptor", "stdout"),
        ("print", "stdout"),
        ("program", "stdout"),
        ("run", "stdout"),
        ("stderr", "stderr"),
        ("€ \\udc80", "stdout"),
    ]


def test_its_lines_are_told_while_it_runs(tmp_path):
    """It goes on only when its first line has been told."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    watch = Watch()

    def answer():
        watch.wait_for("PHASE_LOG a up")
        fifo.write_text("go on")

    thread = threading.Thread(target=answer)
    thread.start()
    handler = functools.partial(handlers.print_and_wait, str(fifo))
    result, _ = run(process("a", handler), watch=watch, capture_output=True)
    thread.join()
    assert result.results == {"a": "go on"}


def test_without_capture_it_prints_where_the_program_prints(capsys):
    """To ``sys.stdout`` and ``sys.stderr``."""
    run(process("a", handlers.print_everywhere))
    printed = capsys.readouterr()
    assert "descriptor\n" in printed.out
    assert printed.err == "stderr\n"


def test_an_error_comes_back_with_its_traceback():
    """Type and message are its own; where it came from is a note, without frames of ours."""
    result, _ = run(process("a", handlers.raise_with_cause))
    error = result.errors["a"]
    assert type(error) is LookupError
    assert str(error) == result.state.error == "nothing found"
    (note,) = error.__notes__
    first, second, third, *_ = note.splitlines()
    assert (first, second) == (
        "In the process of phase 'a':",
        "Traceback (most recent call last):",
    )
    assert "process_handlers.py" in third
    assert "ValueError: no such page" in note
    assert "in raise_with_cause" in note
    assert "executors" not in note


def test_policies_hold():
    """A failed attempt is repeated, a phase skipped, an item named."""
    file = phase("list", functools.partial(list, ["x"]))
    _, watch = run(
        file,
        process("a", handlers.raise_value_error, policy=AT_ONCE),
        keep_going=True,
    )
    assert watch.story_of("a")[-2:] == ["PHASE_START a 3", "PHASE_FAILED a no such page"]
    skipped, _ = run(process("a", handlers.raise_value_error, policy=SKIP))
    assert statuses(skipped.state) == {"a": "skipped"}
    mapped, _ = run(file, process("b", handlers.raise_locked_item, "list", map_over="list"))
    assert isinstance(mapped.errors["b"], ItemFailed)


def test_sys_exit_fails_the_phase_at_once():
    """As on a thread: no retry, and the program goes on."""
    handler = functools.partial(handlers.leave, 3)
    result, watch = run(process("a", handler, policy=AT_ONCE))
    assert watch.story_of("a") == ["PHASE_START a 1", "PHASE_FAILED a SystemExit: 3"]
    assert result.errors["a"].code == 3


@pytest.mark.parametrize(
    ("handler", "said", "why"),
    [
        (handlers.raise_odd, "Odd: 3 at home", "unpickling it raised TypeError: "),
        (handlers.raise_locked, "Locked: it is locked", "pickling it raised TypeError: "),
    ],
)
def test_an_error_that_cannot_come_back_is_told_of(handler, said, why):
    """With its type, its words, its traceback, and why."""
    result, _ = run(process("a", handler))
    error = result.errors["a"]
    assert isinstance(error, TransferError)
    assert str(error).startswith(
        f"phase 'a' raised process_handlers.{said}; that error cannot leave its process, "
        f"because {why}"
    )
    assert f"in {handler.__name__}" in error.__notes__[0]


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (handlers.unsendable, "phase 'a' returned a list that cannot be pickled: TypeError: "),
        (handlers.brittle, "what phase 'a' returned cannot be unpickled: ValueError: "),
    ],
)
def test_a_result_that_cannot_come_back_is_told_of(handler, message):
    """With its type and the reason."""
    result, _ = run(process("a", handler))
    assert isinstance(result.errors["a"], TransferError)
    assert str(result.errors["a"]).startswith(message)


def test_what_cannot_go_there_is_named():
    """The result of a dependency, an argument, or a part of the handler."""
    lock = threading.Lock()
    result, _ = run(
        phase("lock", lambda: lock),
        phase("list", lambda: [lock]),
        process("a", handlers.context_of, "lock", parallel=True),
        process("b", handlers.double, "list", map_over="list", parallel=True),
        process("c", functools.partial(handlers.same, lock), parallel=True),
        keep_going=True,
    )
    told = {name: str(error) for name, error in result.errors.items() if name != "b"}
    told["b"] = str(result.errors["b"].__cause__)
    assert all("cannot be pickled for the process of phase" in each for each in told.values())
    assert told["a"].startswith("the result of 'lock', a lock, ")
    assert told["b"].startswith("the argument 'item', a lock, ")
    assert told["c"].startswith("the handler functools.partial(<function same")


def swapped():
    return "first"


not_found = swapped


def gone():
    return None


forgotten = gone
del gone


def swapped():
    return "second"


def closure():
    def inside():
        return None

    return inside


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (functools.cache(lambda: None), "a lambda has no name to import it by"),
        (lambda: None, "a lambda has no name to import it by"),
        (functools.partial(lambda: None), "a lambda has no name to import it by"),
        (closure(), "closure.<locals>.inside is defined inside a function"),
        (forgotten, f"{__name__} has no gone"),
        (not_found, f"{__name__}.swapped is something else by now"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_refused_before_the_run(handler, why):
    """With the reason and what to do."""
    with pytest.raises(DefinitionError) as refused:
        run(phase("first", lambda: pytest.fail("it ran")), process("a", handler))
    assert f": {why}; make it a function at the top level" in str(refused.value)


def test_a_platform_without_process_groups_is_refused(monkeypatch):
    """Before the run, as it could not end what it starts."""
    monkeypatch.delattr(os, "killpg")
    with pytest.raises(DefinitionError, match="executor 'process' needs process groups"):
        run(process("a", handlers.seven))


@pytest.mark.parametrize("given", [-1, None, "5", float("inf"), True])
def test_seconds_to_the_kill_are_seconds(given):
    """Checked where they are written; equal ones make equal executors."""
    with pytest.raises(DefinitionError, match="kill_after must be a number of seconds from 0"):
        ProcessExecutor(kill_after=given)
    assert ProcessExecutor(kill_after=1) == ProcessExecutor(kill_after=1.0)


def test_an_object_of_a_local_class_is_refused():
    """Its method, and itself."""

    class Inside:
        def method(self):
            return None

        def __call__(self):
            return None

    for handler in (Inside().method, Inside()):
        with pytest.raises(DefinitionError, match="Inside is defined inside a function"):
            run(process("a", handler))


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (40, "signal 40")],
)
def test_a_process_that_dies_is_an_error_that_names_the_signal(number, name):
    """Which its phase's policy may skip."""
    handler = functools.partial(handlers.die, number)
    result, _ = run(process("a", handler, policy=SKIP))
    error = result.errors["a"]
    assert isinstance(error, ProcessDied)
    assert (error.phase, error.returncode) == ("a", -number)
    assert str(error) == (
        f"the process of phase 'a' was ended by {name} before its handler returned"
    )
    assert statuses(result.state) == {"a": "skipped"}


def test_a_process_that_dies_is_started_again(tmp_path):
    """With a policy of retries."""
    handler = functools.partial(handlers.fail_once, str(tmp_path / "called"))
    result, watch = run(process("a", handler, policy=AT_ONCE))
    assert result.results == {"a": "second"}
    assert "PHASE_START a 2" in watch.story_of("a")


def test_a_request_that_is_cut_off_is_not_begun():
    """Whoever sent it has been killed."""
    reader, writer = os.pipe()
    os.write(writer, pack(process("a", handlers.seven), {})[:-1])
    os.close(writer)
    with pytest.raises(EOFError, match="the pipeline that started this process has ended"):
        read_request(reader)
    os.close(reader)


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_process_that_dies_while_it_responds(length):
    """A part of a result is none."""
    reader, writer = os.pipe()
    Response.of("x" * 100).write(writer)
    part = os.read(reader, length)
    os.close(reader)
    os.close(writer)
    done = CompletedRun((), -9, [], "", "", 0.0, part)
    with pytest.raises(ProcessDied, match="was ended by SIGKILL"):
        result_of(process("a", handlers.seven), done)


def test_a_process_that_leaves_is_an_error_that_names_the_code():
    """``os._exit`` has no result."""
    result, _ = run(process("a", handlers.leave_at_once))
    assert str(result.errors["a"]) == (
        "the process of phase 'a' ended with exit code 3 before its handler returned"
    )


def test_a_result_counts_although_the_process_ends_badly(caplog):
    """The exit code is logged."""
    result, _ = run(process("a", handlers.break_the_end))
    assert result.results == {"a": "returned"}
    (record,) = caplog.records
    assert record.message == (
        "the process of phase 'a' ended with exit code 4 after its handler had ended"
    )
