"""What the tests of runs share: phases in one line, watched runs, gates that do not hang."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from textwrap import dedent

from milo_core import Store
from milo_pipeline import Phase, PhasePolicy, Pipeline

HANG = 60.0
"""Seconds that only a hang exceeds."""

AT_ONCE = PhasePolicy("retry", max_retries=2, retry_delay=0)
IN_AN_HOUR = PhasePolicy("retry", max_retries=2, retry_delay=3600)
SKIP = PhasePolicy("skip")


class Gate(threading.Event):
    """An event whose ``pass_through`` fails the test where a plain wait would hang."""

    def pass_through(self):
        assert self.wait(HANG), "nobody opened the gate"


def nothing():
    return None


def phase(name, handler=nothing, *needs, **options):
    return Phase(name, handler, depends_on=needs, **options)


def raising(error):
    """A handler that raises ``error``, and counts its calls."""

    def handler():
        handler.calls += 1
        raise error

    handler.calls = 0
    return handler


def statuses(state):
    return {each.name: each.status for each in state.phases}


def status_of(state, name):
    return next(each for each in state.phases if each.name == name)


class Watch:
    """An ``on_event`` that keeps everything, and lets a handler wait until something was told."""

    def __init__(self, *also):
        self.events = []
        self._also = also
        self._told = threading.Condition()

    def __call__(self, action, state):
        with self._told:
            self.events.append((action, state))
            self._told.notify_all()
        for each in self._also:
            each(action, state)

    def wait_for(self, what):
        """Return once ``what``, written as in ``story``, has been told."""
        with self._told:
            assert self._told.wait_for(lambda: what in self.story(), HANG), f"never told: {what}"

    def wait_for_state(self, holds):
        """Return once a state was told for which ``holds(state)``."""
        with self._told:
            assert self._told.wait_for(lambda: any(holds(s) for _, s in self.events), HANG)

    def story(self):
        """What happened, one short text each: ``"PHASE_START a 1"``."""
        return [_told_shortly(action) for action, _ in self.events]

    def story_of(self, name):
        return [text for text in self.story() if text.split()[1:2] == [name]]


def _told_shortly(action):
    facts = action.payload if isinstance(action.payload, dict) else {}
    said = [str(facts[key]) for key in ("name", "attempt", "error", "line") if key in facts]
    return " ".join([action.type.removeprefix("@@"), *said])


def run(*phases, watch=None, max_workers=None, cancel=None, given=None, **options):
    """Run a pipeline of these phases, with the options ``given``; its result and the watch."""
    watch = watch or Watch()
    pipeline = Pipeline("p", *phases, **options)
    result = pipeline.run(on_event=watch, max_workers=max_workers, cancel=cancel, **(given or {}))
    return result, watch


@contextmanager
def beside(work):
    """``work`` runs in a thread during the block, which is given its future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


@contextmanager
def own_store(pipeline, reducer=None, **options):
    """A store of one's own for a run of ``pipeline``, and its actions; shut down at the end."""
    reducer, told = reducer or pipeline.build_reducer(), []

    def keep(state, action):
        told.append(action)
        return reducer(state, action)

    with Store(keep, None, **options) as store:
        yield store, told


def python(source, *arguments, **environment):
    """What a program of its own prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(source), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=True,
    )
    return ended.stdout


class Calls:
    """The names of handlers in the order of their calls, in a file.

    In memory they would be a part of what the handlers close over, and so of what these are.
    """

    def __init__(self, folder):
        self.file = str(folder / "calls.txt")

    def note(self, name):
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(f"{name} ")

    def all(self):
        try:
            with open(self.file, encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def taken(self):
        """``all``, and none from here on."""
        names = self.all()
        with open(self.file, "w", encoding="utf-8"):
            return names
