"""Building reducers from smaller ones. A reducer is a pure ``(state, action) -> answer``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, TypeAlias

from milo_core.actions import KEY, Action
from milo_core.keys import Key, SpecialKey
from milo_core.results import Outcome, merge_views, unwrap, wrap

Reducer: TypeAlias = Callable[[Any, Action], Any]


def combine_reducers(**reducers: Reducer) -> Reducer:
    """A reducer for a dict state in which each keyword's reducer manages its own slice.

    The same dict comes back when no slice changed. Keys without a reducer are dropped, a
    missing slice starts as ``None``. Sagas and commands are joined in keyword order, views
    are merged field by field, and of several ``Quit``s the last code wins.

    >>> count = lambda state, action: (state or 0) + (action.type == "ADD")
    >>> reducer = combine_reducers(a=count, b=count)
    >>> reducer({"a": 1, "b": 5}, Action("ADD"))
    {'a': 2, 'b': 6}
    """
    for name, reducer in reducers.items():
        if not callable(reducer):
            raise TypeError(
                f"reducer {name} must be a function of (state, action), was given {reducer!r}"
            )

    def combined(state: Any, action: Action) -> Any:
        before = _slices(state, reducers)
        total, changed = Outcome(None), before.keys() != reducers.keys()
        after = {}
        for name, reducer in reducers.items():
            slice_before = before.get(name)
            part = unwrap(reducer(slice_before, action))
            after[name] = part.state
            changed = changed or part.state is not slice_before
            total = _join(total, part)
        return wrap(replace(total, state=after if changed else state))

    return combined


def _slices(state: Any, reducers: Mapping[str, Reducer]) -> Mapping[str, Any]:
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        raise TypeError(
            f"combine_reducers manages a dict state with the keys {', '.join(reducers)}, "
            f"was given {state!r}"
        )
    return state


def _join(total: Outcome, part: Outcome) -> Outcome:
    return Outcome(
        None,
        total.sagas + part.sagas,
        total.cmds + part.cmds,
        merge_views(total.view, part.view),
        total.quit_code if part.quit_code is None else part.quit_code,
    )


def quit_on(*keys: str | SpecialKey, code: int = 0) -> Callable[[Reducer], Reducer]:
    """Decorate a reducer so that pressing any of ``keys`` quits, after it saw the key.

    A string stands for a character. What the reducer answered is kept: its sagas,
    commands and view ride along in the ``Quit``.
    """

    def decorate(reducer: Reducer) -> Reducer:
        @wraps(reducer)
        def quitting(state: Any, action: Action) -> Any:
            answer = reducer(state, action)
            if not _pressed(action, keys):
                return answer
            outcome = unwrap(answer)
            return wrap(replace(outcome, quit_code=code))

        return quitting

    return decorate


def with_cursor(
    items_key: str, *, cursor_key: str = "cursor", wrap_around: bool = False
) -> Callable[[Reducer], Reducer]:
    """Decorate a dict-state reducer so that ↑ and ↓ move a cursor over ``state[items_key]``.

    The cursor is ``state[cursor_key]``, 0 from the first action on. It stays on the rows, also
    when the reducer removes some, or goes round at the ends with ``wrap_around``. The reducer
    sees the key first.
    """

    def decorate(reducer: Reducer) -> Reducer:
        @wraps(reducer)
        def moving(state: Any, action: Action) -> Any:
            answer = reducer(state, action)
            outcome = unwrap(answer)
            if not isinstance(outcome.state, dict):
                return answer
            step = _pressed(action, (SpecialKey.DOWN,)) - _pressed(action, (SpecialKey.UP,))
            rows = len(outcome.state.get(items_key) or ())
            before = outcome.state.get(cursor_key)
            at = (before or 0) + step
            at = at % max(rows, 1) if wrap_around and step else max(0, min(at, rows - 1))
            if at == before:
                return answer
            return wrap(replace(outcome, state={**outcome.state, cursor_key: at}))

        return moving

    return decorate


def with_confirm(
    *keys: str | SpecialKey, confirmed_key: str = "confirmed", code: int = 0
) -> Callable[[Reducer], Reducer]:
    """Decorate a dict-state reducer so that Enter (or ``keys``) confirms and quits.

    The last state has ``state[confirmed_key]`` set to ``True``, which tells a confirmed end
    from a cancelled one. The reducer sees the key first.
    """

    def decorate(reducer: Reducer) -> Reducer:
        @wraps(reducer)
        def confirming(state: Any, action: Action) -> Any:
            answer = reducer(state, action)
            if not _pressed(action, keys or (SpecialKey.ENTER,)):
                return answer
            outcome = unwrap(answer)
            confirmed = {**(outcome.state or {}), confirmed_key: True}
            return wrap(replace(outcome, state=confirmed, quit_code=code))

        return confirming

    return decorate


def _pressed(action: Action, keys: tuple[str | SpecialKey, ...]) -> bool:
    key = action.payload
    if action.type != KEY or not isinstance(key, Key):
        return False
    return (key.name if key.name is not None else key.char) in keys
