"""Parameters: declared once, given to a run, checked before anything of it happens."""

from pathlib import Path

import pytest
from run_tools import nothing, phase

from milo_pipeline import DefinitionError, Param, ParameterError, Phase, Pipeline


def run_with(params, handler, **given):
    pipeline = Pipeline("p", Phase("a", handler, params=("x",)), params=params)
    return pipeline.run(params=given).results["a"]


def echo(x):
    return x


def test_a_handler_is_called_with_the_parameters_its_phase_names():
    """By name, and beside the context."""
    pipeline = Pipeline(
        "p",
        Phase("a", lambda: 1),
        Phase("b", lambda context, x, y: (context, x, y), depends_on=["a"], params=["x", "y"]),
        params=[Param("x", int), Param("y", default="why"), Param("unused", default="z")],
    )
    assert pipeline.run(params={"x": 5}).results["b"] == ({"a": 1}, 5, "why")


@pytest.mark.parametrize(
    ("param", "given", "seen"),
    [
        (Param("x"), "text", "text"),
        (Param("x", int), 3, 3),
        (Param("x", float), 3, 3.0),
        (Param("x", bool), True, True),
        (Param("x", Path), "a/b", Path("a/b")),
        (Param("x", int, choices=(1, 2)), 2, 2),
    ],
)
def test_a_value_of_the_declared_type_reaches_the_handler(param, given, seen):
    """An int does for a float, a text for a Path."""
    result = run_with([param], echo, x=given)
    assert result == seen
    assert type(result) is type(seen)


def test_a_default_stands_for_what_is_not_given():
    """Also None, which fits every type."""
    assert run_with([Param("x", int, default=7)], echo) == 7
    assert run_with([Param("x", int, default=None)], echo) is None


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, " a ", " a "),
        (int, "-3", -3),
        (float, "1e3", 1000.0),
        (bool, "Yes", True),
        (bool, "off", False),
        (Path, "x/y", Path("x/y")),
    ],
)
def test_texts_from_a_command_line_are_read_as_the_type(kind, text, value):
    """What people write for it."""
    assert Param("x", kind).read(text) == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": "three"}, "parameter 'x' takes a value of type int, not 'three'"),
        ({"x": True}, "parameter 'x' takes a value of type int, not True"),
        ({}, "parameter 'x' has no default and was not given"),
        ({"x": 1, "lim": 2}, "there is no parameter 'lim'; did you mean 'limit'?"),
        ({"x": 1, "other": 2}, "there is no parameter 'other'; there are x, limit"),
        ({"x": 1, "limit": 3}, "parameter 'limit' takes one of 1, 2, not 3"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(given, message):
    """The message says what was given and what was expected."""
    ran = []
    pipeline = Pipeline(
        "p",
        phase("a", lambda: ran.append(1)),
        params=[Param("x", int), Param("limit", int, default=1, choices=(1, 2))],
    )
    with pytest.raises(ParameterError) as refused:
        pipeline.run(params=given)
    assert message in str(refused.value)
    assert ran == []


@pytest.mark.parametrize("text", ["x", "1.5", ""])
def test_a_text_that_cannot_be_read_is_refused(text):
    """With the text and the type."""
    with pytest.raises(ParameterError, match=f"'x' takes a value of type int, not '{text}'"):
        Param("x", int).read(text)


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: Param("no name"), "must be a Python name, not 'no name'"),
        (lambda: Param("x", list), "type must be one of str, int, float, bool, Path"),
        (lambda: Param("x", int, default="1"), "takes a value of type int, not '1'"),
        (lambda: Param("x", int, choices=("a",)), "choices must be of type int"),
        (lambda: Pipeline("p", params=["x"]), "params takes Param objects, not 'x'"),
        (lambda: Pipeline("p", params=[Param("x"), Param("x")]), "two parameters are named 'x'"),
        (
            lambda: Pipeline("p", Phase("a", nothing, params=["x"])),
            "phase 'a': uses the parameter 'x', which its pipeline does not declare",
        ),
        (lambda: Phase("a", nothing, params="x"), 'write params=("x",)'),
        (lambda: Phase("a", nothing, params=[Param("x")]), 'write "x"'),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(define, message):
    """Where it is written."""
    with pytest.raises(DefinitionError) as refused:
        define()
    assert message in str(refused.value)


def test_parameters_stay_when_a_phase_is_added():
    """``>>`` keeps every option of the pipeline."""
    pipeline = Pipeline("p", params=[Param("x", int)], resources={"db": 2}) >> Phase(
        "a", echo, params=["x"], resources={"db": 2}
    )
    assert pipeline.run(params={"x": 1}).results == {"a": 1}


def test_a_pipeline_without_parameters_says_how_to_declare_one():
    """As most pipelines have none."""
    with pytest.raises(ParameterError, match="declare it with params"):
        Pipeline("p").run(params={"x": 1})
