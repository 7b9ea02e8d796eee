"""What simulations raise.

MiloError
└── SimulationError     a simulation cannot go on
    └── SimulationStuck what somebody waits for can never happen
"""

from __future__ import annotations

from milo_core.errors import MiloError


class SimulationError(MiloError):
    """A simulation cannot go on: it does not end, or something in it cannot be simulated."""


class SimulationStuck(SimulationError):
    """Somebody blocks until a saga has come to some point, and nothing can happen any more."""
