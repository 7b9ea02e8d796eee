"""Observers: what they are told, in which order, and that they cannot disturb a run."""

import pytest
from run_tools import AT_ONCE, SKIP, Gate, beside, phase, raising

from milo_core.plugins import PluginGroup
from milo_pipeline import Pipeline, actions
from milo_pipeline.observers import Observers, PipelineObserver, moment

NONE_INSTALLED = PluginGroup("milo.observers", entry_points=[])


class Diary(PipelineObserver):
    """Keeps a short text of everything it is told."""

    def __init__(self):
        self.told = []

    def run_started(self, state, action):
        self.told.append(f"run {state.status}")

    def phase_started(self, phase, state, action):
        self.told.append(f"{phase.name} starts {phase.attempt}")

    def phase_logged(self, phase, line, state, action):
        self.told.append(f"{phase.name} {line.stream}: {line.line}")

    def phase_retrying(self, phase, state, action):
        self.told.append(f"{phase.name} retries after {phase.attempt}: {phase.error}")

    def phase_ended(self, phase, state, action):
        self.told.append(f"{phase.name} {phase.status} {phase.attempt} {phase.error}".rstrip())

    def run_ended(self, state):
        self.told.append(f"run {state.status} {state.error}".rstrip())


def watched(pipeline, *observers, cancel=None):
    """Run the pipeline with these observers only."""
    all_of_them = Observers(pipeline, observers, group=NONE_INSTALLED)
    result = pipeline.run(on_event=all_of_them.on_event, cancel=cancel)
    all_of_them.close(result.state)
    return result


def test_a_run_is_told_from_start_to_end():
    """Attempts, lines, retries and ends come in order, each with the phase as it then was."""
    handler = raising(OSError("disk busy"))

    def twice():
        print("trying")
        if handler.calls == 0:
            handler()

    diary = Diary()
    pipeline = Pipeline("p", phase("a", twice, policy=AT_ONCE), capture_output=True)
    watched(pipeline, diary)
    assert diary.told == [
        "run running",
        "a starts 1",
        "a stdout: trying",
        "a retries after 1: disk busy",
        "a starts 2",
        "a stdout: trying",
        "a completed 2",
        "run completed",
    ]


def test_every_way_to_end_is_told():
    """Skipped and failed phases end with their errors, and the run with that of its failure."""
    diary = Diary()
    skipped = phase("a", raising(ValueError("old")), policy=SKIP)
    watched(Pipeline("p", skipped, phase("b", raising(ValueError("new")), "a")), diary)
    assert diary.told[2:] == ["a skipped 1 old", "b starts 1", "b failed 1 new", "run failed new"]


def test_a_cancelled_run_ends_its_phases():
    """What ran when a run was cancelled is told to have ended before the run is."""
    begun, told, diary, cancel = Gate(), Gate(), Diary(), Gate()

    def wait():
        begun.set()
        told.pass_through()

    with beside(lambda: watched(Pipeline("p", phase("a", wait)), diary, cancel=cancel)):
        begun.pass_through()
        cancel.set()
        told.set()  # not the event itself: whoever waits for that may go on before sagas hear
    assert diary.told[-2:] == ["a failed 1 cancelled", "run failed cancelled"]


def test_a_phase_that_only_the_cancellation_ended_is_told():
    """An action for the whole run stands for each phase that was underway, in their order."""
    pipeline, diary = Pipeline("p", phase("b"), phase("a"), phase("c")), Diary()
    observers = Observers(pipeline, [diary], group=NONE_INSTALLED)
    reduce, state = pipeline.build_reducer(), None
    for action in (
        actions.pipeline_start(1.0),
        actions.phase_start("c", 1, 1.0),
        actions.phase_complete("c", None, 1.0),
        actions.phase_start("a", 1, 1.0),
        actions.phase_start("b", 1, 1.0),
        actions.pipeline_cancelled(2.0),
    ):
        state = reduce(state, action)
        observers.on_event(action, state)
    assert diary.told[3:] == [
        "a starts 1",
        "b starts 1",
        "b failed 1 cancelled",
        "a failed 1 cancelled",
    ]


def test_a_run_that_never_began_is_not_told():
    """Cancelled before its first step, a run neither starts nor ends for an observer."""
    diary, cancel = Diary(), Gate()
    cancel.set()
    watched(Pipeline("p", phase("a")), diary, cancel=cancel)
    assert diary.told == []


def test_the_end_is_told_once():
    """After ``close`` nothing is told, neither the end again nor the line of a late thread."""
    pipeline, diary = Pipeline("p", phase("a")), Diary()
    observers = Observers(pipeline, [diary], group=NONE_INSTALLED)
    result = pipeline.run(on_event=observers.on_event)
    observers.close(result.state)
    observers.close(result.state)
    observers.on_event(actions.phase_log("a", "late", "stdout", 1.0), result.state)
    assert diary.told[-2:] == ["a completed 1", "run completed"]


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3)])
def test_an_observer_that_raises_disturbs_nobody(caplog, error):
    """Its first error is logged as one; the run and the other observers go on."""

    class Broken(PipelineObserver):
        def phase_started(self, phase, state, action):
            raise error

        phase_ended = phase_started

    diary = Diary()
    result = watched(Pipeline("p", phase("a")), Broken(), diary)
    assert result.ok
    assert diary.told == ["run running", "a starts 1", "a completed 1", "run completed"]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "the observer" in record.message and "Broken raised" in record.message
    assert record.exc_info[1] is error


@pytest.mark.parametrize("given", [Diary, print, None])
def test_what_is_no_observer_is_refused(given):
    """Before anything runs; a class gets the advice to make an object of it."""
    with pytest.raises(TypeError, match="subclass of PipelineObserver, was given") as refused:
        Observers(Pipeline("p"), [given], group=NONE_INSTALLED)
    assert ("make one: MyObserver()" in str(refused.value)) == (given is Diary)


def test_without_observers_there_is_nothing_to_tell():
    """The observers of a run are false when there are none, and actions cost a look at that."""
    observers = Observers(Pipeline("p"), group=NONE_INSTALLED)
    assert not observers
    observers.on_event(None, None)
    observers.close(None)


def test_the_moment_of_an_action():
    """Every action says when, each in its own form."""
    assert [
        moment(actions.pipeline_start(1.5)),
        moment(actions.phase_complete("a", None, 2.5)),
        moment(actions.phase_log("a", "x", "stdout", 3.5)),
    ] == [1.5, 2.5, 3.5]
