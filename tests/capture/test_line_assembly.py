"""Lines are put together from the pieces in which they are written."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_capture import Line, capture

# Mostly the characters that matter here, in pieces short enough to cut between any two.
pieces = st.lists(st.text(alphabet=st.sampled_from("ab\r\n\x0b\x85\u2028\x1b"), max_size=6))


def lines_of(text):
    *whole, rest = text.replace("\r\n", "\n").split("\n")
    return [*whole, rest] if rest else whole


def captured(*texts):
    with capture() as output:
        for text in texts:
            sys.stdout.write(text)
    return [line.text for line in output.lines]


@given(pieces)
def test_any_pieces_give_the_lines_of_their_text(texts):
    """However a text is cut into writes, its lines come out; only LF and CRLF end one."""
    assert captured(*texts) == lines_of("".join(texts))


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("ab\r\n", max_size=4))))
def test_the_two_streams_do_not_share_lines(writes):
    """Pieces of stdout and stderr may alternate; each stream has the lines of its own text."""
    with capture() as output:
        for stream, text in writes:
            getattr(sys, stream).write(text)
    for name in ("stdout", "stderr"):
        text = "".join(text for stream, text in writes if stream == name)
        assert [line.text for line in output.lines if line.stream == name] == lines_of(text)


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["hello\n"], ["hello"]),
        (["a\nb\n"], ["a", "b"]),
        (["half ", "and half\n"], ["half and half"]),
        (["\n", "\n"], ["", ""]),
        (["a\n\n\nb\n"], ["a", "", "", "b"]),
        (["a\r\nb\r\n"], ["a", "b"]),
        (["a\r", "\nb"], ["a", "b"]),
        (["a\r\r\n"], ["a\r"]),
        (["10%\r", "20%\r"], ["10%\r20%\r"]),
        (["\x1b[31mred\x1b[0m\tand \x07\n"], ["\x1b[31mred\x1b[0m\tand \x07"]),
        (["one\x0btwo\u2028three\n"], ["one\x0btwo\u2028three"]),
        (["", ""], []),
        (["never ended"], ["never ended"]),
    ],
)
def test_line_ends(texts, lines):
    """LF and CRLF end a line and are not part of it, blank lines count, all else is kept."""
    assert captured(*texts) == lines


def test_a_line_is_a_frozen_value_without_a_dict():
    """Lines compare by value, can be put in a set and cannot be changed."""
    line = Line("hello", "stdout", 1.5)
    assert line == Line(text="hello", stream="stdout", timestamp=1.5)
    assert len({line, Line("hello", "stdout", 1.5)}) == 1
    assert not hasattr(line, "__dict__")
    with pytest.raises(AttributeError):
        line.text = "other"
