"""Keys over a running pipeline: which phase is selected, whose lines are shown, from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from milo_core import Action, Key, Quit, SpecialKey
from milo_core.actions import KEY
from milo_core.results import unwrap, wrap
from milo_pipeline._lines import line_count
from milo_pipeline.state import PipelineState


@dataclass(frozen=True, slots=True)
class PipelineViewState:
    """UI state for the pipeline detail view, around the state of the run itself.

    ``log_scroll`` is the first line shown of the selected phase, ``log_height`` how many
    fit. With ``auto_follow`` the last lines stay in sight as more arrive.
    """

    pipeline: PipelineState
    selected_phase: int = 0
    expanded: bool = False
    log_scroll: int = 0
    auto_follow: bool = True
    log_height: int = 20


Press: TypeAlias = Callable[[PipelineViewState], PipelineViewState | Quit]
DetailReducer: TypeAlias = Callable[[PipelineViewState | None, Action], Any]


def make_detail_reducer(pipeline_reducer: Callable[..., Any]) -> DetailReducer:
    """A reducer of ``PipelineViewState`` that answers keys and leaves the rest to the inner one.

    A key never reaches the inner reducer, except as the very first action. What the inner
    one returns besides a state (``ReducerResult``, ``Quit``) is kept, around the view. The
    first state may be ``None``, a view, or a ``PipelineState``, which becomes a view of it.
    The same view comes back when nothing changed.

    Overview: ↑ ↓ select, Enter or space shows the phase's lines, Esc or q quits. Lines:
    ↑ ↓ scroll, g or Home goes to the top and G or End to the bottom, f turns following on
    and off, Enter, space or Esc goes back, q quits.

    >>> from milo_pipeline import Phase, Pipeline
    >>> reducer = make_detail_reducer(Pipeline("build", Phase("parse", print)).build_reducer())
    >>> view = reducer(None, Action("@@KEY", Key(name=SpecialKey.ENTER)))
    >>> view.expanded
    True
    """

    def reduce(state: PipelineViewState | PipelineState | None, action: Action) -> Any:
        view = PipelineViewState(state) if isinstance(state, PipelineState) else state
        if view is not None and action.type == KEY:
            return _pressed(view, action.payload)
        outcome = unwrap(pipeline_reducer(None if view is None else view.pipeline, action))
        view = _showing(view, outcome.state)
        answer = _pressed(view, action.payload) if action.type == KEY else view
        return wrap(replace(outcome, state=answer))

    return reduce


def _showing(view: PipelineViewState | None, pipeline: PipelineState) -> PipelineViewState:
    """``view`` of a newer state, the last lines in sight where they are followed."""
    if view is None:
        return PipelineViewState(pipeline)
    if pipeline is view.pipeline:
        return view
    newer = replace(view, pipeline=pipeline)
    return _scrolled_to(newer, newer.log_scroll) if newer.expanded else newer


def _pressed(view: PipelineViewState, key: object) -> PipelineViewState | Quit:
    if not isinstance(key, Key) or key.ctrl or key.alt:
        return view
    press = (_LINES if view.expanded else _OVERVIEW).get(key.name or key.char)
    return view if press is None else press(view)


def _select(steps: int) -> Press:
    def press(view: PipelineViewState) -> PipelineViewState:
        last = view.pipeline._phase_count() - 1
        return _with(view, selected_phase=max(0, min(view.selected_phase + steps, last)))

    return press


def _expand(view: PipelineViewState) -> PipelineViewState:
    if view.pipeline._phase_count() == 0:
        return view
    selected = min(max(0, view.selected_phase), view.pipeline._phase_count() - 1)
    return _scrolled_to(replace(view, expanded=True, selected_phase=selected), 0)


def _collapse(view: PipelineViewState) -> PipelineViewState:
    return replace(view, expanded=False)


def _scroll_up(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(_with(view, auto_follow=False), view.log_scroll - 1)


def _scroll_down(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(view, view.log_scroll + 1)


def _to_top(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(_with(view, auto_follow=False), 0)


def _to_bottom(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(_with(view, auto_follow=False), _bottom(view))


def _toggle_follow(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(replace(view, auto_follow=not view.auto_follow), view.log_scroll)


def _quit(view: PipelineViewState) -> Quit:
    return Quit(view)


def _scrolled_to(view: PipelineViewState, line: int) -> PipelineViewState:
    """``view`` from ``line`` on, as far as there are lines; at the bottom when it follows."""
    bottom = _bottom(view)
    return _with(view, log_scroll=bottom if view.auto_follow else max(0, min(line, bottom)))


def _bottom(view: PipelineViewState) -> int:
    """The first line shown when the last one is."""
    if not 0 <= view.selected_phase < view.pipeline._phase_count():
        return 0
    lines = line_count(view.pipeline._phase_at(view.selected_phase)._lines)
    return max(0, lines - view.log_height)


def _with(view: PipelineViewState, **changes: Any) -> PipelineViewState:
    """``view`` with ``changes``, and the same one when they change nothing."""
    if all(getattr(view, name) == value for name, value in changes.items()):
        return view
    return replace(view, **changes)


_OVERVIEW: Final[dict[str | SpecialKey, Press]] = {
    SpecialKey.UP: _select(-1),
    SpecialKey.DOWN: _select(+1),
    SpecialKey.ENTER: _expand,
    " ": _expand,
    SpecialKey.ESCAPE: _quit,
    "q": _quit,
}
_LINES: Final[dict[str | SpecialKey, Press]] = {
    SpecialKey.UP: _scroll_up,
    SpecialKey.DOWN: _scroll_down,
    "g": _to_top,
    SpecialKey.HOME: _to_top,
    "G": _to_bottom,
    SpecialKey.END: _to_bottom,
    "f": _toggle_follow,
    SpecialKey.ENTER: _collapse,
    " ": _collapse,
    SpecialKey.ESCAPE: _collapse,
    "q": _quit,
}
