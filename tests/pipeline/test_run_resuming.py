"""A run that keeps what an earlier one in the same process has done."""

from pathlib import Path

import pytest
from run_tools import Calls, Gate, beside, nothing, phase, run, status_of, statuses

from milo_pipeline import DefinitionError, PhasePolicy, Pipeline
from milo_pipeline.persistence import Cache


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Calls(tmp_path)


def noting(calls, name):
    """A handler that notes its calls and fails while it is broken; its results are its own."""

    def handler(context):
        calls.note(name)
        if Path(f"{name}.broken").exists():
            raise ValueError(f"{name} failed")
        return [name, dict(context)]

    return handler


def broken(name):
    """Let the handler of that name fail until ``mend``."""
    Path(f"{name}.broken").touch()


def mend(name):
    Path(f"{name}.broken").unlink()


def diamond(calls):
    """a before b and c, these before d."""
    return Pipeline(
        "p",
        phase("a", noting(calls, "a")),
        phase("b", noting(calls, "b"), "a"),
        phase("c", noting(calls, "c"), "a"),
        phase("d", noting(calls, "d"), "b", "c"),
    )


def test_what_has_changed_runs_again_with_all_behind_it(calls):
    """The others keep their results, the very objects, and these reach what runs."""
    pipeline = diamond(calls)
    first = pipeline.run()
    calls.taken()
    second = pipeline.run(resume_from=first, changed=["b"])
    assert calls.all() == ["b", "d"]
    assert second.ok
    assert second.results["a"] is first.results["a"]
    assert second.results["c"] is first.results["c"]
    assert second.results["d"][1]["c"] is first.results["c"]
    assert second.results["d"][1]["b"] is second.results["b"] is not first.results["b"]


def test_without_changes_nothing_runs(calls):
    """Everything completes at once with what it returned before."""
    pipeline = diamond(calls)
    first = pipeline.run()
    calls.taken()
    second = pipeline.run(resume_from=first)
    assert calls.all() == []
    assert second.ok and second.results == first.results


def test_what_is_kept_is_told_with_its_source(calls):
    """It completes without having started."""
    told = []
    pipeline = diamond(calls)
    result = pipeline.run(
        resume_from=pipeline.run(),
        changed=("d",),
        on_event=lambda action, state: told.append(action),
    )
    completed = {a.payload["name"]: a.payload for a in told if a.type == "@@PHASE_COMPLETE"}
    sources = {name: payload.get("source") for name, payload in completed.items()}
    assert sources == {**dict.fromkeys("abc", "previous run"), "d": None}
    assert [a.payload["name"] for a in told if a.type == "@@PHASE_START"] == ["d"]
    assert status_of(result.state, "a").attempt == 0


def test_what_failed_or_was_never_reached_runs(calls):
    """Although nothing has changed; what was done before the failure is kept."""
    pipeline = diamond(calls)
    broken("b")
    first = pipeline.run()
    assert not first.ok and calls.taken() == ["a", "b"]
    mend("b")
    assert pipeline.run(resume_from=first).ok
    assert calls.all() == ["b", "c", "d"]


def test_a_third_run_goes_by_the_second(calls):
    """A result can be kept any number of times."""
    pipeline = diamond(calls)
    first = pipeline.run()
    second = pipeline.run(resume_from=first, changed=["c"])
    calls.taken()
    third = pipeline.run(resume_from=second, changed=["d"])
    assert calls.all() == ["d"]
    assert third.results["c"] is second.results["c"]
    assert third.results["a"] is first.results["a"]


def test_a_phase_that_failed_and_was_passed_over_runs_again(calls):
    """And what waits for it, for its result may be another now."""
    pipeline = Pipeline(
        "p",
        phase("a", noting(calls, "a"), policy=PhasePolicy("skip")),
        phase("b", noting(calls, "b"), "a"),
        phase("c", noting(calls, "c")),
    )
    broken("a")
    first = pipeline.run()
    mend("a")
    calls.taken()
    second = pipeline.run(resume_from=first)
    assert calls.all() == ["a", "b"]
    assert second.results["b"][1]["a"] == ["a", {}]


def test_a_condition_that_did_not_hold_is_not_asked_again(calls):
    """Until something that its phase waits for runs again."""
    pipeline = Pipeline(
        "p",
        phase("a", noting(calls, "a")),
        phase("b", nothing, "a", when=lambda: calls.note("asked")),
        phase("c", noting(calls, "c"), "b"),
    )
    first = pipeline.run()
    calls.taken()
    second = pipeline.run(resume_from=first)
    assert calls.all() == []
    assert statuses(second.state) == {"a": "completed", "b": "skipped", "c": "completed"}
    assert status_of(second.state, "b").error == status_of(first.state, "b").error
    pipeline.run(resume_from=second, changed=["a"])
    assert calls.all() == ["a", "asked", "c"]


def test_a_part_of_a_pipeline_is_resumed_as_a_part(calls):
    """What was left out stays left out, and what waits for it keeps its result."""
    pipeline = diamond(calls)
    first = pipeline.run(skip=["b"])
    assert first.left_out == {"b": "skipped on request"}
    calls.taken()
    second = pipeline.run(resume_from=first, skip=["b"], changed=["c"])
    assert calls.all() == ["c", "d"]
    assert pipeline.run(resume_from=second, skip=["b"]).results["d"] is second.results["d"]


def test_what_was_left_out_and_is_no_more_runs(calls):
    """With all that waits for it."""
    pipeline = diamond(calls)
    first = pipeline.run(skip=["b"])
    calls.taken()
    assert pipeline.run(resume_from=first).ok
    assert calls.all() == ["b", "d"]


def test_what_is_newly_left_out_gives_nothing(calls):
    """Its old result is not kept, and what waits for it runs with ``None``."""
    pipeline = diamond(calls)
    first = pipeline.run()
    calls.taken()
    second = pipeline.run(resume_from=first, skip=["b"])
    assert calls.all() == ["d"]
    assert second.results["d"][1]["b"] is None


def test_another_pipeline_goes_by_names(calls):
    """A phase that the earlier run did not have runs; one that is gone is not missed."""
    first = Pipeline("p", phase("a", noting(calls, "a")), phase("z", nothing)).run()
    calls.taken()
    second = diamond(calls).run(resume_from=first)
    assert calls.all() == ["b", "c", "d"]
    assert second.results["a"] is first.results["a"]


def test_a_cancelled_run_is_resumed(calls):
    """What had been completed is kept; what never began runs."""
    gate, begun, cancel = Gate(), Gate(), Gate()

    def hold():
        begun.set()
        gate.pass_through()

    phases = (
        phase("a", noting(calls, "a")),
        phase("b", hold, "a"),
        phase("c", noting(calls, "c"), "b"),
    )
    with beside(lambda: run(*phases, cancel=cancel)[0]) as running:
        begun.pass_through()
        cancel.set()
        gate.set()
        first = running.result()
    assert not first.ok
    assert Pipeline("p", *phases).run(resume_from=first).ok
    assert calls.all() == ["a", "c"]


def test_the_cache_answers_for_what_runs_again(calls, tmp_path):
    """A phase that is to run and is cached does not."""
    (tmp_path / "page.md").write_text("1")
    cache = Cache(inputs=["page.md"])
    pipeline = Pipeline("p", phase("a", noting(calls, "a"), cache=cache))
    first = pipeline.run()
    second = pipeline.run(resume_from=first, changed=["a"])
    assert calls.all() == ["a"]
    assert second.results == first.results


def test_a_checkpoint_forgets_what_runs_again(calls, tmp_path):
    """It is written, not read: what fails now is no more done, whatever it once was."""
    file = tmp_path / "run.checkpoint"
    pipeline = Pipeline(
        "p", phase("a", noting(calls, "a")), phase("b", noting(calls, "b")), keep_going=True
    )
    broken("b")
    first = pipeline.run(checkpoint=file)
    broken("a")
    assert not pipeline.run(checkpoint=file, resume_from=first, changed=["a"]).ok
    mend("a")
    mend("b")
    calls.taken()
    assert pipeline.run(checkpoint=file).ok
    assert calls.all() == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"changed": ["a"]}, "add resume_from=<the result of that run>"),
        ({"changed": ["x"], "resume_from": ...}, "changed: there is no phase 'x'"),
        ({"changed": "a", "resume_from": ...}, "write ['a']"),
    ],
)
def test_what_cannot_be_meant(calls, options, message):
    """It is refused, with the next move, and nothing runs."""
    pipeline = diamond(calls)
    if "resume_from" in options:
        options = {**options, "resume_from": pipeline.run()}
    calls.taken()
    with pytest.raises(DefinitionError) as refused:
        pipeline.run(**options)
    assert message in str(refused.value)
    assert calls.all() == []
