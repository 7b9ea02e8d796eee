"""What a run knows of earlier ones, and what it leaves to later ones: checkpoint and cache.

Where the caller says what is kept of an earlier run, that is what is known; then the checkpoint
is only written.

Only ``run_pipeline`` opens these files, so a run in a store of one's own has none. Looking up
and keeping read and write files; the run's sagas have them done by a ``Call``, each for its
own phase.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from milo_capture import Line
from milo_pipeline._execution import Completed, LeftOut, Outcome, Skipped
from milo_pipeline.persistence import (
    CacheError,
    Checkpoint,
    FingerprintError,
    PhaseCache,
    code_fingerprint,
    define,
    input_fingerprint,
    value_fingerprint,
)
from milo_pipeline.phase import Phase
from milo_pipeline.phase_status import PhaseLog
from milo_pipeline.run_plan import RunPlan

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline

_log = logging.getLogger(__name__)


class Memory:
    """The files of one run, open from its start to its end.

    ``kept`` is what came of the phases that need not run again, in place of what the checkpoint
    has of them.

    Raises:
        CheckpointError, CacheError: a file or folder is damaged, foreign or in use; it has
            been left as it was.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: RunPlan,
        *,
        checkpoint: str | None = None,
        cache: str | None = None,
        force: bool = False,
        kept: Mapping[int, Outcome] | None = None,
    ) -> None:
        self._kept = kept
        self._pipeline = pipeline
        self._params = plan.params
        self._is_whole = not plan.left_out
        self._keys: dict[str, str] = {}
        self._inputs: dict[str, str] = {}
        self._heard: dict[str, deque[PhaseLog]] = {}
        self._cache = None if cache is None else PhaseCache(cache, force=force)
        if self._cache is not None:
            self._cache.refuse_unless_usable()
        self._checkpoint = None if checkpoint is None else self._open(checkpoint)

    def done_before(self) -> dict[int, Outcome]:
        """What came of each phase that need not run again."""
        if self._kept is not None:
            return dict(self._kept)
        if self._checkpoint is None:
            return {}
        index, done = self._pipeline.plan.index, dict[int, Outcome]()
        for name, kept in self._checkpoint.completed().items():
            done[index[name]] = (
                Completed(kept.result, "checkpoint")
                if kept.status == "completed"
                else LeftOut("skipped by the run that this one resumes")
            )
        return done

    def look_up(self, phase: Phase, context: Mapping[str, Any]) -> Completed | None:
        """What the phase returned when everything it depends on was the same, if it is cached.

        Raises:
            CacheError: what is kept there cannot be trusted; it has been left as it was.
            FingerprintError: a declared input is not there.
        """
        if self._cache is None or phase.cache is None:
            return None
        key = self._key(phase, context)
        hit = None if key is None else self._cache.load(key, phase.cache.outputs)
        if key is not None:
            said = () if hit is None else hit.logs
            self._heard[phase.name] = deque(said, maxlen=phase.max_logs)
        return None if hit is None else Completed(hit.result, "cache")

    def hear(self, name: str, line: Line) -> None:
        """Take note of what a phase says, if it is to be cached. Called by the feed's thread."""
        heard = self._heard.get(name)
        if heard is not None:
            heard.append(PhaseLog(line.text, line.stream))  # its time says nothing to a later run

    def said_before(self, name: str) -> Iterable[PhaseLog]:
        """What a phase said in the run that its result was looked up of, the last lines of it."""
        return self._heard.pop(name, ())

    def keep(self, phase: Phase, outcome: Outcome) -> None:
        """Write down how the phase has ended; it is on its way to the disk when this returns.

        A result that cannot be cached is logged as a warning.
        """
        if isinstance(outcome, Completed) and not outcome.source:
            self._store(phase, outcome.result)
        if self._checkpoint is not None and isinstance(outcome, Completed):
            self._checkpoint.record(phase.name, "completed", outcome.result)
        elif self._checkpoint is not None and isinstance(outcome, Skipped | LeftOut):
            self._checkpoint.record(phase.name, "skipped")

    def close(self, *, completed: bool) -> None:
        """Let go of the files; after a whole and completed run the next one starts afresh."""
        if self._checkpoint is None:
            return
        if completed and self._is_whole:
            self._checkpoint.finish()
        else:
            self._checkpoint.close()

    def _open(self, path: str) -> Checkpoint:
        definitions = {
            phase.name: define(phase, self._params_of(phase)) for phase in self._pipeline.phases
        }
        checkpoint = Checkpoint.open(path, self._pipeline.name, definitions)
        if self._kept is not None:
            phases = self._pipeline.phases
            kept = {phases[i].name for i in self._kept}
            checkpoint.forget(each.name for each in phases if each.name not in kept)
            return checkpoint
        for name, reason in checkpoint.again.items():
            _log.warning("phase %r runs again: %s", name, reason)
        return checkpoint

    def _key(self, phase: Phase, context: Mapping[str, Any]) -> str | None:
        """The key of the phase's result; ``None`` where what it is made from cannot be told."""
        assert phase.cache is not None
        assert self._cache is not None
        inputs = input_fingerprint(phase.cache.inputs)
        try:
            needed = {name: value_fingerprint(context[name]) for name in phase.depends_on}
        except FingerprintError as error:
            _log.warning("phase %r is not cached: a result it depends on: %s", phase.name, error)
            return None
        key = self._cache.key(
            phase.name,
            code_fingerprint(phase.handler),
            inputs,
            self._params_of(phase),
            needed,
            version=phase.cache.version,
        )
        self._keys[phase.name], self._inputs[phase.name] = key, inputs
        return key

    def _store(self, phase: Phase, result: Any) -> None:
        key = self._keys.get(phase.name)
        if key is None or self._cache is None or phase.cache is None:
            return
        if input_fingerprint(phase.cache.inputs) != self._inputs[phase.name]:
            _log.warning("phase %r is not cached: its inputs changed while it ran", phase.name)
            return
        try:
            logs = self._heard[phase.name].copy()  # a thread of the handler's may go on talking
            prevented = self._cache.store(key, result, logs=logs, outputs=phase.cache.outputs)
        except CacheError as error:  # the phase has done its work: that is what counts
            _log.warning("the result of phase %r is not cached: %s", phase.name, error)
            return
        if prevented:
            _log.warning(
                "the result of phase %r is not cached: it holds %s; return plain values, "
                "paths, dataclasses or enums",
                phase.name,
                ", ".join(prevented),
            )

    def _params_of(self, phase: Phase) -> dict[str, Any]:
        return {name: self._params[name] for name in phase.params}
