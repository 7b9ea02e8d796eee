"""How a status looks, in every picture: a sign and a colour, for neither says it alone.

The colours are those of Okabe and Ito, which also differ for the colour-blind, and can be
told from both a white and a black ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from milo_pipeline.graph import Plan
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RETRYING,
    RUNNING,
    SKIPPED,
)


@dataclass(frozen=True, slots=True)
class Look:
    """A sign, a strong colour for edges and bars, a pale one that black text stands on."""

    sign: str
    strong: str
    pale: str


LOOKS: Final[dict[str, Look]] = {
    PENDING: Look("○", "#888888", "#f2f2f2"),
    RUNNING: Look("●", "#0072b2", "#cfe6f5"),
    RETRYING: Look("↻", "#e69f00", "#fbeac6"),
    COMPLETED: Look("✓", "#009e73", "#cfeee4"),
    SKIPPED: Look("↷", "#cc79a7", "#f5e1ec"),
    FAILED: Look("✗", "#d55e00", "#fadcc8"),
    CANCELLED: Look("⊘", "#777777", "#e4e4e4"),
}
"""For each status of a phase and each outcome of an attempt."""


def statuses_of(plan: Plan, state: PipelineState | None) -> list[str]:
    """The status of each phase of ``plan``, by index; ``""`` for all without a state."""
    if state is None:
        return [""] * len(plan.phases)
    known = {phase.name: phase.status for phase in state.phases}
    return [known.get(phase.name, PENDING) for phase in plan.phases]


def label(name: str, status: str) -> str:
    """The name, behind the sign of its status if it has one."""
    return f"{LOOKS[status].sign} {name}" if status else name
