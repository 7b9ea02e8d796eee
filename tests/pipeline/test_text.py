"""Foreign text, made safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_pipeline.text import in_words, one_line, printable


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain → text ✓ 漢", "plain → text ✓ 漢"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;new title\x07kept", "kept"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", ""),
        ("\x9b31mC1 colour\x9d0;title\x9c", "C1 colour"),
        ("\x1bPdevice\x1b\\kept", "kept"),
        ("\x1b(Bcharset\x1bc", "charset"),
        ("bell\x07 back\x08space\x00", "bell backspace"),
        ("a\tb", "a       b"),
        ("10%\r55%\r100%", "100%"),
        ("100%\r", "100%"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("two\u2028lines", "twolines"),
        ("a\u061cb", "ab"),
    ],
)
def test_printable(line, shown):
    """Escape sequences and controls are gone, the text between them stays."""
    assert printable(line) == shown


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]\\;0m\x07\x9b\r")), max_size=40))
def test_nothing_printable_says_reaches_the_terminal_as_a_command(line):
    """Whatever goes in, no escape, control character or line break comes out."""
    shown = printable(line)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert "\n" not in one_line(line)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.00 s"),
        (59.99, "59.99 s"),
        (59.996, "1 min 0 s"),
        (61.4, "1 min 1 s"),
        (3599.6, "1 h 0 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_durations(seconds, words):
    """Two units at most, and never 60 of the smaller one."""
    assert in_words(seconds) == words
