"""Templates in place of views: by kida where it is installed, and clear errors where it is not."""

import importlib.util

import pytest
from rich.console import Console

from milo_core import quit_on
from milo_pipeline import PhaseLog, PhaseStatus, PipelineState, PipelineViewState
from milo_tui import App, TemplateError
from milo_tui.frames import Painter, Size
from milo_tui.pipeline_view import pipeline_view
from milo_tui.templates import template_view
from milo_tui.testing import running

HAS_KIDA = importlib.util.find_spec("kida") is not None
with_kida = pytest.mark.skipif(not HAS_KIDA, reason="kida is for Python 3.14 and later")
without_kida = pytest.mark.skipif(HAS_KIDA, reason="kida is installed")
LOGS = tuple(PhaseLog(f"line {n}") for n in range(30))
RUN = PipelineState(
    "site",
    (
        PhaseStatus("parse", "completed", 1.0, 0.5, "", 1),
        PhaseStatus("render", "failed", 1.5, 75.0, "disk full", 2, LOGS),
        PhaseStatus("write"),
    ),
    "",
    1.0,
    76.0,
    0.3333,
    "failed",
)
VIEWS = {
    "overview": PipelineViewState(RUN, 1),
    "lines": PipelineViewState(RUN, 1, True, 10, False, search="line 15", match=15),
    "keys": PipelineViewState(RUN, shows_help=True),
    "empty": PipelineViewState(PipelineState("nothing")),
}


def rows(view, state, size):
    return [row.rstrip() for row in Painter(color=False).rows(view(state, size), size)]


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", [Size(80, 24), Size(40, 8), Size(80, 999, is_plain=True)])
def test_the_template_of_a_pipeline_shows_what_the_view_does(name, size):
    """But for the bar in the title."""
    state = VIEWS[name]
    shown = rows(template_view("pipeline.kida", None), state, size)
    wanted = rows(pipeline_view, state, size)
    title = 0 if state.shows_help and not size.is_plain else 1
    assert [row for row in shown[title:] if row] == [row for row in wanted[title:] if row]
    assert not shown or shown[0].split()[:3] == wanted[0].split()[:3]


@with_kida
def test_a_folder_has_templates_of_its_own(tmp_path):
    """They are given the state and the size, and are looked for there first."""
    (tmp_path / "mine.kida").write_text("{{ state | bold }} in {{ size.width }}\n")
    app = App(
        template="mine.kida",
        templates=tmp_path,
        reducer=quit_on("q")(lambda state, action: state),
        initial_state="hello",
    )
    with running(app, 30, 5) as screen:
        screen.wait_for("hello in 30")
        screen.press("q")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.kida"]


WRONG = {
    "syntax.kida": ("fine\n{{ oops( }}", r"template syntax\.kida, line 2: Unexpected token"),
    "undefined.kida": ("fine\n{{ oops.x }}", r"template undefined\.kida, line 2: .*oops"),
    "error.kida": ("{{ 1 / 0 }}", r"template error\.kida, line 1: ZeroDivisionError"),
}


@with_kida
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_its_line(tmp_path, name):
    """Whether it is found before the first frame or in one."""
    source, says = WRONG[name]
    (tmp_path / name).write_text(source)
    app = App(
        template=name, templates=tmp_path, reducer=lambda state, action: state, initial_state=0
    )
    with pytest.raises(TemplateError, match=says), running(app):
        pass


@with_kida
def test_a_missing_template_is_told_with_those_that_are_there(tmp_path):
    """So the right name can be chosen."""
    (tmp_path / "mine.kida").write_text("")
    with pytest.raises(TemplateError, match=r"no template 'none\.kida'.*: mine\.kida, pipeline"):
        template_view("none.kida", tmp_path)
    with pytest.raises(TemplateError, match="there is no folder"):
        template_view("none.kida", tmp_path / "nowhere")


@without_kida
def test_without_kida_only_the_template_of_a_pipeline_is_there():
    """As the view of the same name; others say what to install."""
    assert template_view("pipeline.kida", None) is pipeline_view
    with pytest.raises(TemplateError, match=r"needs kida, .*pip install 'kida-templates>=0\.12'"):
        template_view("mine.kida", None)


def test_it_is_rendered_by_rich():
    """Which any console of theirs can print."""
    console = Console(file=None, record=True, width=40)
    with console.capture() as captured:
        console.print(pipeline_view(RUN, Size(40, 10)))
    assert "render" in captured.get()
