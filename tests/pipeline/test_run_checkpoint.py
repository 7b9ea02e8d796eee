"""A run with a checkpoint goes on where the one before it ended, however that ended."""

import os
import random
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from run_tools import Calls, nothing, phase, status_of, statuses

from milo_pipeline import Param, Phase, Pipeline
from milo_pipeline.persistence import CheckpointError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture
def calls(tmp_path):
    return Calls(tmp_path)


def counting(calls, name, result=None, fails=()):
    """A handler that notes its calls, and fails at those numbers."""

    def handler(context):
        calls.note(name)
        if calls.all().count(str(name)) in fails:
            raise ValueError(f"{name} failed")
        return result if result is not None else dict(context)

    return handler


def three(calls, **options):
    return Pipeline(
        "p",
        phase("a", counting(calls, "a", (1, 2))),
        phase("b", counting(calls, "b", fails=(1,)), "a"),
        phase("c", counting(calls, "c"), "b"),
        **options,
    )


def test_a_failed_run_goes_on_after_what_is_done(file, calls):
    """With its results, exactly as they were; completed, it starts afresh the next time."""
    assert not three(calls).run(checkpoint=file).ok
    result = three(calls).run(checkpoint=file)
    assert calls.all() == ["a", "b", "b", "c"]
    assert result.results == {"a": (1, 2), "b": {"a": (1, 2)}, "c": {"b": {"a": (1, 2)}}}
    assert statuses(result.state) == dict.fromkeys("abc", "completed")
    assert three(calls).run(checkpoint=file).ok
    assert calls.all() == ["a", "b", "b", "c", "a", "b", "c"]


def test_what_was_done_before_is_told_with_its_source(file, calls):
    """It completes without having started, and counts as progress."""
    told = []
    three(calls).run(checkpoint=file)
    result = three(calls).run(
        checkpoint=file, on_event=lambda action, state: told.append((action, state))
    )
    assert result.ok
    kept = [a.payload for a, _ in told if a.type == "@@PHASE_COMPLETE" and "source" in a.payload]
    assert [(each["name"], each["source"], each["result"]) for each in kept] == [
        ("a", "checkpoint", (1, 2))
    ]
    started = [a.payload["name"] for a, _ in told if a.type == "@@PHASE_START"]
    assert started == ["b", "c"]
    assert status_of(result.state, "a").attempt == 0


def test_a_skipped_phase_stays_skipped(file, calls):
    """Its condition is not asked again."""

    def pipeline():
        return Pipeline(
            "p",
            phase("a", nothing, when=lambda: calls.note("asked")),
            phase("b", counting(calls, "b", fails=(1,)), "a"),
        )

    pipeline().run(checkpoint=file)
    result = pipeline().run(checkpoint=file)
    assert statuses(result.state) == {"a": "skipped", "b": "completed"}
    assert calls.all().count("asked") == 1


def test_a_changed_parameter_runs_its_phases_again(file, calls):
    """And all that waits for them."""

    def scale(factor):
        calls.note(factor)
        return factor

    def pipeline():
        return Pipeline(
            "p",
            Phase("a", scale, params=("factor",)),
            phase("b", counting(calls, "b", fails=(1,)), "a"),
            params=[Param("factor", int)],
        )

    pipeline().run(params={"factor": 1}, checkpoint=file)
    assert pipeline().run(params={"factor": 2}, checkpoint=file).results["b"] == {"a": 2}
    assert calls.all() == ["1", "b", "2", "b"]


def test_a_part_of_a_pipeline_keeps_the_checkpoint(file, calls):
    """Only a whole run is over when it completes."""
    pipeline = Pipeline(
        "p", phase("a", counting(calls, "a", 1)), phase("b", counting(calls, "b"), "a")
    )
    pipeline.run(checkpoint=file, only=["a"])
    assert pipeline.run(checkpoint=file).results["b"] == {"a": 1}
    assert calls.all() == ["a", "b"]


def test_a_result_that_cannot_be_kept_runs_its_phase_again(file, calls, caplog):
    """With a warning that says what to do."""

    def pipeline():
        return Pipeline(
            "p",
            phase("a", counting(calls, "a", object())),
            phase("b", counting(calls, "b", 1, fails=(1,)), "a"),
        )

    pipeline().run(checkpoint=file)
    assert "'a' holds builtins:object, which cannot be kept" in caplog.text
    assert pipeline().run(checkpoint=file).ok
    assert calls.all() == ["a", "b", "a", "b"]


def test_a_foreign_file_is_refused_and_kept(file, calls):
    """Nothing has run."""
    file.write_text("my notes")
    with pytest.raises(CheckpointError, match="checkpoint"):
        three(calls).run(checkpoint=file)
    assert calls.all() == []
    assert file.read_text() == "my notes"


def test_a_parallel_run_is_kept_as_well(file, calls):
    """From all its workers."""

    def pipeline():
        many = [phase(f"p{i}", counting(calls, i, i), parallel=True) for i in range(30)]
        names = [each.name for each in many]
        return Pipeline("p", *many, phase("end", counting(calls, "end", 1, fails=(1,)), *names))

    pipeline().run(checkpoint=file, max_workers=4)
    assert pipeline().run(checkpoint=file, max_workers=4).ok
    assert sorted(calls.all()) == sorted([*map(str, range(30)), "end", "end"])


# Killed

PROGRAM = """
    import os, sys
    from pathlib import Path
    from milo_pipeline import Phase, Pipeline

    folder = Path(sys.argv[1])

    def handler_of(i):
        def handler(context):
            with open(folder / "began", "a") as log:
                log.write(f"{i}\\n")
            return sum(value or 0 for value in context.values()) + i
        return handler

    def told(action, state):
        if action.type == "@@PHASE_COMPLETE":
            with open(folder / "completed", "a") as log:
                log.write(f"{action.payload['name']} {action.payload.get('source', '')}\\n")
            print(action.payload["name"], flush=True)

    phases = [
        Phase(f"p{i}", handler_of(i), depends_on=[f"p{j}" for j in (i // 2, i - 3) if 0 <= j < i],
              parallel=i % 3 != 0)
        for i in range(30)
    ]
    result = Pipeline("p", *phases).run(
        checkpoint=folder / "checkpoint", on_event=told, max_workers=4
    )
    print("results", sum(result.results.values()), flush=True)
"""


def expected_total():
    values = []
    for i in range(30):
        needs = {j for j in (i // 2, i - 3) if 0 <= j < i}
        values.append(sum(values[j] for j in needs) + i)
    return sum(values)


def start(program, folder):
    return subprocess.Popen(
        [sys.executable, str(program), str(folder)], stdout=subprocess.PIPE, text=True
    )


KILLS = int(os.environ.get("MILO_KILLS", "6"))


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_is_resumed(tmp_path, seed):
    """``kill -9`` after some phase: none that was recorded runs again, none is left out."""
    program = tmp_path / "program.py"
    program.write_text(dedent(PROGRAM), encoding="utf-8")
    choice = random.Random(seed)
    recorded = set()
    for stop_after in (choice.randrange(1, 12), choice.randrange(1, 12), None):
        (tmp_path / "began").unlink(missing_ok=True)
        (tmp_path / "completed").unlink(missing_ok=True)
        with start(program, tmp_path) as process:
            printed = 0
            for line in process.stdout:
                printed += line.startswith("p")
                if printed == stop_after:
                    process.send_signal(signal.SIGKILL)
                    break
            rest = process.stdout.read()
        told = [line.split() for line in (tmp_path / "completed").read_text().splitlines()]
        began = (tmp_path / "began").read_text().split() if (tmp_path / "began").exists() else []
        assert not recorded & {f"p{i}" for i in began}
        assert recorded <= {name for name, *source in told if source} or stop_after is not None
        # A phase is told of after it was recorded.
        recorded |= {name for name, *_ in told}
        if stop_after is not None and len(told) == 30:
            recorded.clear()  # quicker than the kill: it was over, and the next begins afresh
        if stop_after is None:
            assert process.returncode == 0
            assert recorded == {f"p{i}" for i in range(30)}
            assert f"results {expected_total()}" in (line + rest)
