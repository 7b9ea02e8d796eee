"""Keys over a running pipeline: which phase is selected, whose lines are shown, from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Final, TypeAlias

from milo_core import Action, Key, Quit, SpecialKey
from milo_core.actions import KEY, RESIZE
from milo_core.results import unwrap, wrap
from milo_pipeline._lines import kept, line_count
from milo_pipeline.state import PipelineState

CHROME: Final = 4
"""Rows of a terminal that a view needs for other things than lines."""


@dataclass(frozen=True, slots=True)
class PipelineViewState:
    """UI state for the pipeline detail view, around the state of the run itself.

    ``log_scroll`` is the first line shown of the selected phase, ``log_height`` how many
    fit. With ``auto_follow`` the last lines stay in sight as more arrive. ``search`` is what is
    looked for in the lines, ``is_searching`` whether it is still being typed, ``match`` the line
    where it was found last, -1 for none.
    """

    pipeline: PipelineState
    selected_phase: int = 0
    expanded: bool = False
    log_scroll: int = 0
    auto_follow: bool = True
    log_height: int = 20
    _: KW_ONLY
    search: str = ""
    is_searching: bool = False
    match: int = -1
    shows_help: bool = False


Press: TypeAlias = Callable[[PipelineViewState], PipelineViewState | Quit]
DetailReducer: TypeAlias = Callable[[PipelineViewState | None, Action], Any]


def make_detail_reducer(pipeline_reducer: Callable[..., Any]) -> DetailReducer:
    """A reducer of ``PipelineViewState`` that answers keys and leaves the rest to the inner one.

    A key never reaches the inner reducer, except as the very first action. What the inner
    one returns besides a state (``ReducerResult``, ``Quit``) is kept, around the view. The
    first state may be ``None``, a view, or a ``PipelineState``, which becomes a view of it.
    The same view comes back when nothing changed.

    Overview: ↑ ↓ PgUp PgDn select, Enter or space shows the phase's lines, Esc or q quits. Lines:
    ↑ ↓ PgUp PgDn scroll, g or Home goes to the top and G or End to the bottom, f turns following
    on and off, / looks for the text that is typed behind it until Enter, n and N go to where it is
    found next and before, Enter, space or Esc goes back, q quits. In both, ? shows the keys.
    ``@@RESIZE`` with a size says how many lines fit.

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
        if view is not None and action.type == RESIZE:
            return _resized(view, action.payload.height)
        outcome = unwrap(pipeline_reducer(None if view is None else view.pipeline, action))
        view = _showing(view, outcome.state)
        answer: PipelineViewState | Quit = view
        if action.type == KEY:
            answer = _pressed(view, action.payload)
        elif action.type == RESIZE:
            answer = _resized(view, action.payload.height)
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
    if view.shows_help:  # whichever it is, it takes the keys away
        return replace(view, shows_help=False)
    if view.is_searching:
        return _typed(view, key)
    press = (_LINES if view.expanded else _OVERVIEW).get(key.name or key.char)
    return view if press is None else press(view)


def _typed(view: PipelineViewState, key: Key) -> PipelineViewState:
    """A key while the search is typed; where it is found is shown meanwhile."""
    if key.name is SpecialKey.ENTER:
        return replace(view, is_searching=False)
    if key.name is SpecialKey.ESCAPE or (key.name is SpecialKey.BACKSPACE and not view.search):
        return replace(view, is_searching=False, search="", match=-1)
    if key.name is SpecialKey.BACKSPACE:
        return _found(replace(view, search=view.search[:-1]), view.log_scroll, +1)
    if key.name is None and key.char:
        at = view.log_scroll if view.match < 0 else view.match
        return _found(replace(view, search=view.search + key.char), at, +1)
    return view


def _found(view: PipelineViewState, start: int, step: int) -> PipelineViewState:
    """``view`` of the first line from ``start`` on that holds what is looked for, going round.

    Capitals count if there are some in what is looked for.
    """
    if not view.search or not 0 <= view.selected_phase < view.pipeline._phase_count():
        return replace(view, match=-1)
    fold = str.casefold if view.search == view.search.lower() else str
    wanted = fold(view.search)
    lines = kept(view.pipeline._phase_at(view.selected_phase)._lines)
    count = len(lines)
    for distance in range(count):
        at = (start + step * distance) % count
        if wanted in fold(lines[at].line):
            centred = at - view.log_height // 2
            return _scrolled_to(replace(view, match=at, auto_follow=False), centred)
    return replace(view, match=-1)


def _search(view: PipelineViewState) -> PipelineViewState:
    return replace(view, is_searching=True, search="", match=-1)


def _next(step: int) -> Press:
    def press(view: PipelineViewState) -> PipelineViewState:
        start = view.log_scroll if view.match < 0 else view.match + step
        return _found(view, start, step)

    return press


def _help(view: PipelineViewState) -> PipelineViewState:
    return replace(view, shows_help=True)


def _resized(view: PipelineViewState, height: int) -> PipelineViewState:
    taller = _with(view, log_height=max(1, height - CHROME))
    return _scrolled_to(taller, taller.log_scroll) if taller.expanded else taller


def _select(steps: int) -> Press:
    def press(view: PipelineViewState) -> PipelineViewState:
        last = view.pipeline._phase_count() - 1
        return _with(view, selected_phase=max(0, min(view.selected_phase + steps, last)))

    return press


def _select_far(pages: int) -> Press:
    def press(view: PipelineViewState) -> PipelineViewState | Quit:
        return _select(pages * view.log_height)(view)  # as many rows as there are of lines

    return press


def _expand(view: PipelineViewState) -> PipelineViewState:
    if view.pipeline._phase_count() == 0:
        return view
    selected = min(max(0, view.selected_phase), view.pipeline._phase_count() - 1)
    opened = replace(view, expanded=True, selected_phase=selected, search="", match=-1)
    return _scrolled_to(opened, 0)


def _collapse(view: PipelineViewState) -> PipelineViewState:
    return replace(view, expanded=False, search="", match=-1)


def _scroll_up(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(_with(view, auto_follow=False), view.log_scroll - 1)


def _scroll_down(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(view, view.log_scroll + 1)


def _page_up(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(_with(view, auto_follow=False), view.log_scroll - view.log_height)


def _page_down(view: PipelineViewState) -> PipelineViewState:
    return _scrolled_to(view, view.log_scroll + view.log_height)


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
    SpecialKey.PAGE_UP: _select_far(-1),
    SpecialKey.PAGE_DOWN: _select_far(+1),
    SpecialKey.HOME: _select_far(-(10**9)),
    SpecialKey.END: _select_far(+(10**9)),
    SpecialKey.ENTER: _expand,
    " ": _expand,
    SpecialKey.ESCAPE: _quit,
    "?": _help,
    "q": _quit,
}
_LINES: Final[dict[str | SpecialKey, Press]] = {
    SpecialKey.UP: _scroll_up,
    SpecialKey.DOWN: _scroll_down,
    SpecialKey.PAGE_UP: _page_up,
    SpecialKey.PAGE_DOWN: _page_down,
    "g": _to_top,
    SpecialKey.HOME: _to_top,
    "G": _to_bottom,
    SpecialKey.END: _to_bottom,
    "f": _toggle_follow,
    "/": _search,
    "n": _next(+1),
    "N": _next(-1),
    "?": _help,
    SpecialKey.ENTER: _collapse,
    " ": _collapse,
    SpecialKey.ESCAPE: _collapse,
    "q": _quit,
}
