"""``milo report``: from the timeline that a run left behind to a page."""

import json

import pytest

from milo_pipeline import Phase, Pipeline
from milo_pipeline.exports import SpanRecorder, write_timeline

BUILD = Pipeline("build <1>", Phase("parse", dict), Phase("größe", dict, depends_on=("parse",)))


@pytest.fixture
def timeline(folder):
    """The timeline of a run, in the current folder."""
    recorder = SpanRecorder()
    result = BUILD.run(on_event=recorder.on_event)
    write_timeline("run.json", BUILD, result.state, recorder.spans())
    return "run.json"


def test_the_page_is_printed(milo, timeline):
    """Without ``--output`` it goes to standard output, and nothing else does."""
    ended = milo("report", timeline)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("<!DOCTYPE html>")
    assert ended.out.endswith("</html>\n")
    assert "<h1>build &lt;1&gt;</h1>" in ended.out


def test_the_page_is_written_to_a_file(milo, timeline, folder):
    """With ``--output`` it is a file, and nothing is printed."""
    assert milo("report", timeline, "--output", "run.html").out == ""
    assert "größe" in (folder / "run.html").read_text(encoding="utf-8")


def test_the_page_is_utf8_whatever_the_output_can_show(milo_process, timeline, folder):
    """What is redirected to a file says it is UTF-8, so it is."""
    ended = milo_process("report", timeline, cwd=folder, env={"PYTHONIOENCODING": "ascii"})
    assert (ended.code, ended.err) == (0, "")
    assert "größe" in ended.out


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("<html>", "is no timeline: it is not JSON"),
        ('{"traceEvents": []}', "is no timeline"),
        (json.dumps({"schema": "milo.timeline/99"}), "the Milo that wrote it"),
    ],
)
def test_a_foreign_file(milo, folder, content, problem):
    """One line on stderr, exit code 2."""
    (folder / "x.json").write_text(content)
    ended = milo("report", "x.json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("milo: error: 'x.json' is ")
    assert problem in ended.err
    assert ended.err.count("\n") == 1


def test_no_such_file(milo, folder):
    """The message names it."""
    ended = milo("report", "gone.json")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot read 'gone.json': No such file" in ended.err


def test_no_folder_to_write_to(milo, timeline):
    """The message names the folder to make."""
    ended = milo("report", timeline, "--output", "no/run.html")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no folder 'no'; make it first" in ended.err
