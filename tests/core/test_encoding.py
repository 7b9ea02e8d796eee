"""Values as canonical JSON: what comes back, what is marked, and what reading never does."""

import json
import math
import sys
from collections import OrderedDict
from dataclasses import dataclass
from enum import Flag
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recorded_types import Colour, Failure, Point, Slotted, Strict
from recorded_values import keys, same, values

from milo_core.encoding import decode, encode, opaque_types


def through_json(value):
    """``value`` as its encoding comes back from a file, in JSON that any reader understands."""
    return json.loads(json.dumps(encode(value), allow_nan=False))


@given(values)
@example({"~": "tuple", "v": [1]})
@example({"~": {"~": 1}})
@example({1: "int", "1": "str", None: 0, (): []})
@example([math.nan, math.inf, -math.inf, -0.0, 0.0, 1, True, 1.0])
@example([1 << 4095, (1 << 4096) - 1, 1 << 4096, -(1 << 100_000)])
@example(["\ud800", "\ude00", "\ud83d\ude00", "\U0001f600", "\x00"])
@example({"\ud83d\ude00": 1, "\U0001f600": 2})
@example([(), [], {}, set(), frozenset(), b"", bytearray(), ""])
def test_values_come_back_from_json(value):
    """Decoding what was encoded, through text, gives a value of the same types and content."""
    assert opaque_types(encode(value)) == []
    assert same(decode(through_json(value)), value)


@given(values, values)
def test_equal_text_means_equal_values(one, two):
    """Two values have one JSON text exactly when they are the same: hashes tell them apart."""
    assert (json.dumps(encode(one)) == json.dumps(encode(two))) == same(one, two)


@given(st.lists(keys, max_size=6), st.randoms())
def test_sets_have_one_form(items, random):
    """However a set was filled, its encoding is the same."""
    shuffled = random.sample(items, len(items))
    for kind in (set, frozenset):
        if not has_twins(items):
            assert json.dumps(encode(kind(items))) == json.dumps(encode(kind(shuffled)))


def has_twins(items):
    """Whether the order decides which of several equal items (``1``, ``True``) a set keeps."""
    return any(a == b and not same(a, b) for a in items for b in items)


def test_dicts_keep_their_order():
    """Reducers can see the order of a dict, so two orders are two values."""
    assert list(decode(encode({"b": 1, "a": 2}))) == ["b", "a"]
    assert json.dumps(encode({"b": 1, "a": 2})) != json.dumps(encode({"a": 2, "b": 1}))


def test_plain_json_stands_for_itself():
    """What JSON can say is not dressed up."""
    value = {"a": [1, 2.5, True, None, "x", {"b": []}]}
    assert encode(value) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ((1, 2), {"~": "tuple", "v": [1, 2]}),
        ({3, 1}, {"~": "set", "v": [1, 3]}),
        (b"hi", {"~": "bytes", "v": "6869"}),
        (Point(1, 2), {"~": "data", "t": "recorded_types:Point", "v": {"x": 1, "y": 2}}),
        (Colour.RED, {"~": "enum", "t": "recorded_types:Colour", "v": "RED"}),
        (Path("a/b"), {"~": "path", "t": type(Path()).__name__, "v": str(Path("a/b"))}),
        (PurePosixPath("a/b"), {"~": "path", "t": "PurePosixPath", "v": "a/b"}),
        (PureWindowsPath("C:/a"), {"~": "path", "t": "PureWindowsPath", "v": "C:\\a"}),
        (object(), {"~": "opaque", "t": "builtins:object"}),
    ],
)
def test_the_forms_the_module_shows(value, encoded):
    """The forms are a file format: they stay as the documentation shows them."""
    assert encode(value) == encoded


@pytest.mark.parametrize("kind", [Path, PurePosixPath, PureWindowsPath])
def test_a_path_comes_back_as_one(kind):
    """Wherever it is in a value, and of its own kind; relative stays relative."""
    value = {kind("/etc/x.ini"): [kind("a"), (kind(),)], "in": {kind("b")}}
    back = decode(through_json(value))
    assert same(back, value)
    assert {type(path) for path in back["in"]} == {type(kind())}


def test_a_path_of_another_system_is_named():
    """It cannot be made here; the message says which one could be read anywhere."""
    other = "PosixPath" if type(Path()).__name__ == "WindowsPath" else "WindowsPath"
    with pytest.raises(LookupError, match=f"a {other} can be read on its own system only; .*Pure"):
        decode({"~": "path", "t": other, "v": "a"})


def test_a_path_that_its_text_does_not_lead_to_is_marked():
    """Before Python 3.12, the text of ``./c:`` is that of a drive; it never becomes one."""
    odd = PureWindowsPath("./c:")
    encoded = encode(odd)
    assert opaque_types(encoded) or decode(encoded).drive == ""


@dataclass
class Asked:
    """Stands for a class whose objects can be asked which path they are."""

    def __fspath__(self):
        raise SystemExit("ran")


def test_reading_a_path_asks_nobody_for_it():
    """A forged path is text or it is refused; no ``__fspath__`` of an imported class runs."""
    asked = {"~": "data", "t": f"{__name__}:Asked", "v": {}}
    assert type(decode(asked)) is Asked
    for forged in (asked, 1, ["a"], None):
        with pytest.raises(LookupError, match="no path"):
            decode({"~": "path", "t": "PurePosixPath", "v": forged})
    with pytest.raises(LookupError, match="no path"):
        decode({"~": "path", "t": "Popen", "v": "a"})


class OwnPath(PurePosixPath):
    """A path that may hold more than its text."""


class Text(str):
    __slots__ = ()


class Bits(Flag):
    ONE = 1
    TWO = 2


@pytest.mark.parametrize(
    "value",
    [
        object(),
        print,
        int,
        Text("x"),
        OrderedDict(a=1),
        range(3),
        memoryview(b"x"),
        1j,
        Bits.ONE | Bits.TWO,
        Failure("lost arguments"),
        OwnPath("a"),
    ],
    ids=repr,
)
def test_anything_else_is_marked(value):
    """A value without a form stands as its type's name, is found by it, and cannot be read."""
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    assert encode([value]) == [{"~": "opaque", "t": name}]
    assert opaque_types(encode({"deep": [(value,)]})) == [name]
    with pytest.raises(LookupError, match=name):
        decode(encode(value))


def test_local_classes_are_marked():
    """A class that its name does not lead to cannot be read back, so it is opaque."""

    @dataclass
    class Local:
        x: int = 1

    assert opaque_types(encode(Local())) == [f"{__name__}:{Local.__qualname__}"]


@pytest.mark.parametrize("kind", [list, dict, Slotted])
def test_a_value_inside_itself_is_marked(kind):
    """A circle ends in a mark where it closes."""
    value = kind([None]) if kind is not dict else {"in": None}
    if kind is Slotted:
        value.inside = [value]
    else:
        value[0 if kind is list else "in"] = (value,)
    (name,) = opaque_types(encode(value))
    assert name.endswith(f":{kind.__name__}")


def test_the_same_value_twice_is_no_circle():
    """Shared parts are written twice and come back as two."""
    part = [1]
    assert decode(encode([part, part])) == [[1], [1]]
    assert opaque_types(encode((part, {"a": part}))) == []


def nested(kind, depth):
    value = kind([])
    for _ in range(depth - 1):
        value = kind([value])
    return value


@pytest.mark.parametrize("kind", [list, tuple, Point, lambda inner: {"in": inner}])
@pytest.mark.parametrize("depth", [101, 1_000, 100_000])
def test_deep_nesting_is_marked_at_a_fixed_depth(kind, depth):
    """Deeper than 100, a value is opaque: the same wherever the stack stands when it is encoded."""

    def encode_from(frames):
        return encode_from(frames - 1) if frames else encode(value)

    value = nested(kind, depth)
    encoded = encode(value)
    assert len(opaque_types(encoded)) == 1
    assert json.dumps(encode_from(200)) == json.dumps(encoded)


@pytest.mark.parametrize("kind", [list, tuple])
def test_nesting_a_hundred_deep_comes_back(kind):
    """A hundred levels are no problem, neither to write nor to read."""
    value = nested(kind, 100)
    assert decode(through_json(value)) == value
    assert opaque_types(encode(value)) == []


def test_reading_a_dataclass_calls_no_constructor():
    """Fields come back as they were stored, also values that ``__init__`` would refuse."""
    value = Strict(1)
    value.value = None
    value.twice = [2]
    back = decode(through_json(value))
    assert (back.value, back.twice) == (None, [2])


def test_an_unset_field_stays_unset():
    """A field that was never assigned is not made up."""
    assert not hasattr(decode(through_json(Strict(1))), "twice")


class Explosive:
    """Stands for any payload whose attributes raise."""

    @property
    def __class__(self):
        raise RuntimeError("hands off")


def test_encoding_never_raises():
    """A value that fails when it is looked at is opaque, not an error of the dispatch."""
    assert opaque_types(encode([Explosive()])) != []


@pytest.mark.parametrize(
    "data",
    [
        {"~": "namedtuple", "t": "subprocess:Popen", "v": [["false"]]},
        {"~": "namedtuple", "t": "builtins:tuple", "v": [[1]]},
        {"~": "namedtuple", "t": "recorded_types:Pair", "v": [1, 2, 3]},
        {"~": "enum", "t": "builtins:list", "v": "int"},
        {"~": "enum", "t": "recorded_types:Colour", "v": "__class__"},
        {"~": "enum", "t": "recorded_types:Colour", "v": "BLUE"},
        {"~": "data", "t": "subprocess:Popen", "v": {}},
        {"~": "data", "t": "recorded_types:Point", "v": {"__class__": 1}},
        {"~": "data", "t": "recorded_types:Point", "v": {"z": 1}},
        {"~": "data", "t": "recorded_types:Failure", "v": {"reason": "x"}},
        {"~": "data", "t": "recorded_types:Nothing", "v": {}},
        {"~": "data", "t": "no_such_module:Point", "v": {}},
        {"~": "data", "t": "recorded_types:sys.modules", "v": {}},
        {"~": "unheard-of", "v": 1},
    ],
    ids=str,
)
def test_reading_makes_only_what_encoding_writes(data):
    """A forged form is a ``LookupError``; no class but a dataclass, enum or named tuple is made."""
    import subprocess  # noqa: F401  # so that the forged names are found

    with pytest.raises(LookupError):
        decode(data)


def test_reading_imports_nothing(monkeypatch, tmp_path):
    """Neither a module that is not imported nor a lazy attribute of one that is gets loaded."""
    (tmp_path / "never_imported.py").write_text("raise SystemExit('imported')")
    (tmp_path / "lazy_names.py").write_text("def __getattr__(name): raise SystemExit(name)")
    monkeypatch.syspath_prepend(tmp_path)
    import lazy_names

    try:
        for name in ("never_imported:X", f"{lazy_names.__name__}:X"):
            with pytest.raises(LookupError, match=name):
                decode({"~": "enum", "t": name, "v": "A"})
    finally:
        del sys.modules["lazy_names"]
