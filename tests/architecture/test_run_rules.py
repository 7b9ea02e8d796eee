"""The pytest plugin of the runs that count makes them fail when it should, and only then."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci"
PASSES = "def test_passes():\n    pass\n"
SKIPS = "import pytest\n\ndef test_skips():\n    pytest.skip('why not')\n"
EXPECTS_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_fails():\n    assert False\n"
IS_SKIPPED_WHOLE = "import pytest\n\npytest.skip('why not', allow_module_level=True)\n"
LEAVES_A_THREAD = """
import threading

def test_passes():
    threading.Thread(target=threading.Event().wait).start()
"""


@pytest.fixture(scope="module")
def run_rules():
    spec = importlib.util.spec_from_file_location("run_rules_under_test", CI / "run_rules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path):
    """Run pytest on one test file under the plugin, in a folder and process of its own."""

    def run(test: str, *options: str, before: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(test)
        (tmp_path / "conftest.py").write_text(before)
        (tmp_path / "pytest.ini").touch()
        command = [sys.executable, "-m", "pytest", "-p", "run_rules", *options, "test_it.py"]
        env = {name: text for name, text in os.environ.items() if name != "PYTEST_ADDOPTS"}
        env |= {"PYTHONPATH": str(CI), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
        )

    return run


def test_a_run_without_skips_passes(run):
    """A file whose tests all run is left alone."""
    assert run(PASSES, "--only-installed").returncode == 0


@pytest.mark.parametrize("test", [SKIPS, EXPECTS_FAILURE, IS_SKIPPED_WHOLE])
def test_what_did_not_run_fails_the_run(run, test):
    """A skipped test, an expected failure and a skipped module are named and fail the run."""
    ran = run(PASSES + test)
    assert ran.returncode != 0
    assert "did not run" in ran.stdout


def test_listed_skips_are_fine(run):
    """A skip whose node id contains a listed part is allowed."""
    listed = "import run_rules\n\nrun_rules.read_allowed_skips = lambda text: ['::test_skips']\n"
    assert run(SKIPS, before=listed).returncode == 0


def test_packages_from_elsewhere_fail_the_run(run, tmp_path):
    """With --only-installed, a Milo package that lies outside the environment is named."""
    (tmp_path / "milo_elsewhere.py").touch()
    ran = run("import milo_elsewhere\n" + PASSES, "--only-installed")
    assert ran.returncode == 1
    assert "milo_elsewhere was imported from" in ran.stdout


def test_a_thread_left_behind_ends_the_run(run):
    """An interpreter that does not end says where its threads stand, and fails."""
    ran = run(LEAVES_A_THREAD, before="import run_rules\n\nrun_rules.SECONDS_TO_END = 0.1\n")
    assert ran.returncode == 1
    assert "Timeout" in ran.stderr


def test_a_gil_that_came_back_is_reported(run_rules, monkeypatch):
    """On a free-threaded build the run breaks a rule when the GIL is on, and only then."""
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: int(name == "Py_GIL_DISABLED"))
    for is_on in (True, False):
        monkeypatch.setattr(sys, "_is_gil_enabled", lambda is_on=is_on: is_on, raising=False)
        assert bool(list(run_rules.gil_is_on())) is is_on


def test_every_allowed_skip_has_a_reason(run_rules):
    """The list is read as parts of node ids, and a line without a reason is refused."""
    assert list(run_rules.read_allowed_skips("# title\n\na.py  # since b\n")) == ["a.py"]
    with pytest.raises(pytest.UsageError, match="needs a reason"):
        list(run_rules.read_allowed_skips("a.py\n"))
    list(run_rules.read_allowed_skips((CI / "allowed-skips.txt").read_text()))
