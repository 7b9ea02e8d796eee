"""One HTML file that tells a run: what failed, where the time went, who waited for whom.

Needs nothing but itself, and no script to be read: the script filters, that is all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from milo_pipeline.exports._details import details, log_blocks
from milo_pipeline.exports._failures import failures, never_began, skipped
from milo_pipeline.exports._gantt import gantt
from milo_pipeline.exports._items import item_blocks
from milo_pipeline.exports._look import LOOKS
from milo_pipeline.exports._markup import from_source, more, named, section, table
from milo_pipeline.exports._page import page
from milo_pipeline.exports._text import counted, in_words, shortened
from milo_pipeline.exports.critical import critical_path, slowest
from milo_pipeline.exports.spans import Span, spans_of
from milo_pipeline.exports.svg import drawn
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import CANCELLED, FAILED, PENDING

MOST_PHASES: Final = 600
"""How many phases have a row and details of their own."""
MOST_IN_GRAPH: Final = 400
_MOST_STEPS: Final = 40
_MOST_SLOWEST: Final = 10
_MOST_SOURCES: Final = 5

_Numbered = Sequence[tuple[int, PhaseStatus]]


def html_report(
    pipeline: Pipeline,
    state: PipelineState,
    spans: Sequence[Span],
    tracebacks: Mapping[str, str] | None = None,
) -> str:
    """A page that tells the run, the failed phases first. It fetches nothing and runs nothing.

    All that came from the run is shown as text. A large run is shown in part, failed phases
    and long ones before others, and the last lines of a log before earlier ones; the page
    says what it leaves out. 300 phases with 200 lines each, or 10,000 items, stay below 2 MB.
    """
    plan = pipeline.plan
    shown = _shown(plan, state)
    phases = [phase for _, phase in shown]
    parts = [
        _head(state),
        failures(state, tracebacks or {}),
        never_began(plan, state),
        skipped(state),
        _summary(plan, state),
        _FILTER,
        _timeline(state, shown, spans or spans_of(state)),
        _graph(pipeline, state, {i for i, _ in shown}),
        f"<h2>Phases</h2>\n{details(shown, item_blocks(state, phases), log_blocks(phases))}",
    ]
    return page(f"{shortened(state.name, 100)}: {_verdict(state)}", "\n".join(filter(None, parts)))


def _shown(plan: Plan, state: PipelineState) -> _Numbered:
    """The phases with rows of their own, by the time they began; those that did not come last."""
    known = {phase.name: phase for phase in state.phases}
    phases = [(i, known[plan.phases[i].name]) for i in plan.order if plan.phases[i].name in known]
    if len(phases) > MOST_PHASES:
        by_interest = sorted(phases, key=lambda each: (_dullness(each[1]), -each[1].elapsed))
        phases = by_interest[:MOST_PHASES]
    return sorted(phases, key=lambda each: (each[1].status == PENDING, each[1].started_at))


def _dullness(phase: PhaseStatus) -> int:
    return 0 if phase.status == FAILED else 1 if phase.attempt > 1 else 2


def _verdict(state: PipelineState) -> str:
    """The status, told apart from a failure where somebody stopped the run."""
    return CANCELLED if state.status == FAILED and state.error == CANCELLED else state.status


def _head(state: PipelineState) -> str:
    verdict = _verdict(state)
    counts: Counter[str] = Counter(phase.status for phase in state.phases)
    told = ", ".join(f"{counts[status]:,} {status}" for status in reversed(LOOKS) if counts[status])
    sources = Counter(from_source(phase) for phase in state.phases if phase.source)
    told += "".join(
        f", {number:,} {source}" for source, number in sources.most_common(_MOST_SOURCES)
    )
    return (
        f'<header><div class="head"><h1>{named(state.name)}</h1>'
        f'<span class="badge {verdict}">{LOOKS[verdict].sign} {verdict}</span></div>'
        f'<p class="faint">{counted(len(state.phases), "phase")} in {in_words(state.elapsed)}'
        f"{': ' if told else ''}{told}</p></header>"
    )


def _summary(plan: Plan, state: PipelineState) -> str:
    steps = critical_path(plan, state)
    if not steps:
        return section("Where the time went", "<p>No phase began.</p>")
    path = table(
        ("critical path", "waited", "took"),
        (
            (step.phase, in_words(step.waited), in_words(step.elapsed))
            for step in steps[-_MOST_STEPS:]
        ),
    )
    longest = table(
        ("slowest phases", "attempts", "took"),
        (
            (phase.name, str(phase.attempt), in_words(phase.elapsed))
            for phase in slowest(state, _MOST_SLOWEST)
        ),
    )
    earlier = more(len(steps) - _MOST_STEPS, "earlier step")
    return section(
        "Where the time went",
        f'<div class="columns"><div>{earlier}{path}</div><div>{longest}</div></div>',
    )


def _timeline(state: PipelineState, shown: _Numbered, spans: Iterable[Span]) -> str:
    by_phase: dict[str, list[Span]] = {}
    for span in spans:
        by_phase.setdefault(span.phase, []).append(span)
    left_out = more(len(state.phases) - len(shown), "phase")
    return section("Timeline", gantt(state, shown, by_phase) + left_out)


def _graph(pipeline: Pipeline, state: PipelineState, linked: set[int]) -> str:
    if len(pipeline.phases) > MOST_IN_GRAPH:
        text = f"{counted(len(pipeline.phases), 'phase')} are too many to draw here; "
        return section("Graph", f"<p>{text}<code>milo graph --format svg</code> draws them.</p>")
    if not pipeline.phases:
        return ""
    drawing = drawn(pipeline, state, linked)
    return section("Graph", f'<div class="scroll" tabindex="0">{drawing}</div>')


_FILTER: Final = (
    '<form class="filter" hidden><input name="text" type="search" placeholder="Filter by name" '
    'aria-label="Filter by name" autocomplete="off"><select name="status" aria-label="Status">'
    '<option value="">every status</option>'
    + "".join(f"<option>{status}</option>" for status in LOOKS if status != CANCELLED)
    + "</select></form>"
)
