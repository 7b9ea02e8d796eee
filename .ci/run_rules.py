"""A pytest plugin for runs that count: ``pytest -p run_rules`` with this folder on the path.

A run that would otherwise pass fails when
  * a test was skipped, or expected to fail, and ``allowed-skips.txt`` does not list it;
  * this is free-threaded Python and the GIL is on when the run ends;
  * with ``--only-installed``, a Milo package came from anywhere but this environment;
  * the interpreter has not ended a minute later: a thread was left behind, and every
    thread's traceback says where.
"""

import faulthandler
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

SECONDS_TO_END = 60
ALLOWED_SKIPS = Path(__file__).with_name("allowed-skips.txt")


def pytest_addoption(parser: pytest.Parser) -> None:
    help_text = "fail when a Milo package was imported from outside this environment"
    parser.addoption("--only-installed", action="store_true", help=help_text)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RunRules(config), "run_rules_state")


def pytest_unconfigure() -> None:
    faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=2)


class RunRules:
    """Collects what broke a rule and says so above pytest's closing line."""

    def __init__(self, config: pytest.Config) -> None:
        self._only_installed = config.getoption("only_installed")
        self._allowed = list(read_allowed_skips(ALLOWED_SKIPS.read_text()))
        self._broken: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self._note_skip(report.nodeid, getattr(report, "wasxfail", None) or report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note_skip(report.nodeid, report.longrepr)

    def _note_skip(self, nodeid: str, reason: object) -> None:
        if not any(part in nodeid for part in self._allowed):
            text = reason[2] if isinstance(reason, tuple) else reason
            self._broken.append(
                f"{nodeid} did not run ({text}) and {ALLOWED_SKIPS.name} has no entry"
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._broken += gil_is_on()
        if self._only_installed:
            self._broken += foreign_packages()
        if self._broken and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._broken:
            terminalreporter.section("rules of this run that were broken", red=True)
            for line in self._broken:
                terminalreporter.line(line)


def read_allowed_skips(text: str) -> Iterator[str]:
    """The part of a node id on each line, without the reason after ``#``."""
    for line in text.splitlines():
        part, _, reason = (piece.strip() for piece in line.partition("#"))
        if part and not reason:
            raise pytest.UsageError(f"{ALLOWED_SKIPS}: {part!r} needs a reason after '#'")
        if part:
            yield part


def gil_is_on() -> Iterable[str]:
    """On free-threaded Python, one line when something has switched the GIL on."""
    if sysconfig.get_config_var("Py_GIL_DISABLED") and sys._is_gil_enabled():  # type: ignore[attr-defined]  # new in 3.13
        yield "the GIL is on: an extension module has switched it back on during this run"


def foreign_packages() -> Iterable[str]:
    """One line for each Milo package that was not imported from this environment."""
    home = Path(sys.prefix).resolve()
    for name, module in sorted(sys.modules.items()):
        is_ours = "." not in name and (name == "milo" or name.startswith("milo_"))
        file = getattr(module, "__file__", None)
        if is_ours and file and not Path(file).resolve().is_relative_to(home):
            yield f"{name} was imported from {file}, not from the environment in {home}"
