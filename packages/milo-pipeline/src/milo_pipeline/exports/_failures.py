"""What went wrong, where a report begins: the failed phases, and what did not happen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from milo_pipeline.exports._items import failed_items
from milo_pipeline.exports._markup import more, named, section, sign
from milo_pipeline.exports._text import counted, in_words, lines_of, markup, shortened
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.result import blocked_by
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import CANCELLED, FAILED, SKIPPED

_MOST_CARDS: Final = 20
_MOST_LISTED: Final = 30
_MOST_BLOCKERS: Final = 5
_MOST_OF_AN_ERROR: Final = 1_000
_MOST_OF_A_TRACEBACK: Final = 12_000


def failures(state: PipelineState, tracebacks: Mapping[str, str]) -> str:
    """A card for each failed phase, as it happened; those that were only cancelled come last."""
    failed = [(i, phase) for i, phase in enumerate(state.phases) if phase.status == FAILED]
    failed.sort(key=lambda each: (each[1].error == CANCELLED, _ended_at(each[1])))
    if not failed:
        return ""
    cards = [_card(i, phase, tracebacks.get(phase.name, "")) for i, phase in failed[:_MOST_CARDS]]
    left_out = more(len(failed) - len(cards), "failed phase")
    return section("What failed", "\n".join([*cards, left_out]))


def never_began(plan: Plan, state: PipelineState) -> str:
    """The phases that a failure kept from beginning, each with what was in its way."""
    blocked = blocked_by(plan, state)
    return _listed(
        f"{counted(len(blocked), 'phase')} never began",
        ((name, _blockers(by)) for name, by in blocked.items()),
        len(blocked),
    )


def skipped(state: PipelineState) -> str:
    """The phases that the run went on without, each with the reason."""
    phases = [phase for phase in state.phases if phase.status == SKIPPED]
    return _listed(
        f"{counted(len(phases), 'phase')} skipped",
        ((phase.name, phase.error) for phase in phases),
        len(phases),
    )


def _card(i: int, phase: PhaseStatus, traceback: str) -> str:
    error = markup(shortened(phase.error or "no reason given", _MOST_OF_AN_ERROR))
    return (
        f'<div class="card"><h3>{sign(phase.status)} <a href="#p{i}">{named(phase.name)}</a></h3>'
        f"<p>{error}</p>{failed_items(phase)}"
        f'<p class="faint">after {in_words(phase.elapsed)}, {counted(phase.attempt, "attempt")}</p>'
        f"{_traceback(traceback)}</div>"
    )


def _traceback(text: str) -> str:
    """The end of a long one: what was raised stands there."""
    if not text:
        return ""
    end = text[-_MOST_OF_A_TRACEBACK:]
    cut = "…" if len(end) < len(text) else ""
    return (
        "<details open><summary>Traceback</summary>"
        f'<pre class="traceback">{cut}{escape(lines_of(end), quote=False)}</pre></details>'
    )


def _listed(title: str, items: Iterable[tuple[str, str]], count: int) -> str:
    if not count:
        return ""
    rows = [
        f"<li>{named(name)} "
        f'<span class="faint">{markup(shortened(reason, _MOST_OF_AN_ERROR))}</span></li>'
        for (name, reason), _ in zip(items, range(_MOST_LISTED), strict=False)
    ]
    left_out = more(count - len(rows), "phase")
    return f"<details><summary>{title}</summary><ul>{''.join(rows)}</ul>{left_out}</details>"


def _blockers(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    rest = len(names) - _MOST_BLOCKERS
    shown = ", ".join(names[:_MOST_BLOCKERS])
    return f"blocked by {shown}" + (f" and {rest} more" if rest > 0 else "")


def _ended_at(phase: PhaseStatus) -> float:
    return phase.started_at + phase.elapsed
