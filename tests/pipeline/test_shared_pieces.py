"""The two immutable containers behind a state: statuses in pieces, lines in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from milo_pipeline import _chunks, _lines


@given(st.integers(1, 3000), st.data())
def test_chunks_are_a_tuple_in_pieces(size, data):
    """Splitting, replacing and reading agree with a plain list, at any size."""
    plain = list(range(size))
    chunks = _chunks.split(tuple(plain))
    for index in data.draw(st.lists(st.integers(0, size - 1), max_size=5)):
        before = tuple(plain)
        plain[index] = -index
        newer = _chunks.replaced(chunks, index, -index)
        assert tuple(_chunks.flat(chunks)) == before
        chunks = newer
        assert _chunks.item_at(chunks, index) == -index
    assert list(_chunks.flat(chunks)) == plain
    assert _chunks.count(chunks) == size


def test_no_items_are_no_pieces():
    """An empty tuple has no pieces and counts none."""
    assert _chunks.split(()) == []
    assert _chunks.count([]) == 0


def test_a_replacement_copies_three_short_pieces():
    """Of 10,000 items no more than 100 references are copied to replace one."""
    chunks = _chunks.split(tuple(range(10_000)))
    newer = _chunks.replaced(chunks, 5_000, -1)
    branches = [new for old, new in zip(chunks, newer, strict=True) if new is not old]
    assert len(branches) == 1
    (old_branch,) = [old for old, new in zip(chunks, newer, strict=True) if new is not old]
    leaves = [new for old, new in zip(old_branch, branches[0], strict=True) if new is not old]
    assert len(leaves) == 1
    assert len(newer) + len(branches[0]) + len(leaves[0]) <= 100


@given(
    st.lists(st.integers(), max_size=150),
    st.integers(1, 120),
    st.lists(st.integers(), max_size=150),
)
def test_lines_keep_the_last_ones(first, most, added):
    """Adding lines one by one keeps the last ``most``; earlier versions stay as they were."""
    lines, plain = _lines.lines_of(tuple(first)), list(first)
    assert _lines.kept(lines) == tuple(plain)
    for item in added:
        older, expected = lines, tuple(plain)
        lines, plain = _lines.with_line(lines, item, most), [*plain, item][-most:]
        assert _lines.kept(older) == expected
        assert _lines.kept(lines) == tuple(plain)
        assert _lines.line_count(lines) == len(plain)


def test_lines_too_old_are_let_go():
    """After any number of lines the pieces hold hardly more than those that are kept."""
    lines = _lines.lines_of(())
    for number in range(10_000):
        lines = _lines.with_line(lines, number, 200)
    pieces, filling, _, _ = lines
    assert sum(map(len, pieces)) + len(filling) < 200 + 64
