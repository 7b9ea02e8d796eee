"""What a phase, a policy and a pipeline accept, and how they refuse the rest."""

import dataclasses

import pytest

from milo_pipeline import DefinitionError, Phase, PhasePolicy, Pipeline, PipelineError


def nothing():
    return None


def test_depends_on_becomes_a_tuple_without_repeats():
    """Any iterable of names becomes a tuple in which each stands once, in its order."""
    given = (name for name in ("b", "a", "b"))
    assert Phase("x", nothing, depends_on=given).depends_on == ("b", "a")


def test_a_set_of_dependencies_is_sorted():
    """A set's own order differs between processes, so its names are sorted."""
    assert Phase("x", nothing, depends_on={"c", "a", "b"}).depends_on == ("a", "b", "c")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "name must be text and not empty, not ''"),
        ({"name": "  "}, "name must be text and not empty"),
        ({"name": 3}, "name must be text and not empty, not 3"),
        ({"handler": None}, "handler must be something to call, not None"),
        ({"description": None}, "description must be a str, not None"),
        ({"depends_on": "parse"}, r'write depends_on=\("parse",\)'),
        ({"depends_on": 3}, "depends_on takes names of phases, not 3"),
        ({"depends_on": (3,)}, "depends_on takes names of phases, not 3"),
        ({"depends_on": (Phase("parse", nothing),)}, 'write "parse"'),
        ({"parallel": "no"}, "parallel must be a bool, not 'no'"),
        ({"weight": -1}, "weight must be a whole number of at least 0, not -1"),
        ({"weight": 0.5}, "weight must be a whole number of at least 0, not 0.5"),
        ({"weight": True}, "weight must be a whole number of at least 0, not True"),
        ({"policy": "retry"}, "policy must be a PhasePolicy, not 'retry'"),
        ({"max_logs": -1}, "max_logs must be a whole number of at least 0, not -1"),
        ({"max_logs": None}, "max_logs must be a whole number of at least 0, not None"),
    ],
)
def test_a_phase_refuses_what_cannot_be_meant(fields, says):
    """Each wrong field is named with what was expected and what was given."""
    with pytest.raises(DefinitionError, match=says):
        Phase(**{"name": "x", "handler": nothing} | fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"on_fail": "explode"}, "on_fail must be one of 'stop', 'skip', 'retry', not 'explode'"),
        ({"retry_backoff": "linear"}, "one of 'fixed', 'exponential', not 'linear'"),
        ({"max_retries": -1}, "max_retries must be a whole number of at least 0, not -1"),
        ({"max_retries": 1.5}, "max_retries must be a whole number"),
        ({"retry_delay": -0.1}, "retry_delay must be a number of seconds, at least 0, not -0.1"),
        ({"retry_delay": "1"}, "not '1'"),
        ({"retry_delay": True}, "not True"),
        ({"retry_delay": float("nan")}, "not nan"),
        ({"retry_delay": float("inf")}, "not inf"),
    ],
)
def test_a_policy_refuses_what_cannot_be_meant(fields, says):
    """Each wrong field is named with what was expected and what was given."""
    with pytest.raises(DefinitionError, match=says):
        PhasePolicy(**fields)


def test_attempts_count_the_first_call_and_the_retries():
    """``max_retries`` counts only under ``on_fail="retry"``."""
    assert PhasePolicy("retry", max_retries=3).attempts == 4
    assert PhasePolicy("stop", max_retries=3).attempts == 1
    assert PhasePolicy("skip", max_retries=3).attempts == 1


def test_exponential_delay_doubles_up_to_thirty_seconds():
    """The wait doubles with each failed attempt, to 30 s, for any number of attempts."""
    policy = PhasePolicy("retry", retry_delay=5.0, retry_backoff="exponential")
    assert [policy.delay_after(n) for n in (1, 2, 3, 4, 5000)] == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_fixed_delay_is_the_delay_however_long():
    """A fixed wait is not capped, and no wait stays none."""
    assert PhasePolicy("retry", retry_delay=90.0).delay_after(7) == 90.0
    nowait = PhasePolicy("retry", retry_delay=0, retry_backoff="exponential")
    assert nowait.delay_after(5000) == 0


def test_definitions_are_frozen():
    """Neither a phase nor a pipeline can be changed once it has been checked."""
    pipeline = Pipeline("p", Phase("a", nothing))
    with pytest.raises(dataclasses.FrozenInstanceError):
        pipeline.phases[0].name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        pipeline.name = "q"


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Pipeline(""), "Pipeline: the name must be text"),
        (lambda: Pipeline(Phase("a", nothing)), "Pipeline: the name must be text"),
        (lambda: Pipeline("p", [Phase("a", nothing)]), r"write \*phases"),
        (lambda: Pipeline("p", nothing), "takes Phase objects behind its name"),
        (lambda: Pipeline("p", fail_fast=True, keep_going=True), "choose one"),
        (lambda: Pipeline("p", Phase("a", nothing), Phase("a", nothing)), "two phases are named"),
        (
            lambda: Pipeline(
                "p", Phase("parse", nothing), Phase("b", nothing, depends_on=["prse"])
            ),
            "did you mean 'parse'?",
        ),
        (
            lambda: Pipeline("p", Phase("a", nothing, depends_on=["elsewhere"])),
            "phase 'a' depends on 'elsewhere', which is no phase of this pipeline; there are a",
        ),
    ],
)
def test_a_pipeline_refuses_what_cannot_run(build, says):
    """Every mistake is found before anything runs, and the message shows the way out."""
    with pytest.raises(DefinitionError, match=says.replace("?", r"\?")) as refusal:
        build()
    assert isinstance(refusal.value, PipelineError)


def test_a_long_list_of_names_is_cut():
    """An unknown dependency in a large pipeline does not print thousands of names."""
    phases = [Phase(f"step{i}", nothing) for i in range(1000)]
    with pytest.raises(DefinitionError, match="and 993 more"):
        Pipeline("p", *phases, Phase("last", nothing, depends_on=["@@@"]))


def test_extension_keeps_phases_and_options():
    """``>>`` appends to a copy that has the same name and options."""
    first = Pipeline("p", Phase("a", nothing), capture_output=True, fail_fast=True)
    second = first >> Phase("b", nothing, depends_on=("a",))
    assert [phase.name for phase in second.phases] == ["a", "b"]
    assert (second.name, second.capture_output, second.fail_fast) == ("p", True, True)
    assert second.keep_going is False
    assert [phase.name for phase in first.phases] == ["a"]
    assert (Pipeline("p", keep_going=True) >> Phase("b", nothing)).keep_going is True


def test_extension_by_something_else_says_what_to_write():
    """``pipeline >> function`` is a TypeError that shows the right form."""
    with pytest.raises(TypeError, match=r"takes a Phase, not .*nothing.*write >> Phase\("):
        Pipeline("p") >> nothing


def test_repr_is_short():
    """A pipeline of any size prints as its name and the number of its phases."""
    assert repr(Pipeline("build")) == "<Pipeline 'build': 0 phases>"
    assert repr(Pipeline("build", Phase("a", nothing))) == "<Pipeline 'build': 1 phase>"


@pytest.mark.parametrize("beside", [{"parallel": True}, {"map_over": "a", "depends_on": ("a",)}])
def test_file_descriptors_belong_to_a_phase_that_runs_alone(beside):
    """The process has one pair of them."""
    with pytest.raises(DefinitionError, match=r"phase 'b': capture_fds .* must run alone"):
        Phase("b", print, capture_fds=True, **beside)
