"""A pytest plugin for mutation runs: the first test that fails or hangs ends the process.

A mutant is killed by that test, and what becomes of the other tests, of fixtures or of threads
that a mutant has stuck is of no interest. Tests that are quick come first.

While mutmut learns which tests reach which function, it keeps the calls under way in a context
variable. Sagas begin in an empty context, as tests of ours check, so here it keeps none.
"""

import importlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

SECONDS_TO_HANG = 10
KILLED, TIMED_OUT = 1, 36
"""What mutmut takes for a mutant that was found by a test, or by a limit of time."""


class NoCallStack:
    """Stands for mutmut's record of the calls under way."""

    @staticmethod
    def get() -> tuple[None, int]:
        return None, 0

    @staticmethod
    def set(call: tuple[str, int]) -> None:
        """Keep nothing."""

    @staticmethod
    def reset(token: None) -> None:
        """Nothing was kept."""


def pytest_configure(config: pytest.Config) -> None:
    trampoline = importlib.import_module("mutmut.mutation.trampoline")
    trampoline.__dict__["MutmutCallStack"] = NoCallStack
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        config.pluginmanager.register(MutantRules(), "mutant_rules")


class MutantRules:
    """How the tests run while a mutant is active."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        seconds = json.loads(Path("mutmut-stats.json").read_text())["duration_by_test"]
        items.sort(key=lambda item: float(seconds.get(item.nodeid, 0)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        signal.signal(signal.SIGALRM, end_of_time)
        signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_HANG)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(KILLED)


def end_of_time(number: int, frame: FrameType | None) -> None:
    os._exit(TIMED_OUT)
