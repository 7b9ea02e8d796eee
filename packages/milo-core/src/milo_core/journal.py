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
"""``[action, next node]``; the last one is empty, and filled in by the next action."""


class Mark:
    """A place in the order of dispatch, from which its owner may look on.

    ``node``, which is there once the mark has been opened, is where to begin looking. Its
    owner closes the mark by setting that to ``None``, from any thread and without a lock, and
    does not use it again.
    """

    __slots__ = ("node",)

    node: Node | None


_SEVERAL: Final = Mark()


class Journal:
    """The open marks, and the list behind them. Used under the store's lock only.

    Nobody tells it of a mark that is closed. Of several it looks at all once in as many notes
    as there are, so that a note costs the same with two open and with a hundred thousand.
    """

    __slots__ = ("_end", "_notes_ahead", "_open", "expects")

    def __init__(self) -> None:
        self.expects: Mark | None = None
        """The mark with which a dispatch needs no note: there is nothing open besides it, and
        nothing behind it."""
        self._open: dict[Mark, None] = {}
        """The open marks, if they are several, or one with something behind it."""
        self._notes_ahead = 0
        """How many notes may come until closed marks are looked for."""
        self._end: Node = [None, None]

    def note(self, action: Action, mark: Mark | None) -> None:
        """Link ``action`` for the open marks, then open ``mark``, if any, behind it."""
        self._forget_closed(mark)
        if self._open:
            end, self._end = self._end, [None, None]
            end[0] = action  # before it has a next, which is what readers without a lock look at
            end[1] = self._end
        self._add(mark)

    def open(self, mark: Mark, behind: Node | None = None) -> None:
        """Open ``mark`` behind all that was dispatched so far, or where another one stands."""
        self._forget_closed(mark)
        self._add(mark)
        if behind is not None:
            mark.node = behind
            self._open[mark] = None
            self.expects = _SEVERAL

    def _forget_closed(self, mark: Mark | None) -> None:
        """Leave in ``_open`` all that are open besides ``mark``, and few others."""
        only = self.expects
        if only is not _SEVERAL:
            if only is not None and only is not mark and only.node is not None:
                self._open[only] = None
            return
        if mark is not None:
            self._open.pop(mark, None)
        self._notes_ahead -= 1
        if self._notes_ahead <= 0:
            self._open = {each: None for each in self._open if each.node is not None}
            self._notes_ahead = len(self._open)

    def _add(self, mark: Mark | None) -> None:
        if self._open:
            self.expects = _SEVERAL
            if mark is not None:
                self._open[mark] = None
        else:
            self.expects = mark
        if mark is not None:
            mark.node = self._end
