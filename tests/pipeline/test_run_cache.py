"""A phase with ``cache=`` does not run while all that it is made from is the same."""

import sys
import time
from pathlib import Path, PurePosixPath

import pytest
from run_tools import Calls, status_of, statuses

from milo_pipeline import Cache, DefinitionError, Param, Phase, Pipeline
from milo_pipeline.persistence import CacheError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one")
    return tmp_path


CALLS = Calls(Path())
"""In the current folder, which is each test's own."""


def read(factor):
    CALLS.note("read")
    with open("in.txt") as file:
        return file.read() * factor


def write(context):
    CALLS.note("write")
    with open("out.txt", "w") as file:
        file.write(context["read"])
    return len(context["read"])


def build(**options):
    """One run; which handlers it called, and its results."""
    CALLS.taken()
    pipeline = Pipeline(
        "p",
        Phase("read", read, params=("factor",), cache=Cache(inputs=["in.txt"])),
        Phase("write", write, depends_on=["read"], cache=Cache(outputs=["out.txt"])),
        params=[Param("factor", int, default=2)],
    )
    result = pipeline.run(**options)
    assert result.ok, result.summary()
    return CALLS.taken(), dict(result.results)


def test_a_second_run_runs_nothing(folder):
    """And has the same results, in the default folder."""
    assert build() == (["read", "write"], {"read": "oneone", "write": 6})
    assert build() == ([], {"read": "oneone", "write": 6})
    assert (folder / ".milo" / "cache").is_dir()


def test_a_cached_phase_is_told_with_its_source(folder):
    """It completes without having started."""
    build()
    told = []
    pipeline = Pipeline(
        "p",
        Phase("read", read, params=("factor",), cache=Cache(["in.txt"])),
        params=[Param("factor", int, default=2)],
    )
    result = pipeline.run(on_event=lambda action, state: told.append(action))
    assert statuses(result.state) == {"read": "completed"}
    assert status_of(result.state, "read").attempt == 0
    assert [action.payload["source"] for action in told if action.type == "@@PHASE_COMPLETE"] == [
        "cache"
    ]


def talk():
    print("first")
    print("second")
    print("a warning", file=sys.stderr)


def said(phase, **options):
    """The lines that a run of the phase alone shows, with their streams, and its source."""
    result = Pipeline("p", phase, capture_output=True).run(**options)
    status = status_of(result.state, phase.name)
    return [(log.line, log.stream) for log in status.logs], status.source


LINES = [("first", "stdout"), ("second", "stdout"), ("a warning", "stderr")]


def test_what_a_cached_phase_said_is_shown_again(folder):
    """The same lines with their streams, at the times at which they are shown."""
    phase = Phase("talk", talk, cache=Cache())
    assert said(phase) == (LINES, "")
    assert said(phase) == (LINES, "cache")
    assert said(phase, force=True) == (LINES, "")
    before = time.monotonic()
    result = Pipeline("p", phase, capture_output=True).run()
    assert all(log.timestamp >= before for log in result.state.phases[0].logs)


def test_the_last_lines_are_kept_with_the_result(folder):
    """As many as the phase keeps when it runs; none where output is not captured."""
    short = Phase("talk", talk, cache=Cache(), max_logs=2)
    assert said(short) == (LINES[1:], "")
    assert said(short) == (LINES[1:], "cache")
    assert Pipeline("p", short).run().state.phases[0].logs == ()


def test_of_a_phase_that_ran_again_only_its_own_lines_are_kept(folder):
    """Not those of the entry that was there before."""
    loud = Phase("loud", lambda: print(Path("in.txt").read_text()), cache=Cache(["in.txt"]))
    assert said(loud) == ([("one", "stdout")], "")
    (folder / "in.txt").write_text("two")
    assert said(loud) == ([("two", "stdout")], "")
    assert said(loud) == ([("two", "stdout")], "cache")


def test_a_changed_input_runs_its_phase(folder):
    """What depends on it runs only if the result is another."""
    build()
    (folder / "in.txt").write_text("two")
    assert build() == (["read", "write"], {"read": "twotwo", "write": 6})
    (folder / "in.txt").write_text("one")
    assert build()[0] == ["write"]  # out.txt is that of "two"


def test_a_changed_parameter_runs_its_phase(folder):
    """Only one that uses it."""
    build()
    assert build(params={"factor": 1})[0] == ["read", "write"]
    assert build(params={"factor": 2})[0] == ["write"]


def test_a_missing_output_runs_its_phase(folder):
    """It is made again."""
    build()
    (folder / "out.txt").unlink()
    assert build()[0] == ["write"]
    assert (folder / "out.txt").exists()


def test_force_runs_everything_and_caches_it_anew(folder):
    """As after a change that no fingerprint sees."""
    build()
    assert build(force=True)[0] == ["read", "write"]
    assert build()[0] == []


def test_a_folder_of_ones_own_or_none(folder):
    """``cache=False`` neither reads nor writes."""
    build(cache=folder / "mine")
    assert build(cache=False)[0] == ["read", "write"]
    assert build(cache=folder / "mine")[0] == []
    assert not (folder / ".milo").exists()


def test_a_missing_input_fails_the_phase(folder):
    """By name; the handler is not called."""
    (folder / "in.txt").unlink()
    CALLS.taken()
    pipeline = Pipeline("p", Phase("a", lambda: CALLS.note(1), cache=Cache(["in.txt"])))
    result = pipeline.run()
    assert statuses(result.state) == {"a": "failed"}
    assert "in.txt" in str(result.errors["a"])
    assert CALLS.all() == []


def test_a_foreign_folder_is_refused_before_anything_runs(folder):
    """And left as it was."""
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(CacheError, match="mine"):
        build(cache=folder / "mine")
    assert CALLS.all() == []
    assert (folder / "mine" / "notes.txt").read_text() == "keep me"


def entries(folder):
    return sorted((folder / ".milo" / "cache").glob("*.milo.json"))


def test_a_damaged_entry_fails_its_phase(folder):
    """Its handler is not called, the file is left as it is, and the error names it."""
    build()
    for path in entries(folder):
        path.write_bytes(b"damaged")
    CALLS.taken()
    result = Pipeline(
        "p",
        Phase("read", read, cache=Cache(["in.txt"]), params=("factor",)),
        params=[Param("factor", int, default=2)],
    ).run()
    assert statuses(result.state) == {"read": "failed"}
    assert CALLS.all() == []
    assert isinstance(result.errors["read"], CacheError)
    assert any(
        str(path.relative_to(folder)) in str(result.errors["read"]) for path in entries(folder)
    )
    assert {path.read_bytes() for path in entries(folder)} == {b"damaged"}
    assert build(force=True)[0] == ["read", "write"]
    assert build()[0] == []


def in_place_of_an_entry(folder):
    """A folder is where the one entry of phase ``a`` belongs."""
    Pipeline("p", Phase("a", one, cache=Cache())).run()
    (path,) = entries(folder)
    path.unlink()
    path.mkdir()


def one():
    CALLS.note("one")
    return 1


def test_an_entry_that_cannot_be_read_fails_its_phase(folder):
    """As a damaged one does."""
    in_place_of_an_entry(folder)
    result = Pipeline("p", Phase("a", one, cache=Cache())).run()
    assert "cannot be read: Is a directory" in str(result.errors["a"])


def test_a_result_that_cannot_be_kept_is_a_warning(folder, caplog):
    """The phase has done its work, so it completes, with no entry or no folder to be had."""
    in_place_of_an_entry(folder)
    forced = Pipeline("p", Phase("a", one, cache=Cache())).run(force=True)
    assert statuses(forced.state) == {"a": "completed"}
    assert "the result of phase 'a' is not cached: the cache entry" in caplog.text
    caplog.clear()
    late = Phase("a", lambda: (folder / "mine").write_text("in the way"), cache=Cache())
    result = Pipeline("p", late).run(cache=folder / "mine" / "cache")
    assert statuses(result.state) == {"a": "completed"}
    assert "the result of phase 'a' is not cached: the cache folder" in caplog.text


def test_a_file_in_place_of_the_folder_is_refused_before_anything_runs(folder):
    """It is named, and left as it is."""
    (folder / "mine").write_text("keep me")
    for place in (folder / "mine", folder / "mine" / "below"):
        with pytest.raises(CacheError, match=r"mine.*cannot be used: Not a directory"):
            build(cache=place)
    assert CALLS.all() == []
    assert (folder / "mine").read_text() == "keep me"


def test_a_result_that_cannot_be_written_down_is_not_cached(folder, caplog):
    """The run goes on, and the log says so."""
    pipeline = Pipeline("p", Phase("a", object, cache=Cache()))
    assert pipeline.run().ok
    assert "the result of phase 'a' is not cached: it holds builtins:object" in caplog.text


def paths():
    CALLS.note("paths")
    return {"made": [Path("out.txt"), PurePosixPath("/srv")]}


def test_a_result_that_holds_paths_is_cached(folder):
    """With the kinds of the paths, and what depends on it has a key."""

    def run():
        after = Phase("after", lambda context: None, depends_on=["paths"], cache=Cache())
        return Pipeline("p", Phase("paths", paths, cache=Cache()), after).run()

    CALLS.taken()
    first, second = run(), run()
    assert CALLS.taken() == ["paths"]
    assert second.results["paths"] == first.results["paths"]
    assert [type(path) for path in second.results["paths"]["made"]] == [type(Path()), PurePosixPath]
    assert {phase.source for phase in second.state.phases} == {"cache"}


def test_a_dependency_that_cannot_be_told_apart_is_no_key(folder, caplog):
    """What depends on it runs every time."""
    pipeline = Pipeline(
        "p",
        Phase("a", object),
        Phase("b", lambda context: CALLS.note("b"), depends_on=["a"], cache=Cache()),
    )
    CALLS.taken()
    pipeline.run()
    pipeline.run()
    assert CALLS.all() == ["b", "b"]
    assert "phase 'b' is not cached" in caplog.text


def test_a_cache_must_be_declared_as_one():
    """Not by True."""
    with pytest.raises(DefinitionError, match="cache must be a Cache, not True"):
        Phase("a", object, cache=True)
