"""Chance, and all of it from one seed."""

from __future__ import annotations

from random import Random
from typing import Final

_PREEMPTIONS: Final = (0.0, 0.1, 0.4)
_SHORT_TURNS: Final = (0.4, 0.8, 1.0)
_HASTE: Final = (1.0, 0.3, 0.05)
_FULL_TURN: Final = 500


class Choices:
    """What a simulation decides by chance.

    A seed also settles how restless its simulation is: bugs hide from a scheduler that is
    always the same, also from one that always interrupts.

    Args:
        seed: equal seeds choose equally, in every process. With ``None`` nothing is left to
            chance: first come, first served, and no saga is interrupted.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self._random = Random(seed)
        self._preemption = 0.0 if seed is None else self._random.choice(_PREEMPTIONS)
        self._short_turns = 0.0 if seed is None else self._random.choice(_SHORT_TURNS)
        self._haste = 1.0 if seed is None else self._random.choice(_HASTE)

    def below(self, count: int) -> int:
        """One of ``count`` things."""
        return 0 if self.seed is None or count == 1 else int(self._random.random() * count)

    def interrupts(self) -> bool:
        """Whether something else happens in the middle of a saga's turn."""
        return self._preemption > 0.0 and self._random.random() < self._preemption

    def hurries(self) -> bool:
        """Whether what may happen at any time may happen now."""
        return self._haste == 1.0 or self._random.random() < self._haste

    def turn(self) -> int:
        """After how many effects the saga that is next has had its turn."""
        if self.seed is None or self._random.random() >= self._short_turns:
            return _FULL_TURN
        return 1 if self._random.random() < 0.75 else 1 + self.below(6)

    def another(self, purpose: str) -> Random:
        """A source of chance of its own, which does not change what is chosen here."""
        return Random(f"{purpose} of {self.seed}")
