"""The graph as Mermaid, DOT and SVG: right for every name there can be."""

import re
from xml.etree import ElementTree as ET

import pytest
from export_runs import FAILED, ODD_NAMES, SITE, of, told
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_pipeline import Pipeline, actions
from milo_pipeline.exports import to_dot, to_mermaid, to_svg

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.lists(
    st.text(st.characters(), min_size=1, max_size=20).filter(str.strip)
    | st.sampled_from(ODD_NAMES),
    min_size=1,
    max_size=5,
    unique=True,
)
MERMAID_LINES = re.compile(
    r"""
    flowchart\ LR
  | \ {4}p\d+\["[^"`<>&%{}\[\]\\;:]*(\#\d+;[^"`<>&%{}\[\]\\;:]*)*"\]
  | \ {4}p\d+\ -->\ p\d+
  | \ {4}classDef\ \w+\ fill:\#\w+,stroke:\#\w+,color:\#000
  | \ {4}class\ p\d+(,p\d+)*\ \w+
    """,
    re.VERBOSE,
)
DOT_STRING = r'"(?:[^"\\]|\\\\|\\")*"'
DOT_LINES = re.compile(
    rf"""
    digraph\ pipeline\ {{ | }}
  | \ {{4}}label={DOT_STRING};
  | \ {{4}}(rankdir=LR;|bgcolor="transparent";|(node|edge)\ \[.*\];)
  | \ {{4}}p\d+\ \[label={DOT_STRING}(,\ fillcolor="\#\w+",\ color="\#\w+")?\];
  | \ {{4}}p\d+\ ->\ p\d+;
    """,
    re.VERBOSE,
)


def pipeline_of(names):
    """Each phase depends on the one before it; the pipeline bears the first name."""
    pairs = zip([None, *names], names, strict=False)
    return Pipeline(names[0], *(of(name, *([before] if before else [])) for before, name in pairs))


def begun(pipeline):
    """The state of a run in which nothing has happened yet."""
    return told(pipeline, actions.pipeline_start(0.0))[0]


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_mermaid_keeps_its_quoting_rules(names):
    """Every line is one of five forms, and no sign in a label means anything to Mermaid."""
    pipeline = pipeline_of(names)
    for state in (None, begun(pipeline)):
        lines = to_mermaid(pipeline, state).split("\n")
        assert lines.pop() == ""
        assert [line for line in lines if not MERMAID_LINES.fullmatch(line)] == []


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_dot_keeps_its_quoting_rules(names):
    """Every line is one of a few forms; quotes and backslashes in a label are escaped."""
    pipeline = pipeline_of(names)
    for state in (None, begun(pipeline)):
        lines = to_dot(pipeline, state).split("\n")
        assert lines.pop() == ""
        assert [line for line in lines if not DOT_LINES.fullmatch(line)] == []


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_svg_is_well_formed(names):
    """Whatever the names, the picture parses, and holds a box for each and nothing foreign."""
    pipeline = pipeline_of(names)
    for state in (None, begun(pipeline)):
        root = ET.fromstring(to_svg(pipeline, state).encode("utf-8"))
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {"svg", "title", "defs", "marker", "path", "g", "rect", "text"}
        assert len(root.findall(f".//{SVG}rect")) == len(names)


@pytest.mark.parametrize("export", [to_mermaid, to_dot, to_svg])
def test_nothing_unseen_is_left(export):
    """No control character, bidirectional mark or lone surrogate reaches the document."""
    text = export(pipeline_of(ODD_NAMES))
    assert text.replace("\n", "").isprintable()
    assert "<script" not in text


def test_names_stay_legible():
    """What is harmless stays as it is; what is not is escaped in the language's own way."""
    pipeline = pipeline_of(['größe "1" & <2>\\n'])
    assert 'p0["größe #34;1#34; #38; #60;2#62;#92;n"]' in to_mermaid(pipeline)
    assert r'p0 [label="größe \"1\" &amp; &lt;2&gt;\\n"];' in to_dot(pipeline)
    assert "größe &quot;1&quot; &amp; &lt;2&gt;\\n</text>" in to_svg(pipeline)


def test_statuses_are_signs_and_colours():
    """With a state, each phase shows how it went, not by colour alone."""
    state, _ = told(SITE, *FAILED)
    mermaid, dot, svg = (export(SITE, state) for export in (to_mermaid, to_dot, to_svg))
    assert 'p3["✗ write"]' in mermaid
    assert "class p3 failed" in mermaid
    assert "class p0,p1,p2 completed" in mermaid
    assert 'p3 [label="✗ write", fillcolor="#fadcc8", color="#d55e00"];' in dot
    assert "<title>write: failed</title>" in svg
    assert "✗ write</text>" in svg


def test_edges_go_from_what_is_needed():
    """An arrow leads from a dependency to the phase that waits for it."""
    assert "p2 --> p3" in to_mermaid(SITE)
    assert "p2 -> p3;" in to_dot(SITE)


def test_boxes_do_not_overlap():
    """A column is right of what its phases depend on, and rows keep apart."""
    root = ET.fromstring(to_svg(SITE))
    boxes = [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in root.findall(f".//{SVG}rect")
    ]
    for i, needed in enumerate(SITE.plan.dependencies):
        assert all(boxes[j][0] + boxes[j][2] < boxes[i][0] for j in needed)
    for a in boxes:
        for b in boxes:
            apart_x = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0]
            assert a is b or apart_x or a[1] + a[3] < b[1] or b[1] + b[3] < a[1]


def test_order_avoids_crossings():
    """Two chains that were declared crosswise are drawn side by side."""
    pipeline = Pipeline("p", of("a"), of("b"), of("after b", "b"), of("after a", "a"))
    rows = {}
    for group in ET.fromstring(to_svg(pipeline)).iter(f"{SVG}g"):
        if group.find(f"{SVG}rect") is not None:
            rows[group.find(f"{SVG}title").text] = float(group.find(f"{SVG}rect").get("y"))
    assert (rows["a"] < rows["b"]) == (rows["after a"] < rows["after b"])


def test_long_names_are_shortened_in_the_picture():
    """A box has room for a few words; the whole name is in its title."""
    svg = to_svg(Pipeline("p", of("n" * 200)))
    assert f"<title>{'n' * 200}</title>" in svg
    assert f"{'n' * 27}…</text>" in svg


def test_a_long_chain_and_an_empty_pipeline():
    """Depth is no problem, and neither is nothing at all."""
    chain = pipeline_of([f"p{i}" for i in range(10_000)])
    assert to_svg(chain).count("<rect") == to_mermaid(chain).count('"]') == 10_000
    assert "digraph" in to_dot(Pipeline("empty"))
    ET.fromstring(to_svg(Pipeline("empty")))
