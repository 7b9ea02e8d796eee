"""What each phase printed, within bounds: a report must still open where a log does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from milo_pipeline.exports._markup import filtered, from_source, more, named, sign
from milo_pipeline.exports._text import counted, in_words, markup, readable, shortened
from milo_pipeline.phase_status import PhaseLog, PhaseStatus
from milo_pipeline.statuses import FAILED

MOST_OF_ALL: Final = 1_000_000
"""How many bytes the lines of all phases may take, markup included."""
MOST_OF_A_FAILED: Final = 60_000
"""How many of these a failed phase may take, whatever that leaves for the others."""
MOST_OF_A_LINE: Final = 2_000
MOST_OF_AN_ERROR: Final = 500


def log_blocks(phases: Sequence[PhaseStatus]) -> dict[str, str]:
    """The last lines of each phase as markup, by name; none for a phase without lines.

    The phases that failed come first, the others share what that leaves.
    """
    blocks = {}
    left = MOST_OF_ALL
    in_turn = sorted(phases, key=lambda phase: phase.status != FAILED)
    for taken, phase in enumerate(in_turn):
        share = left // (len(in_turn) - taken)
        if phase.status == FAILED:
            share = min(left, max(share, MOST_OF_A_FAILED))
        if phase.logs:
            blocks[phase.name] = block = _block(phase.logs, share)
            left = max(0, left - len(block.encode()))
    return blocks


def details(shown: Iterable[tuple[int, PhaseStatus]], *blocks: dict[str, str]) -> str:
    """A ``<details>`` for each phase, with its part of each of ``blocks``; of a failed one open."""
    return "\n".join(
        _details(i, phase, "".join(each.get(phase.name, "") for each in blocks))
        for i, phase in shown
    )


def _details(i: int, phase: PhaseStatus, block: str) -> str:
    error = (
        f'<p class="error">{markup(shortened(phase.error, MOST_OF_AN_ERROR))}</p>'
        if phase.error
        else ""
    )
    nothing = "" if block or error else '<p class="faint">It printed nothing.</p>'
    is_open = " open" if phase.status == FAILED else ""
    return (
        f'<details class="phase" {filtered(phase)}{is_open}>'
        f"<summary>{sign(phase.status)} {named(phase.name)}"
        f'<span class="faint">{_course(phase)}</span></summary>'
        f'<div class="body" id="p{i}">{error}{block}{nothing}</div></details>'
    )


def _course(phase: PhaseStatus) -> str:
    parts: list[str] = [phase.status]
    if phase.source:
        parts.append(from_source(phase))
    if phase.attempt:
        parts.append(in_words(phase.elapsed))
    if phase.attempt > 1:
        parts.append(counted(phase.attempt, "attempt"))
    if phase.items:
        parts.append(counted(len(phase.items), "item"))
    if phase.logs:
        parts.append(counted(len(phase.logs), "line"))
    return ", ".join(parts)


def _block(logs: Sequence[PhaseLog], most: int) -> str:
    lines: list[str] = []
    for log in reversed(logs):
        line = _line(log)
        size = len(line.encode()) + 1
        if size > most:
            break
        most -= size
        lines.append(line)
    left_out = len(logs) - len(lines)
    note = more(left_out, "earlier line")
    return note + (f"<pre>{chr(10).join(reversed(lines))}</pre>" if lines else "")


def _line(log: PhaseLog) -> str:
    text = escape(shortened(readable(log.line), MOST_OF_A_LINE), quote=False)
    return f'<span class="stderr">{text}</span>' if log.stream == "stderr" else text
