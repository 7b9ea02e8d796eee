"""Executors: a phase's handler is called where the phase says."""

import threading
from importlib.metadata import Distribution, EntryPoint

import process_handlers
import pytest
from run_tools import HANG, phase, raising, run

from milo_capture import current_cancel
from milo_core.plugins import PluginGroup
from milo_pipeline import DefinitionError, PhaseTimeout, Pipeline
from milo_pipeline.executors import Executor, ThreadExecutor, _installed
from milo_pipeline.executors._installed import (
    Executors,
    executor_of,
    installed_executors,
    refuse_unless_executable,
)


class Noting(Executor):
    """Calls the handler, and remembers with what."""

    def __init__(self):
        self.calls = []

    def call(self, phase, arguments):
        self.calls.append((phase.name, dict(arguments)))
        return phase.handler(**arguments)


class Refusing(Executor):
    """Takes no phase."""

    def check(self, phase):
        raise DefinitionError(f"phase {phase.name!r}: not here")

    def call(self, phase, arguments):
        raise AssertionError


class FromAcme(Distribution):
    """A distribution that is not on disk."""

    def read_text(self, filename):
        return "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"

    def locate_file(self, path):
        raise NotImplementedError


made = []
not_callable = "nothing to call"


def make_noting():
    """A factory as plugins have it."""
    made.append(Noting())
    return made[-1]


def make_nothing():
    """A factory that forgets its work."""


def no_licence():
    """A factory with problems of its own."""
    raise SystemExit("no licence")


def installed(**plugins):
    """Executors as if these were installed with acme 1.0: ``installed(far="module:name")``."""
    found = [
        EntryPoint(name, value, "milo.executors")._for(FromAcme())
        for name, value in plugins.items()
    ]
    return Executors(PluginGroup("milo.executors", entry_points=found))


@pytest.fixture(autouse=True)
def nothing_made():
    made.clear()


def test_an_executor_gets_phase_and_arguments():
    """What it returns is the result, and a handler that asks for its context has it there."""
    noting = Noting()
    result, _ = run(
        phase("a", process_handlers.seven, executor=noting),
        phase("b", process_handlers.context_of, "a", executor=noting),
    )
    assert result.results == {"a": 7, "b": {"a": 7}}
    assert noting.calls == [("a", {}), ("b", {"context": {"a": 7}})]


@pytest.mark.parametrize("executor", ["thread", ThreadExecutor()])
def test_a_thread_is_a_worker_of_the_run(executor):
    """Named or made, it is this process."""
    result, _ = run(phase("a", threading.current_thread, executor=executor))
    assert result.results["a"].name.startswith("milo-")


@pytest.mark.parametrize("executor", ["thread", ThreadExecutor(), Noting()])
def test_a_coroutine_is_awaited(executor):
    """An executor may return one in place of a result."""
    result, _ = run(phase("a", process_handlers.in_a_loop, executor=executor))
    assert result.results == {"a": True}


def test_what_an_executor_raises_is_the_handlers_error():
    """Its phase's policy says what follows."""
    error = ValueError("no")
    result, _ = run(phase("a", raising(error), executor=Noting()))
    assert result.errors == {"a": error}


def test_what_an_executor_prints_is_the_phases_output():
    """As if the handler had printed it."""

    class Printing(Executor):
        def call(self, phase, arguments):
            print("on its way")

    result, _ = run(phase("a", executor=Printing()), capture_output=True)
    assert [log.line for log in result.state.phases[0].logs] == ["on its way"]


def test_an_executor_is_told_when_the_time_is_over():
    """By the token of its context."""
    told = threading.Event()

    class Waiting(Executor):
        def call(self, phase, arguments):
            current_cancel().on_cancel(told.set)
            assert told.wait(HANG)

    result, _ = run(phase("a", executor=Waiting(), timeout=0.05))
    assert isinstance(result.errors["a"], PhaseTimeout)
    assert told.wait(HANG)


@pytest.mark.parametrize("given", [None, 3, "", " ", Noting, print])
def test_an_executor_is_a_name_or_an_executor(given):
    """A class gets a hint."""
    with pytest.raises(DefinitionError, match="phase 'a': executor must be a name") as refused:
        phase("a", executor=given)
    assert str(refused.value).endswith("; make one: Noting()") == (given is Noting)


def test_a_name_that_is_not_installed_is_refused_before_anything_runs():
    """By every method that plans a run, and with the nearest name; defining it is fine."""
    handler = raising(AssertionError())
    pipeline = Pipeline("p", phase("a", handler), phase("b", handler, executor="proces"))
    for plan in (pipeline.run, pipeline.build_saga, pipeline.dry_run):
        with pytest.raises(DefinitionError) as refused:
            plan()
        assert str(refused.value) == (
            "phase 'b': there is no executor 'proces'; found: process, thread; "
            "did you mean 'process'?"
        )
    assert handler.calls == 0


def test_a_phase_that_does_not_run_needs_no_executor():
    """Left out by the choices of the run."""
    result, _ = run(phase("a"), phase("b", executor="dask"), given={"skip": ["b"]})
    assert result.ok


def test_nothing_like_it_is_installed():
    """The message says what to do."""
    with pytest.raises(DefinitionError) as refused:
        installed().named("dask")
    assert str(refused.value) == (
        "there is no executor 'dask'; found: none; install the package that brings it"
    )


def test_an_executor_may_refuse_a_phase():
    """Before anything has run."""
    handler = raising(AssertionError())
    with pytest.raises(DefinitionError, match="phase 'b': not here"):
        run(phase("a", handler), phase("b", executor=Refusing()))
    assert handler.calls == 0


def test_a_plugin_makes_its_executor_once(monkeypatch):
    """For all phases and runs; asked for when the first of them is planned."""
    executors = installed(far=f"{__name__}:make_noting")
    monkeypatch.setattr(_installed, "installed_executors", lambda: executors)
    pipeline = Pipeline("p", phase("a", executor="far"), phase("b", executor="far"))
    assert not made
    assert pipeline.run().ok
    assert pipeline.run().ok
    (noting,) = made
    assert [name for name, _ in noting.calls] == ["a", "b"] * 2


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no_such_module:factory", "does not load: ModuleNotFoundError"),
        (f"{__name__}:not_callable", "should be a callable that makes an executor, is 'nothing"),
        (f"{__name__}:make_nothing", "made None, which is no Executor"),
        (f"{__name__}:no_licence", "raised SystemExit: no licence"),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution(target, complaint):
    """And with the phase that wants it."""
    with pytest.raises(DefinitionError) as refused:
        refuse_unless_executable([phase("a", executor="far")], installed(far=target))
    assert str(refused.value).startswith(
        f"phase 'a': plugin 'far' of milo.executors (from acme 1.0) {complaint}"
    )
    assert (refused.value.__cause__ is None) == ("None" in complaint)


def test_ours_are_plugins_too():
    """Both names lead to what the package exports."""
    assert executor_of(phase("a", executor="thread")).__class__ is ThreadExecutor
    assert installed_executors().named("process").__class__.__name__ == "ProcessExecutor"


def test_the_executor_is_a_part_of_the_phase():
    """It takes part in comparing phases."""
    assert phase("a").executor == "thread"
    assert phase("a", executor="process") != phase("a")
