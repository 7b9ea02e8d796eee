"""What comes from outside in a simulation: other threads, and people."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from milo_effects.testing._world import OUTSIDE, Note, World

Step: TypeAlias = tuple[str, Callable[[], object]]
"""What it is called in a trace, and the function."""


class Errands:
    """The errands under way. Each is a thread of the real world, with one step after another.

    Args:
        world: where they happen.
        note: is told of each step.
    """

    def __init__(self, world: World, note: Note) -> None:
        self._world = world
        self._note = note
        self._errands: list[_Errand] = []
        self._offered: list[_Errand] = []
        """Those that can happen now, as last counted."""
        world.sources.append(self)
        world.patient = self.patient

    def send(self, steps: Sequence[Step], at: float | None, blocking: bool) -> None:
        """Have ``steps`` happen one after the other: at any time, or not before ``at``."""
        errand = _Errand(steps, is_patient=at is None, blocking=blocking)
        if at is None:
            self._errands.append(errand)
        else:
            seconds = max(0.0, at - self._world.now)
            self._world.clocks[0].call_later(seconds, partial(self._errands.append, errand))

    def patient(self) -> int:
        """How many of those that were counted might as well happen later."""
        return sum(errand.is_patient for errand in self._offered)

    # As a source

    def count(self) -> int:
        self._offered = [errand for errand in self._errands if self._can_happen(errand)]
        return len(self._offered)

    def happen(self, index: int) -> None:
        errand = self._offered[index]
        self._errands.remove(errand)
        name, work = errand.steps.popleft()
        self._note(OUTSIDE, name)
        self._world.as_another_thread(work)
        if errand.steps:
            self._errands.append(errand)

    def _can_happen(self, errand: _Errand) -> bool:
        if errand.blocking and self._world.frames:
            return False  # it needs a thread of its own: no other may be in the midst of anything
        return not errand.is_patient or self._world.is_at_rest or self._world.choices.hurries()


class _Errand:
    __slots__ = ("blocking", "is_patient", "steps")

    def __init__(self, steps: Sequence[Step], *, is_patient: bool, blocking: bool) -> None:
        self.steps = deque(steps)
        self.is_patient = is_patient
        self.blocking = blocking
