"""What can happen next in a simulation, and letting one thing of it happen.

A *source* is something in which things can happen: ready sagas, timers whose time has come,
an event loop, errands from outside. All of it happens on one thread. What is one thread of
many in the real world is a *frame* here: it runs to its end, or until it lets something else
happen, in a frame above it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

from milo_effects.task import SagaTask
from milo_effects.testing._choices import Choices
from milo_effects.testing.clock import VirtualClock, VirtualTimer
from milo_effects.testing.errors import SimulationError, SimulationStuck

Note = Callable[[str, str], None]

OUTSIDE: Final = "outside"
"""Who acts in a trace when it is no saga."""


class Source(Protocol):
    """Something in which things can happen."""

    def count(self) -> int:
        """How many things could happen here now."""

    def happen(self, index: int) -> None:
        """Let one of them happen."""


class World:
    """Time, the sources, and the frames of one simulation.

    Args:
        choices: what decides.
        max_steps: after how many happenings a simulation that does not end is given up.
    """

    def __init__(self, choices: Choices, max_steps: int) -> None:
        self.choices = choices
        self.sources: list[Source] = []
        self.clocks: list[VirtualClock] = []
        self.frames: list[SagaTask | None] = []
        """The saga that runs, those in whose midst it does, and ``None`` for any other thread."""
        self.now = 0.0
        self.steps = 0
        self.is_given_up = False
        """Whether it has failed and is being cleaned up, which must end and must not raise."""
        self.is_at_rest = False
        """Whether nothing can happen but what has been put off."""
        self.patient: Callable[[], int] = int
        """How many of the things that can happen might as well happen later."""
        self.parked: Callable[[], str] = str
        """Says who waits for what, for messages."""
        self._max_steps = max_steps
        self._fault: BaseException | None = None
        self._thread = threading.get_ident()
        self.sources.append(_Timers(self))

    def new_clock(self) -> VirtualClock:
        """A clock that shows the time of this world."""
        clock = VirtualClock(self.now)
        self.clocks.append(clock)
        return clock

    # Letting things happen

    def run(self, seconds: float | None = None) -> None:
        """Let things happen until nothing can, or until ``seconds`` have passed."""
        limit = None if seconds is None else self.now + seconds
        while self._go_on(limit):
            pass
        if limit is not None:
            self._move_to(limit)

    def run_until(self, reached: Callable[[], bool], timeout: float | None) -> bool:
        """Let things happen until ``reached()``; ``False`` if ``timeout`` seconds pass first.

        Raises:
            SimulationStuck: nothing can happen any more.
        """
        limit = None if timeout is None else self.now + timeout
        while not reached():
            if self.is_given_up and self.steps >= self._max_steps:
                self.steps = 0
                return False
            if self._go_on(limit):
                continue
            if limit is None and self.is_given_up:
                return False
            if limit is None:
                raise SimulationStuck(
                    "somebody blocks (in result, wait_idle, shutdown or sleep) and nothing can "
                    f"happen any more that would end that; {self.parked()}. Functions that "
                    "block are for sim.later(..., blocking=True), or for after sim.run()"
                )
            self._move_to(limit)
            return reached()
        return True

    def interrupt(self) -> None:
        """In the midst of a saga's turn: let other threads get ahead of it, perhaps."""
        while self.choices.interrupts() and self._fault is None and self.steps < self._max_steps:
            if not self._choose(self._counts(), 0):
                return

    def as_another_thread(self, work: Callable[[], object]) -> None:
        """Do ``work`` in a frame and context of its own. What it raises ends the simulation."""
        self.frames.append(None)
        try:
            Context().run(work)
        except BaseException as error:  # a test's own failure; must not reach a saga below
            self.fail(error)
        finally:
            self.frames.pop()

    def fail(self, error: BaseException) -> None:
        """End the simulation with ``error``, as soon as nothing is in the way."""
        self._fault = self._fault or error

    def give_up(self) -> None:
        """Leave nothing to chance, raise nothing, and have everything that blocks end."""
        self.is_given_up = True
        self.steps = 0
        self.choices = Choices(None)

    def check_thread(self) -> None:
        """Refuse other threads: what they do could not be repeated.

        Raises:
            SimulationError: the calling thread is not the simulation's.
        """
        if threading.get_ident() != self._thread:
            raise SimulationError(
                f"{threading.current_thread().name} uses a store that is simulated on another "
                "thread; in a simulation, what other threads do is given to sim.later(...), and "
                "a store is shut down neither by a listener nor by a coroutine"
            )

    # One thing

    def _go_on(self, limit: float | None) -> bool:
        """Let one thing happen, or time pass; ``False`` if there is nothing before ``limit``."""
        if not self.is_given_up:
            self._check()
        counts = self._counts()
        due = self._next_due() if sum(counts) == self.patient() else None
        if due is not None and (limit is None or due <= limit):
            return self._choose(counts, 1, due)
        return self._choose(counts, 0) or self._choose_what_was_put_off()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self.steps >= self._max_steps:
            raise SimulationError(
                f"the simulation has not ended after {self._max_steps} steps, at {self.now:g} s; "
                "give sim.run(seconds) or simulate(until=seconds) an end, or a larger max_steps"
            )

    def _choose_what_was_put_off(self) -> bool:
        self.is_at_rest = True
        counts = self._counts()
        self.is_at_rest = False
        return self._choose(counts, 0)

    def _counts(self) -> list[int]:
        return [source.count() for source in self.sources]

    def _choose(self, counts: list[int], later: int, due: float = 0.0) -> bool:
        """Let one of all these things happen, or the time pass until ``due``."""
        total = sum(counts) + later
        if total == 0:
            return False
        self.steps += 1
        index = self.choices.below(total)
        for source, count in zip(self.sources, counts, strict=True):
            if index < count:
                source.happen(index)
                return True
            index -= count
        self._move_to(due)
        return True

    # Time

    def _next_due(self) -> float | None:
        dues = [due for clock in self.clocks if (due := clock.next_due()) is not None]
        return min(dues, default=None)

    def _move_to(self, moment: float) -> None:
        self.now = max(self.now, moment)
        for clock in self.clocks:
            clock.move_to(self.now)


class _Timers:
    """The timers whose time has come, of all clocks: any of them may be next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: list[VirtualTimer] = []

    def count(self) -> int:
        for clock in self._world.clocks:
            self._due += clock.take_due()
        if self._due:
            self._due = [timer for timer in self._due if timer.is_set]
        return len(self._due)

    def happen(self, index: int) -> None:
        self._world.as_another_thread(self._due.pop(index).fire)
