"""What was dispatched lately, for those who may still ask (DESIGN §4, no lost reply).

A saga that has put an action and then waits for the answer must see an answer that came
between the two. So its put leaves a ``Mark``, and while a mark is open, actions are linked to
a list behind it. The list is held by the marks alone: without an open one, and that is nearly
always, nothing is linked and a dispatch pays one comparison.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from milo_core.actions import Action

Node: TypeAlias = list[Any]
"""``[action, next node]``."""


class Mark:
    """A place in the order of dispatch, from which its owner may look on.

    ``node`` is where to begin looking. Its owner closes the mark by setting that to ``None``,
    from any thread and without a lock, and does not use it again.
    """

    __slots__ = ("node",)

    def __init__(self) -> None:
        self.node: Node | None = None


_SEVERAL: Final = Mark()


class Journal:
    """The open marks, and the list behind them. Used under the store's lock only."""

    __slots__ = ("_end", "_open", "expects")

    def __init__(self) -> None:
        self._open: dict[Mark, None] = {}
        self._end: Node = [None, None]
        self.expects: Mark | None = None
        """The mark with which a dispatch needs no note: there is nothing open besides it, and
        nothing behind it."""

    def note(self, action: Action, mark: Mark | None) -> None:
        """Link ``action`` for the open marks, then open ``mark``, if any, behind it."""
        for each in list(self._open):
            if each.node is None or each is mark:
                del self._open[each]
        if self._open:
            node: Node = [action, None]
            self._end[1] = self._end = node
        if mark is not None:
            self._add(mark)
        else:
            self.expects = _SEVERAL if self._open else None

    def open(self, mark: Mark, behind: Node | None = None) -> None:
        """Open ``mark`` behind all that was dispatched so far, or where another one stands."""
        self._open.pop(mark, None)
        self._add(mark)
        if behind is not None:
            mark.node = behind
            self.expects = _SEVERAL

    def _add(self, mark: Mark) -> None:
        if not self._open:
            self._end = [None, None]  # or the last action would be held as long as the mark
        mark.node = self._end
        self._open[mark] = None
        self.expects = mark if len(self._open) == 1 else _SEVERAL
