"""The last lines of a phase: one more costs the same whether 10 are kept or 10,000.

Lines collect in a short piece at the end; a full piece joins those before it, and pieces
leave at the front when all their lines are too old. Nothing is ever changed, so every
earlier state keeps the lines it had.
"""

from __future__ import annotations

from itertools import chain
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Pieces: TypeAlias = tuple[tuple[T, ...], ...]
# The full pieces, the one that fills, how many lines at the front are too old, how many are not.
Lines: TypeAlias = tuple[Pieces[T], tuple[T, ...], int, int]

_FULL: Final = 32


def lines_of(items: tuple[T, ...]) -> Lines[T]:
    """``items``, the oldest first."""
    return ((items,) if items else ()), (), 0, len(items)


def line_count(lines: Lines[T]) -> int:
    """How many lines are kept."""
    return lines[3]


def kept(lines: Lines[T]) -> tuple[T, ...]:
    """The lines as one tuple, the oldest first."""
    pieces, filling, too_old, _ = lines
    return tuple(chain.from_iterable((*pieces, filling)))[too_old:]


def with_line(lines: Lines[T], line: T, most: int) -> Lines[T]:
    """``lines`` and ``line``, of which the last ``most`` (at least 1) are kept."""
    pieces, filling, too_old, count = lines
    filling += (line,)
    count += 1
    if count > most:
        too_old += count - most
        count = most
        while pieces and too_old >= len(pieces[0]):
            too_old -= len(pieces[0])
            pieces = pieces[1:]
    if len(filling) == _FULL:
        return (*pieces, filling), (), too_old, count
    return pieces, filling, too_old, count
