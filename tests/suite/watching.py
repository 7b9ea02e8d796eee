"""``milo run --watch`` in a process of its own, followed line by line."""

import json
import subprocess
import threading

from suite_tools import HANG, environment
from terminals import python_ready_for_signals


class Watching:
    """The command started with ``--watch``; killed, if it still runs, with the ``with`` block.

    Its lines are read as they come. Waiting for one goes on behind the one waited for before.
    """

    def __init__(self, *words, env=None):
        command = ["-W", "error", "-m", "milo", "run", *map(str, words), "--watch"]
        self._process = subprocess.Popen(
            python_ready_for_signals(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**environment(), **(env or {})},
        )
        self.lines, self.errors = [], []
        self._next = 0
        self._more = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in (
                (self._process.stdout, self.lines),
                (self._process.stderr, self.errors),
            )
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self.exit_code()
        self._process.stdout.close()
        self._process.stderr.close()

    def until(self, holds):
        """Wait for a line for which ``holds(line)``; the lines up to it since the last wait."""
        with self._more:
            found = self._more.wait_for(lambda: self._find(holds) is not None, HANG)
            assert found, f"waited in vain; {self.lines[self._next :]}, {self.errors}"
            end = self._find(holds) + 1
            passed, self._next = self.lines[self._next : end], end
            return passed

    def until_it_says(self, text):
        """As ``until``, for a line that holds ``text``."""
        return self.until(lambda line: text in line)

    def until_it_warns(self, text):
        """Wait until a line on standard error holds ``text``."""
        with self._more:
            found = self._more.wait_for(lambda: any(text in each for each in self.errors), HANG)
        assert found, f"waited in vain; {self.errors}"

    def until_it_waits(self):
        """The story up to the next time it waits, told shortly; for ``--json``."""
        return told(self.until_it_says('"event": "watching"'))

    def send(self, signum):
        self._process.send_signal(signum)

    def exit_code(self):
        """Wait for the end and return the exit code."""
        code = self._process.wait(HANG)
        for reader in self._readers:
            reader.join()
        return code

    def _find(self, holds):
        ahead = range(self._next, len(self.lines))
        return next((i for i in ahead if holds(self.lines[i])), None)

    def _read(self, stream, lines):
        for line in stream:
            with self._more:
                lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._more.notify_all()


def told(lines):
    """What lines of JSON say, each in a word or two: ``ran parse``, ``kept write``."""
    started, story = set(), []
    for event in map(json.loads, lines):
        kind, phase = event["event"], event.get("phase")
        if kind == "files_changed":
            story.append(f"changed {' '.join(event['files'])}")
        elif kind == "pipeline_started":
            started.clear()
        elif kind == "phase_started":
            started.add(phase)
        elif kind == "phase_completed":
            story.append(f"{'ran' if phase in started else 'kept'} {phase}")
        elif kind in ("phase_skipped", "phase_failed"):
            story.append(f"{kind.removeprefix('phase_')} {phase}")
        elif kind == "watching":
            story.append(f"waits after {event['exit_code']}")
    return story
