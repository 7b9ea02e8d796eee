"""Bytes of a terminal become keys, however they are cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Key, SpecialKey
from milo_tui import Mouse
from milo_tui.keys import KeyReader

NAMED = {
    "\x1b[A": "UP",
    "\x1bOB": "DOWN",
    "\x1b[C": "RIGHT",
    "\x1b[D": "LEFT",
    "\x1b[H": "HOME",
    "\x1b[1~": "HOME",
    "\x1b[F": "END",
    "\x1b[5~": "PAGE_UP",
    "\x1b[6~": "PAGE_DOWN",
    "\x1b[2~": "INSERT",
    "\x1b[3~": "DELETE",
    "\r": "ENTER",
    "\n": "ENTER",
    "\t": "TAB",
    "\x7f": "BACKSPACE",
    "\x08": "BACKSPACE",
    "\x1bOP": "F1",
    "\x1b[15~": "F5",
    "\x1b[24~": "F12",
}
MODIFIED = {
    "\x03": Key(char="c", ctrl=True),
    "\x1a": Key(char="z", ctrl=True),
    "\x00": Key(char=" ", ctrl=True),
    "\x1c": Key(char="\\", ctrl=True),
    "\x1b[1;5A": Key(name=SpecialKey.UP, ctrl=True),
    "\x1b[1;2D": Key(name=SpecialKey.LEFT, shift=True),
    "\x1b[1;6C": Key(name=SpecialKey.RIGHT, ctrl=True, shift=True),
    "\x1b[1;3B": Key(name=SpecialKey.DOWN, alt=True),
    "\x1b[Z": Key(name=SpecialKey.TAB, shift=True),
    "\x1bf": Key(char="f", alt=True),
    "\x1b\x7f": Key(name=SpecialKey.BACKSPACE, alt=True),
}
UNKNOWN = ["\x1b[99;99u", "\x1b[?1;2c", "\x1b[200;1;1~", "\x1bOz", "\x1b[1;5Z", "\x1b[M"]
KNOWN = [*NAMED, *MODIFIED, "q", "G", "/", " ", "é", "日", "🙂"]


def read(data):
    """The keys, once nothing follows."""
    reader = KeyReader()
    return [*reader.feed(data.encode()), *reader.flush()]


@pytest.mark.parametrize("sent", NAMED)
def test_special_keys_have_names(sent):
    """Every key that a reducer may wait for comes by the sequences that terminals send for it."""
    assert read(sent) == [Key(name=SpecialKey[NAMED[sent]])]


@pytest.mark.parametrize("sent", MODIFIED)
def test_modifiers_are_told(sent):
    """Control, Alt and Shift, where terminals tell them."""
    assert read(sent) == [MODIFIED[sent]]


@pytest.mark.parametrize("char", ["q", "G", "é", "日", "🙂", " "])
def test_characters_are_themselves(char):
    """Of any alphabet."""
    assert read(char) == [Key(char=char)]


@pytest.mark.parametrize("sent", UNKNOWN)
def test_unknown_sequences_are_no_keys(sent):
    """They do not fall apart into an Escape and some characters; what follows is read."""
    assert read(f"{sent}q") == [Key(char="q")]


MICE = {
    "\x1b[<0;10;5M": Mouse("press", 9, 4, "left"),
    "\x1b[<2;1;1m": Mouse("release", 0, 0, "right"),
    "\x1b[<35;3;4M": Mouse("move", 2, 3),
    "\x1b[<64;3;4M": Mouse("scroll_up", 2, 3),
    "\x1b[<81;3;4M": Mouse("scroll_down", 2, 3, ctrl=True),
}


@pytest.mark.parametrize("sent", MICE)
def test_the_mouse_is_told_with_its_place(sent):
    """Between keys, in their order."""
    assert read(f"a{sent}b") == [Key(char="a"), MICE[sent], Key(char="b")]


def test_an_escape_alone_is_known_when_nothing_follows():
    """Until then it may be the beginning of a sequence."""
    reader = KeyReader()
    assert reader.feed(b"\x1b") == []
    assert reader.is_waiting
    assert reader.flush() == [Key(name=SpecialKey.ESCAPE)]
    assert not reader.is_waiting
    assert reader.feed(b"\x1b") == []
    assert reader.feed(b"[A") == [Key(name=SpecialKey.UP)]


def test_two_escapes_are_two():
    """The first is known by the second."""
    assert read("\x1b\x1b") == [Key(name=SpecialKey.ESCAPE)] * 2
    assert read("\x1b\x1b[A") == [Key(name=SpecialKey.ESCAPE), Key(name=SpecialKey.UP)]


def test_bytes_that_are_no_text_are_one_strange_character():
    """And what follows is read."""
    assert KeyReader().feed(b"\xffq") == [Key(char="\ufffd"), Key(char="q")]


@given(st.lists(st.sampled_from(KNOWN + UNKNOWN), max_size=8), st.lists(st.integers(0, 60)))
def test_pieces_make_no_difference(sent, cuts):
    """A sequence is the same key whether it comes at once or byte by byte."""
    data = "".join(sent).encode()
    reader, keys, at = KeyReader(), [], 0
    for cut in sorted(cuts):
        keys += reader.feed(data[at:cut])
        at = max(at, cut)
    keys += [*reader.feed(data[at:]), *reader.flush()]
    assert keys == read("".join(sent))


@given(st.lists(st.binary(max_size=12)))
def test_no_bytes_do_harm(pieces):
    """Whatever comes, there are keys or none, and what is kept for later stays short."""
    reader = KeyReader()
    for piece in pieces:
        for key in reader.feed(piece):
            assert isinstance(key, Key)
            assert key.char.isprintable()
        assert len(reader._text) <= 64
    reader.flush()
    assert reader.feed(b"q")[-1] == Key(char="q")
