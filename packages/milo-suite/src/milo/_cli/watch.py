"""``milo run --watch``: run, wait until files change, run again what they affect.

Everything happens on the main thread; the watcher's threads and signals only leave word in
an inbox. What changes while a phase runs is found there when the run has ended.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from watchfiles import Change

from milo._cli.artifacts import Artifacts
from milo._cli.displays import Output
from milo._cli.errors import CommandError, refuse
from milo._cli.execution import Run
from milo._cli.interrupts import exit_code_of, signals_told_to
from milo._cli.known_files import KnownFiles
from milo._cli.loading import folder_of
from milo._cli.local_code import LocalCode
from milo._cli.resolve import resolve_pipeline
from milo._cli.run_choices import RunChoices
from milo._cli.target import parse_target
from milo._cli.watch_list import WatchList
from milo._cli.watcher import Batch, Roots, Watcher
from milo_core.errors import MiloError
from milo_pipeline import Pipeline, PipelineResult
from milo_pipeline.caching import DEFAULT_CACHE
from milo_pipeline.text import one_line

Word: TypeAlias = "Batch | int | Exception"
"""Changes; a signal; what ended the watching."""

_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of each run."""

    choices: RunChoices
    artifacts: Artifacts
    debug: bool

    def products(self) -> list[str]:
        """The files and folders that runs write beside what phases do."""
        cache, checkpoint = self.choices.cache or DEFAULT_CACHE, self.choices.checkpoint
        written = [self.artifacts.timeline, self.artifacts.trace, self.artifacts.report]
        if checkpoint is not None:
            written += [f"{checkpoint}{end}" for end in ("", "-wal", "-shm", "-journal")]
        return [cache, *(path for path in written if path is not None)]


class Watch:
    """One target, run again and again until a signal comes."""

    def __init__(self, target: str, args: tuple[str, ...], output: Output, options: Options):
        source = parse_target(target).source
        self._target, self._args = target, args
        self._folder: Path = folder_of(source)
        self._code = LocalCode(source)
        self._output = output
        self._options = options
        self._inbox: SimpleQueue[Word] = SimpleQueue()
        self._watcher = Watcher(self._inbox.put)
        self._known = KnownFiles()
        self._list = WatchList(None, self._folder, frozenset())
        self._roots = Roots(frozenset(), frozenset())
        self._pipeline: Pipeline | None = None
        self._result: PipelineResult | None = None
        self._has_run = False
        self._exit_code = 0

    def run(self) -> int:
        """Run and wait until the end; the exit code of the last run, or of what ended it.

        A reader that has gone away ends it too, once something was to be written for it.

        Raises:
            MiloError: the first run cannot be, or nothing can be watched or written any more.
        """
        with self._watcher:
            self._load()
            self._options.artifacts.check()
            interrupted = self._run()
            while not (interrupted or self._output.is_lost):
                files = self._next_changes()
                if isinstance(files, int):
                    return self._exit_code if files == signal.SIGINT else exit_code_of(files)
                self._say_changed(files)
                interrupted = self._run_again(files)
        return self._exit_code

    def _run_again(self, files: list[str]) -> bool:
        """Run what ``files`` affect; an error is shown and waits for the next change."""
        try:
            if any(map(self._list.is_code, files)):
                self._code.forget(files)
                self._load()
            return self._run(self._list.phases_reading(files))
        except MiloError as error:
            if self._output.is_lost:
                raise
            if self._options.debug:
                traceback.print_exception(error.__cause__ or error)
            self._exit_code = refuse(str(error))
            return False

    def _load(self) -> None:
        """Load the target and watch what it needs, also if it does not load."""
        begun = time.time_ns()
        self._pipeline = self._result = None
        try:
            self._pipeline = resolve_pipeline(self._target, self._args)
        finally:
            code = self._code.files()
            self._list = WatchList(self._pipeline, self._folder, code, self._options.products())
            self._keep_watching()
        edited = {(Change.modified, file) for file in code if _is_written_since(begun, file)}
        if edited:  # maybe before it was watched; then nothing else tells of it
            self._inbox.put(edited)

    def _run(self, changed: Iterable[str] = ()) -> bool:
        """Run the pipeline, or what of it has ``changed``; whether a signal came meanwhile."""
        assert self._pipeline is not None
        options = self._options.choices.for_run(self._pipeline)
        options["force"] = options["force"] and not self._has_run
        if self._result is not None:
            options |= {"resume_from": self._result, "changed": changed}
        run = Run(
            self._pipeline, self._output.display(self._pipeline), options, self._options.artifacts
        )
        self._has_run = True
        try:
            self._exit_code = run.execute()
        finally:
            self._result = run.result
        if self._options.debug and run.result is not None:
            for error in run.result.errors.values():
                traceback.print_exception(error)
        return run.was_interrupted

    def _next_changes(self) -> list[str] | int:
        """The files that have changed since the last time, or the signal that comes first."""
        with signals_told_to(self._inbox.put):
            with suppress(Empty):
                if changed := self._sorted_out(self._inbox.get_nowait()):
                    return changed
            self._say_watching()
            while True:
                if changed := self._sorted_out(self._inbox.get()):
                    return changed

    def _sorted_out(self, word: Word) -> list[str] | int:
        """What counts of ``word`` and of all that has arrived since."""
        batch: Batch = set()
        while True:
            if isinstance(word, Exception):
                raise CommandError(f"changes can no longer be watched: {word}") from word
            if isinstance(word, int):
                return word
            batch |= word
            try:
                word = self._inbox.get_nowait()
            except Empty:
                break
        # First, or what happens in a folder that is new might be neither told of nor found.
        if any(path in root for _, path in batch for root in self._roots):
            self._roots = Roots(frozenset(), frozenset())
        self._keep_watching()
        concerned = sorted(filter(self._list.counts, self._known.concerned(batch)))
        return [file for file in concerned if self._known.is_new(file)]

    def _keep_watching(self) -> None:
        """See that what counts is watched although folders have come or gone."""
        while (roots := self._list.roots()) != self._roots:
            try:
                self._watcher.watch(roots)
            except CommandError:
                if roots == self._list.roots():
                    raise
                continue  # a folder has gone in this moment
            self._roots = roots
            self._known.look_at(roots)

    def _say_watching(self) -> None:
        count = len(self._list)
        what = "1 file or folder" if count == 1 else f"{count} files and folders"
        self._output.say(
            f"watching {what} for changes, Ctrl-C to stop",
            {"event": "watching", "at": 0.0, "exit_code": int(self._exit_code), "count": count},
        )

    def _say_changed(self, files: list[str]) -> None:
        names = [_shown(file) for file in files]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        listed = ", ".join(map(one_line, names[:_MOST_NAMED]))
        self._output.say(
            f"changed: {listed}{more}", {"event": "files_changed", "at": 0.0, "files": names}
        )


def _is_written_since(begun: int, file: str) -> bool:
    try:
        return os.stat(file).st_mtime_ns > begun
    except OSError:  # it has gone, which is told of if it was there when the watching began
        return False


def _shown(file: str) -> str:
    try:
        return os.path.relpath(file)
    except ValueError:  # on another drive
        return file
