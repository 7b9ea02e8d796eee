"""The items of a phase with ``map_over=`` in a report: failed ones first, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from milo_pipeline.exports._bars import bar
from milo_pipeline.exports._look import LOOKS
from milo_pipeline.exports._markup import filtered, more, named, sign
from milo_pipeline.exports._text import counted, in_words, markup, shortened
from milo_pipeline.exports.spans import outcome_of
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import CANCELLED, FAILED, PENDING, SKIPPED

MOST_OF_ALL: Final = 300_000
"""How many bytes the items of all phases may take in their details, markup included."""
MOST_IN_CHART: Final = 80_000
"""How many bytes they may take among the phases in the chart."""
MOST_OF_A_CHART: Final = 5
"""How many items of one phase stand in the chart."""
_MOST_OF_AN_ERROR: Final = 200
_MOST_NAMED: Final = 5


def item_blocks(state: PipelineState, phases: Sequence[PhaseStatus]) -> dict[str, str]:
    """A table of the items of each phase as markup, by name; none for a phase without items.

    The phases share the room, those with failures before others.
    """
    mapped = sorted((each for each in phases if each.items), key=_has_not_failed)
    left, blocks = MOST_OF_ALL, {}
    for taken, phase in enumerate(mapped):
        rows = _rows(state, phase, left // (len(mapped) - taken), len(phase.items))
        left -= sum(map(_size, rows))
        blocks[phase.name] = _block(phase, rows)
    return blocks


def chart_rows(state: PipelineState, shown: Iterable[tuple[int, PhaseStatus]]) -> dict[str, str]:
    """A few rows of items to stand below their phase in the chart, by the phase's name.

    Where there is no room for those of all phases, the phases that failed have theirs.
    """
    left, found = MOST_IN_CHART, {}
    mapped = [(i, phase) for i, phase in shown if phase.items]
    for i, phase in sorted(mapped, key=lambda each: _has_not_failed(each[1])):
        rows = _rows(state, phase, left, MOST_OF_A_CHART)
        if left_out := len(phase.items) - len(rows):
            rows.append(
                f'<tr class="item" data-name="{named(phase.name)}" data-status="{phase.status}">'
                f'<th class="name"><a href="#p{i}">and {counted(left_out, "more item")}</a></th>'
                "<td></td><td></td><td></td></tr>"
            )
        left = max(0, left - sum(map(_size, rows)))
        found[phase.name] = "\n".join(rows)
    return found


def failed_items(phase: PhaseStatus) -> str:
    """Which items failed, in a sentence; nothing if none did."""
    failed = [item.name for item in phase.items if outcome_of(item) == FAILED]
    if not failed:
        return ""
    names = ", ".join(map(named, failed[:_MOST_NAMED]))
    rest = len(failed) - _MOST_NAMED
    others = f" and {rest:,} more" if rest > 0 else ""
    return f"<p>{len(failed):,} of {counted(len(phase.items), 'item')} failed: {names}{others}.</p>"


def _has_not_failed(phase: PhaseStatus) -> bool:
    return phase.status != FAILED


def _rows(state: PipelineState, phase: PhaseStatus, room: int, most: int) -> list[str]:
    """The rows of the most interesting items that began, as many as there is room for."""
    rows: list[str] = []
    begun = (item for item in phase.items if item.status != PENDING)
    for item in sorted(begun, key=_dullness):
        row = _row(state, item)
        room -= _size(row)
        if room < 0 or len(rows) == most:
            break
        rows.append(row)
    return rows


def _row(state: PipelineState, item: PhaseStatus) -> str:
    error = (
        f'<span class="faint">{markup(shortened(item.error, _MOST_OF_AN_ERROR))}</span>'
        if item.error
        else ""
    )
    return (
        f'<tr class="item" {filtered(item)}><th class="name">{named(item.name)}</th>'
        f'<td class="state">{sign(item.status)}</td>'
        f'<td class="number">{in_words(item.elapsed)}</td>'
        f"<td>{_bar(state, item)}{error}</td></tr>"
    )


def _bar(state: PipelineState, item: PhaseStatus) -> str:
    """Over all attempts, which a status does not tell apart."""
    outcome = outcome_of(item)
    tip = f"<title>{outcome}, {counted(item.attempt, 'attempt')}</title>"
    shape = f'y="1" height="8" rx="2" class="{outcome}"'
    return f'<svg height="10">{bar(state, item.started_at, item.elapsed, shape, tip)}</svg>'


def _block(phase: PhaseStatus, rows: list[str]) -> str:
    counts: Counter[str] = Counter(outcome_of(item) for item in phase.items)
    told = ", ".join(f"{counts[word]:,} {word}" for word in reversed(LOOKS) if counts[word])
    is_open = " open" if counts[FAILED] else ""
    left_out = more(len(phase.items) - len(rows), "item")
    return (
        f'<details class="items"{is_open}><summary>{counted(len(phase.items), "item")}: {told}'
        f'</summary><table class="gantt"><tbody>{"".join(rows)}</tbody></table>{left_out}</details>'
    )


def _dullness(item: PhaseStatus) -> tuple[int, float]:
    """Failed, skipped, repeated, then the longest; what was cancelled comes last."""
    outcome = outcome_of(item)
    if outcome in (FAILED, SKIPPED):
        return (0 if outcome == FAILED else 1), 0.0
    if outcome == CANCELLED:
        return 4, 0.0
    return (2 if item.attempt > 1 else 3), -item.elapsed


def _size(row: str) -> int:
    return len(row.encode()) + 1
