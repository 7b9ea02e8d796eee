"""Arbitrary payloads, and what it means that two of them are the same."""

from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from hypothesis import strategies as st
from recorded_types import Colour, Level, Pair, Point, Slotted

texts = st.text(st.characters(exclude_categories=()), max_size=4)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=4)


def leads_back(path):
    """Not so for some Windows paths of no use, such as ``//A//``; these stay opaque."""
    again = type(path)(str(path))
    return (again, again.anchor) == (path, path.anchor)


paths = (
    st.builds(Path, texts)
    | st.builds(PurePosixPath, texts, texts)
    | st.builds(PureWindowsPath, st.text("aA/\\. \ud800", max_size=8)).filter(leads_back)
    | st.sampled_from(["C:", "c:a", "C:/a", "//host/share/a", "/a"]).map(PureWindowsPath)
)
keys = st.recursive(
    plain | paths | st.sampled_from([*Colour, *Level, Slotted.Inner.DEEP]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=5,
)
values = st.recursive(
    keys
    | st.builds(bytearray, st.binary(max_size=3))
    | st.integers(0, 2**20).map(lambda n: -(1 << n)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(texts | st.sampled_from("~tv"), inner, max_size=3),
        st.sets(keys, max_size=4),
        st.builds(Slotted, inner),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=15,
)


def same(one, two):
    """Equal in type, value and order all the way down; ``nan`` equals ``nan``, ``-0.0`` not 0."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return repr(one) == repr(two)
    if isinstance(one, PurePath):
        return (str(one), one.anchor) == (str(two), two.anchor)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return same(list(one.items()), list(two.items()))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(two) and all(any(same(a, b) for b in two) for a in one)
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))
    return one == two
