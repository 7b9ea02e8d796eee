"""A run as a document, and the document read back."""

import json
from copy import deepcopy

import pytest
from export_runs import (
    FAILED,
    ITEMS_FAILED,
    ODD_NAMES,
    PAGES,
    SITE,
    attempt,
    of,
    told,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_pipeline import DefinitionError, Phase, Pipeline, actions, pipeline_to_timeline
from milo_pipeline.exports import (
    SCHEMA,
    TimelineError,
    critical_path,
    html_report,
    read_timeline,
    timeline_json,
    write_timeline,
)

TRACEBACKS = {"write": "Traceback (most recent call last):\nOSError: disk <full>"}


def document():
    return timeline_json(SITE, *told(SITE, *FAILED), TRACEBACKS)


@pytest.fixture
def written(tmp_path):
    """Write something as a timeline: the path of the file."""

    def write(content):
        path = tmp_path / "run.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_it_begins_with_what_pipeline_to_timeline_tells():
    """Whoever reads that finds every key of it here, with the same value."""
    state, spans = told(SITE, *FAILED)
    plain, full = pipeline_to_timeline(state), timeline_json(SITE, state, spans)
    for before, after in zip(plain.pop("phases"), full["phases"], strict=True):
        assert before.items() <= after.items()
    assert plain.items() <= full.items()
    assert full["schema"] == SCHEMA == "milo.timeline/1"


def test_a_phase_with_all_it_did():
    """Declaration, course, attempts and lines; times since the start of the run."""
    parse, *_, health = document()["phases"]
    assert parse == {
        "name": "parse",
        "description": "Read the pages",
        "depends_on": [],
        "parallel": True,
        "weight": 1,
        "status": "completed",
        "error": None,
        "traceback": "",
        "elapsed": 1.5,
        "started": 0.0,
        "ended": 1.5,
        "attempt": 2,
        "attempts": [
            {
                "attempt": 1,
                "started": 0.0,
                "ended": 0.5,
                "outcome": "retrying",
                "error": "disk busy",
            },
            {"attempt": 2, "started": 1.0, "ended": 1.5, "outcome": "completed", "error": ""},
        ],
        "source": "",
        "items": [],
        "log_count": 2,
        "logs": [
            ["3 pages", "stdout", 0.25],
            ["\x1b[31mold\x1b[0m <syntax>", "stderr", 0.5],
        ],
    }
    assert (health["started"], health["ended"], health["attempts"]) == (None, None, [])


def test_items_and_where_a_result_came_from():
    """Each item has its course and nothing of the phase's, in the order of the items."""
    cached, render = timeline_json(PAGES, *told(PAGES, *ITEMS_FAILED))["phases"]
    assert (cached["source"], cached["items"]) == ("cache", [])
    first, second, _, last = render["items"]
    assert first == {
        "status": "completed",
        "error": None,
        "attempt": 1,
        "started": 0.0,
        "ended": 1.0,
    }
    assert (second["error"], second["attempt"], second["ended"]) == ("bad <page>", 2, 3.0)
    assert (last["status"], last["started"], last["ended"]) == ("pending", None, None)


def test_items_come_back_as_they_were(tmp_path):
    """With the names that tell them apart; the report from the document is the same page."""
    state, spans = told(PAGES, *ITEMS_FAILED)
    write_timeline(tmp_path / "run.json", PAGES, state, spans)
    run = read_timeline(tmp_path / "run.json")
    assert [item.name for item in run.state.phases[1].items][-1] == "render[3]"
    assert timeline_json(run.pipeline, run.state, run.spans) == timeline_json(PAGES, state, spans)
    assert html_report(run.pipeline, run.state, run.spans) == html_report(PAGES, state, spans)


def test_a_document_without_items_is_read(written):
    """Those that were written before there were any."""
    before = document()
    for phase in before["phases"]:
        del phase["items"], phase["source"]
    assert {phase.source for phase in read_timeline(written(before)).state.phases} == {""}


def test_the_report_can_be_made_from_it(tmp_path):
    """What was written and read back gives the same page and the same critical path."""
    state, spans = told(SITE, *FAILED)
    write_timeline(tmp_path / "run.json", SITE, state, spans, TRACEBACKS)
    run = read_timeline(tmp_path / "run.json")
    assert critical_path(run.pipeline.plan, run.state) == critical_path(SITE.plan, state)
    assert html_report(run.pipeline, run.state, run.spans, run.tracebacks) == html_report(
        SITE, state, spans, TRACEBACKS
    )


def test_handlers_are_not_in_it(written):
    """A pipeline that was read back is to look at: running it fails and says why."""
    phase = read_timeline(written(document())).pipeline.phases[0]
    assert isinstance(phase, Phase)
    with pytest.raises(DefinitionError, match="holds no handlers"):
        phase.handler()


def test_odd_names_and_lines_come_back_as_they_were(tmp_path):
    """Quotes, control characters and lone surrogates survive."""
    pipeline = Pipeline("p", *map(of, ODD_NAMES))
    happened = [actions.pipeline_start(0.0)]
    for name in ODD_NAMES:
        happened += [*attempt(name, 0.0, 1.0), actions.phase_log(name, name, "stdout", 0.5)]
    state, spans = told(pipeline, *happened)
    write_timeline(tmp_path / "run.json", pipeline, state, spans)
    run = read_timeline(tmp_path / "run.json")
    assert run.state == state
    assert run.spans == spans


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema": NaN}', "not JSON"),
        ([1, 2], 'it has no "schema"'),
        ({"traceEvents": []}, 'it has no "schema"'),
        ({"schema": "milo.timeline/2"}, "the Milo that wrote it"),
        ({"schema": SCHEMA}, "damaged timeline: phases is missing"),
    ],
)
def test_foreign_files_are_refused(written, content, problem):
    """What is no timeline, or one of another version, is named as such with the file."""
    path = written(content)
    with pytest.raises(TimelineError) as refused:
        read_timeline(path)
    assert problem in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there(tmp_path):
    """The message is the system's."""
    with pytest.raises(TimelineError, match=r"cannot read .*: No such file"):
        read_timeline(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["phases"][2].pop("weight"), "phases[2].weight is missing"),
        (lambda d: d["phases"][2].update(weight=-1), "phases[2].weight must be a whole number"),
        (lambda d: d["phases"][2].update(weight=True), "phases[2].weight must be a whole number"),
        (lambda d: d["phases"][0].update(name=3), "phases[0].name must be text, not 3"),
        (lambda d: d["phases"][0].update(name=" "), "the name must be text"),
        (lambda d: d["phases"][0].update(parallel=1), "phases[0].parallel must be true or false"),
        (lambda d: d["phases"][0].update(depends_on=[1]), "must be a list of texts"),
        (lambda d: d["phases"][0].update(depends_on=["gone"]), "'gone', which is no phase"),
        (lambda d: d["phases"][0].update(depends_on=["write"]), "is a cycle"),
        (lambda d: d["phases"][0].update(status="odd"), "phases[0].status must be one of"),
        (lambda d: d["phases"][0].update(started="0"), "phases[0].started must be a number"),
        (lambda d: d["phases"][0].update(ended=10**400), "phases[0].ended must be a number"),
        (lambda d: d["phases"][0].update(logs=[["a", "b"]]), "phases[0].logs[0] must be [line"),
        (lambda d: d["phases"][0].update(attempts=[3]), "attempts must be a list of objects"),
        (lambda d: d["phases"][0]["attempts"][1].pop("ended"), "phases[0].attempts[1].ended is"),
        (lambda d: d["phases"].append(d["phases"][0]), "two phases are named 'parse'"),
        (lambda d: d.update(phases={}), "phases must be a list"),
    ],
)
def test_damage_is_named_by_its_place(written, change, problem):
    """A field that is missing or of the wrong kind is told with its path."""
    damaged = document()
    change(damaged)
    with pytest.raises(TimelineError) as refused:
        read_timeline(written(damaged))
    assert "damaged timeline" in str(refused.value)
    assert problem in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(tmp_path_factory, data):
    """With any value in any place, reading and reporting works or is a ``TimelineError``."""
    damaged = deepcopy(document())
    here = damaged
    while True:
        key = data.draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
        inner = here[key]
        if not (isinstance(inner, dict | list) and inner and data.draw(st.booleans())):
            break
        here = inner
    here[key] = data.draw(JSON)
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_text(json.dumps(damaged), encoding="utf-8")
    try:
        run = read_timeline(path)
    except TimelineError:
        return
    html_report(run.pipeline, run.state, run.spans, run.tracebacks)


def test_unknown_keys_are_taken(written):
    """A later Milo may tell more."""
    more = document()
    more["host"] = "here"
    more["phases"][0]["colour"] = "blue"
    assert read_timeline(written(more)).pipeline.name == "site"
