"""When each phase ran: a table with a bar for every attempt, as wide as the page is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from milo_pipeline.exports._bars import bar
from milo_pipeline.exports._items import chart_rows
from milo_pipeline.exports._markup import filtered, from_source, named, sign
from milo_pipeline.exports._text import in_words, markup, visible
from milo_pipeline.exports.spans import Span
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState

_TICKS: Final = 4


def gantt(
    state: PipelineState,
    shown: Sequence[tuple[int, PhaseStatus]],
    spans: dict[str, list[Span]],
) -> str:
    """A row for each of the phases ``shown``, which come with their indexes, and some items."""
    items = chart_rows(state, shown)
    rows = "\n".join(
        _row(state, i, phase, spans.get(phase.name, ())) + items.get(phase.name, "")
        for i, phase in shown
    )
    return (
        '<table class="gantt"><thead><tr><th class="name">phase</th>'
        '<th class="state"></th><th class="number">took</th>'
        f"<th>{_axis(state.elapsed)}</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    )


def _row(state: PipelineState, i: int, phase: PhaseStatus, spans: Sequence[Span]) -> str:
    name = named(phase.name)
    return (
        f"<tr {filtered(phase)}>"
        f'<th class="name" scope="row"><a href="#p{i}" title="{name}">{name}</a></th>'
        f'<td class="state">{sign(phase.status)}</td>'
        f'<td class="number">{in_words(phase.elapsed)}</td>'
        f"<td>{_bars(state, phase, spans)}</td></tr>"
    )


def _bars(state: PipelineState, phase: PhaseStatus, spans: Sequence[Span]) -> str:
    """Thin for the whole time of the phase, thick for its attempts."""
    if phase.source:
        return f'<span class="faint">{from_source(phase)}</span>'
    if not spans:
        return ""
    whole = bar(state, phase.started_at, phase.elapsed, 'y="7" height="2" class="rest"')
    attempts = [
        bar(
            state,
            span.started_at,
            span.ended_at - span.started_at,
            f'y="1" height="14" rx="2" class="{span.outcome}"',
            _tip(span),
        )
        for span in spans
    ]
    return f'<svg height="16">{whole if len(spans) > 1 else ""}{"".join(attempts)}</svg>'


def _tip(span: Span) -> str:
    text = f"attempt {span.attempt}: {span.outcome}, {in_words(span.ended_at - span.started_at)}"
    return (
        f"<title>{markup(text + (f', {visible(span.error)[:200]}' if span.error else ''))}</title>"
    )


def _axis(elapsed: float) -> str:
    """The time at each quarter of the width."""
    texts = []
    for tick in range(_TICKS + 1):
        anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
        x = 100 * tick // _TICKS
        words = in_words(elapsed * tick / _TICKS) if tick else "0"
        kind = "" if x in (0, 50, 100) else ' class="between"'  # not on a narrow screen
        texts.append(f'<text x="{x}%" y="12" text-anchor="{anchor}"{kind}>{words}</text>')
    return f'<svg height="16" aria-hidden="true">{"".join(texts)}</svg>'
