"""``milo graph``: the levels in one line, the phases in a table."""

from textwrap import dedent

import pytest

from milo._cli.plan_text import levels_of, plan_lines
from milo_pipeline import Phase, PhasePolicy, Pipeline
from milo_tui.symbols import ASCII, UNICODE

BUILD = Pipeline(
    "build",
    Phase("discover", print, "Find files"),
    Phase("parse", print, depends_on=("discover",)),
    Phase(
        "render",
        print,
        depends_on=("parse",),
        parallel=True,
        policy=PhasePolicy("retry", 3, retry_delay=0.5, retry_backoff="exponential"),
    ),
    Phase("assets", print, depends_on=("parse",), parallel=True, policy=PhasePolicy("retry", 1)),
    Phase("write", print, depends_on=("render", "assets"), weight=3),
    Phase("health", print, "Check links", depends_on=("write",), policy=PhasePolicy("skip")),
)


def test_text():
    """Levels as the guide draws them, then a row for each phase."""
    assert "\n".join(plan_lines(BUILD, UNICODE)) + "\n" == dedent(
        """\
        build: discover → parse → [render, assets] → write → health

        phase     depends on      parallel  policy                               weight  about
        discover  -               -         stop                                 1       Find files
        parse     discover        -         stop                                 1
        render    parse           yes       retry 3 times after 0.5 s, doubling  1
        assets    parse           yes       retry once after 1 s                 1
        write     render, assets  -         stop                                 3
        health    write           -         skip                                 1       Check links
        """
    ).replace("about", "description")


def test_ascii():
    """An output without arrows gets ASCII ones."""
    assert plan_lines(BUILD, ASCII)[0].startswith("build: discover -> parse -> [")


def test_a_level_is_below_the_deepest_dependency():
    """A phase that skips a level stands where it can start."""
    pipeline = BUILD >> Phase("late", print, depends_on=("discover", "write"))
    assert [p.name for p in levels_of(pipeline)[4]] == ["health", "late"]


def test_wide_levels_are_shortened():
    """The line names the first few phases of a level and counts the others."""
    wide = Pipeline("wide", *(Phase(f"p{i}", print) for i in range(20)))
    first, *rows = plan_lines(wide, UNICODE)
    assert first == "wide: [p0, p1, p2, p3, p4, p5, p6, p7, … 12 more]"
    assert len(rows) == 22


def test_a_long_chain():
    """Depth is no problem."""
    chain = Pipeline(
        "chain",
        Phase("p0", print),
        *(Phase(f"p{i}", print, depends_on=(f"p{i - 1}",)) for i in range(1, 5000)),
    )
    assert len(levels_of(chain)) == 5000


def test_no_phases():
    """An empty pipeline says so."""
    assert plan_lines(Pipeline("empty"), UNICODE) == ["empty: no phases"]


def test_names_are_shown_safely():
    """Control characters in names and descriptions do not reach the terminal."""
    odd = Pipeline("odd\x1b[2J", Phase("a\x1b[31m", print, "one\ntwo"))
    text = "\n".join(plan_lines(odd, UNICODE))
    assert "\x1b" not in text
    assert "one two" in text


def test_nothing_runs(write, milo):
    """Showing a pipeline calls none of its handlers."""
    write(
        "build.py",
        """
        from milo import Phase, Pipeline

        def handler():
            raise AssertionError("ran")

        pipeline = Pipeline("build", Phase("parse", handler))
        """,
    )
    ended = milo("graph", "build.py")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("build: parse\n")


@pytest.fixture
def build(write):
    """A target with two phases, one of them oddly named."""
    write(
        "build.py",
        """
        from milo import Phase, Pipeline

        pipeline = Pipeline("build", Phase("a", print), Phase("b <ö>", print, depends_on=("a",)))
        """,
    )
    return "build.py"


@pytest.mark.parametrize(
    ("form", "start", "label"),
    [
        ("mermaid", "flowchart LR\n", '"b #60;ö#62;"'),
        ("dot", "digraph pipeline {\n", '"b &lt;ö&gt;"'),
        ("svg", "<svg ", ">b &lt;ö&gt;</text>"),
        ("text", "build: a → b <ö>\n", "b <ö>  a"),
    ],
)
def test_formats(milo, build, folder, form, start, label):
    """Each format goes to standard output, or to a file with the same content."""
    printed = milo("graph", build, "--format", form)
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith(start)
    assert label in printed.out
    written = milo("graph", build, "--format", form, "--output", "graph.out")
    assert (written.code, written.out, written.err) == (0, "", "")
    assert (folder / "graph.out").read_text(encoding="utf-8") == printed.out


def test_a_picture_is_utf8_whatever_the_output_can_show(milo_process, build, folder):
    """What is redirected to a file is in the encoding that such files are in."""
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    ended = milo_process("graph", build, "--format", "svg", cwd=folder, env=ascii_only)
    assert "ö" in ended.out
    assert "ö" not in milo_process("graph", build, cwd=folder, env=ascii_only).out


def test_an_unknown_format(milo, build):
    """The message lists those there are."""
    ended = milo("graph", build, "--format", "png")
    assert ended.code == 2
    assert "'text', 'mermaid', 'dot', 'svg'" in ended.err


def test_a_file_that_cannot_be_written(milo, build):
    """One line on stderr, exit code 2."""
    ended = milo("graph", build, "--output", "no/graph.txt")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no folder 'no'" in ended.err
