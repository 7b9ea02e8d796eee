"""A long tuple in pieces: replacing one of 10,000 items copies three short lists, not all of it.

Items sit in leaves of 32, leaves in branches of 32, branches in one root: ``root[i][j][k]``.
Old versions stay whole and share every piece that did not change, which is what an
immutable state needs. The pieces are lists, which are quicker to copy than tuples, and no
piece is changed once it is part of a root.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Chunks: TypeAlias = list[list[list[T]]]

_BITS: Final = 5
_WIDTH: Final = 1 << _BITS
_LOW: Final = _WIDTH - 1


def split(items: tuple[T, ...]) -> Chunks[T]:
    """``items`` in pieces."""
    return _grouped(_grouped(items))


def _grouped(items: Sequence[T]) -> list[list[T]]:
    return [list(items[start : start + _WIDTH]) for start in range(0, len(items), _WIDTH)]


def flat(chunks: Chunks[T]) -> Iterator[T]:
    """The items, one by one."""
    return chain.from_iterable(chain.from_iterable(chunks))


def count(chunks: Chunks[T]) -> int:
    """How many items there are; all pieces but the last are full."""
    if not chunks:
        return 0
    branch = chunks[-1]
    return ((len(chunks) - 1) * _WIDTH + len(branch) - 1) * _WIDTH + len(branch[-1])


def item_at(chunks: Chunks[T], index: int) -> T:
    """Item ``index``, from 0."""
    return chunks[index >> 2 * _BITS][index >> _BITS & _LOW][index & _LOW]


def replaced(chunks: Chunks[T], index: int, item: T) -> Chunks[T]:
    """The same pieces with ``item`` at ``index``."""
    high, middle = index >> 2 * _BITS, index >> _BITS & _LOW
    root = chunks.copy()
    root[high] = branch = root[high].copy()
    branch[middle] = leaf = branch[middle].copy()
    leaf[index & _LOW] = item
    return root
