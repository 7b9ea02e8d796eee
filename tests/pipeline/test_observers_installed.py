"""Observers of installed plugins: made for each run, left out when they are broken."""

from importlib.metadata import EntryPoint

import pytest
from run_tools import phase

from milo_core.plugins import PluginGroup
from milo_pipeline import Pipeline
from milo_pipeline.observers import Observers, PipelineObserver

PIPELINE = Pipeline("p", phase("a"))
made = []
not_callable = "nothing to call"


def factory(pipeline):
    """A factory as plugins have it."""
    made.append(pipeline)
    return PipelineObserver()


def stays_out(pipeline):
    """A factory that wants nothing of this run."""


def raises(pipeline):
    """A factory that has its own problems."""
    raise SystemExit("no licence")


def makes_something_else(pipeline):
    """A factory that misunderstands."""
    return pipeline


@pytest.fixture(autouse=True)
def nothing_made():
    made.clear()


def installed(**plugins):
    """A group as if these were installed: ``installed(trace="module:name")``."""
    found = [EntryPoint(name, value, "milo.observers") for name, value in plugins.items()]
    return PluginGroup("milo.observers", entry_points=found)


def test_a_factory_is_asked_at_each_run():
    """It is called with the pipeline, and what it makes is told of that run alone."""
    group = installed(diary=f"{__name__}:factory")
    assert Observers(PIPELINE, group=group) and Observers(PIPELINE, group=group)
    assert made == [PIPELINE, PIPELINE]


def test_a_factory_may_stay_out():
    """``None`` is no observer, and nothing to complain about."""
    assert not Observers(PIPELINE, group=installed(quiet=f"{__name__}:stays_out"))


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no_such_module:factory", "does not load: ModuleNotFoundError"),
        (f"{__name__}:not_callable", "should be a callable that takes a Pipeline"),
    ],
)
def test_a_broken_plugin_is_logged_once(caplog, target, complaint):
    """However many runs there are; the message names who declares it, and others go on."""
    group = installed(broken=target, diary=f"{__name__}:factory")
    assert Observers(PIPELINE, group=group) and Observers(PIPELINE, group=group)
    (record,) = caplog.records
    assert record.message.startswith(
        f"plugin 'broken' of milo.observers (from unknown) {complaint}"
    )
    assert len(made) == 2


@pytest.mark.parametrize("name", ["raises", "makes_something_else"])
def test_a_factory_that_makes_no_observer_is_logged(caplog, name):
    """The run goes on without it, and the next run asks again."""
    group = installed(odd=f"{__name__}:{name}")
    assert not Observers(PIPELINE, group=group)
    (record,) = caplog.records
    assert record.message == (
        "plugin 'odd' of milo.observers (from unknown) made no observer; "
        "this run goes on without it"
    )
    assert record.exc_info is not None
