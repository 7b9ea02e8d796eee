"""What differs from one installation to the next: kida's advice, and systems without fork."""

import os
import subprocess
import sys
import textwrap
from types import ModuleType, SimpleNamespace

import pytest

from milo_effects.runtime import default_workers


@pytest.fixture
def kida(monkeypatch):
    """An empty module of that name is installed."""
    module = ModuleType("kida")
    monkeypatch.setitem(sys.modules, "kida", module)
    return module


@pytest.mark.parametrize(("advice", "workers"), [(0, 1), (1, 1), (3, 3), (8, 8), (20, 8)])
def test_kidas_advice_is_taken_within_bounds(kida, advice, workers):
    """It is asked about eight pieces of I/O; from one worker up to eight."""
    asked = []

    def get_optimal_workers(count, *, workload_type):
        asked.append((count, workload_type))
        return advice

    kida.WorkloadType = SimpleNamespace(IO_BOUND="io")
    kida.get_optimal_workers = get_optimal_workers
    assert default_workers() == workers
    assert asked == [(8, "io")]


def test_something_else_of_that_name_gives_no_advice(kida):
    """A module without the function is as good as none."""
    assert default_workers() == min(8, (os.cpu_count() or 1) + 4)


def test_a_system_that_cannot_fork_runs_sagas_all_the_same():
    """There ``os`` lacks the functions around it, and nobody needs them."""
    script = """
    import os
    for missing in "fork", "register_at_fork":
        vars(os).pop(missing, None)
    from milo_core import Store
    from milo_effects import Call
    def saga():
        return (yield Call(int, ("5",)))
    print(Store(lambda state, action: state, None).run_saga(saga()).result(60))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("5", "", 0)
