"""What is written makes a terminal show the frame, and is no more than has changed."""

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from milo_tui.frames import Painter, Size
from milo_tui.screen import Screen

WIDTH, HEIGHT = 20, 6
lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Mn", "Me", "Cf"]))
frames = st.lists(st.lists(lines, max_size=HEIGHT), max_size=6)


def emulator():
    screen = pyte.Screen(WIDTH, HEIGHT)
    return screen, pyte.Stream(screen)


def seen(rows):
    """What a terminal shows of them."""
    screen, stream = emulator()
    for index, row in enumerate(rows):
        stream.feed(f"\x1b[{index + 1};1H{row}")
    return screen.display


@given(frames)
def test_each_frame_is_shown(drawn):
    """Whatever stood there before, all of the new frame is seen and nothing of the old one."""
    screen, stream = emulator()
    ours, painter = Screen(), Painter(color=False)
    for frame in drawn:
        rows = painter.rows(Text("\n".join(frame)), Size(WIDTH, HEIGHT))
        stream.feed(ours.draw(rows))
        assert screen.display == seen(rows)


@given(frames, st.integers(0, HEIGHT - 1))
def test_each_frame_is_shown_below_what_was_there(drawn, above):
    """Not on the other screen, it begins where the cursor was; what stood above is pushed up."""
    screen, stream = emulator()
    stream.feed("".join(f"before {n}\r\n" for n in range(above)))
    ours, painter = Screen(), Painter(color=False)
    ours.forget(alternate=False)
    tallest = 1
    for frame in drawn:
        rows = painter.rows(Text("\n".join(frame)), Size(WIDTH, HEIGHT))
        tallest = max(tallest, len(rows))
        stream.feed(ours.draw(rows))
        top = min(above, HEIGHT - tallest)
        assert screen.display[top : top + len(rows)] == seen(rows)[: len(rows)]
    stream.feed(ours.leave())
    kept = min(above, HEIGHT - tallest)
    for n in range(max(0, kept - 1)):
        assert screen.display[n].startswith("before")


def test_only_rows_that_changed_are_written():
    """The same frame again is nothing; one row of many is about as long as that row."""
    screen = Screen()
    rows = [f"row {n}" for n in range(24)]
    assert screen.draw(rows)
    assert screen.draw(rows) == ""
    rows[7] = "changed"
    written = screen.draw(rows)
    assert "changed" in written and "row" not in written
    assert len(written) < 50


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\x07b", "\x9b5mc", "tab\tbed", "\x00", "\x7f"])
def test_nothing_in_a_frame_steers_the_terminal(text):
    """Control characters of what is shown are left out, whatever the view."""
    for shown in (text, Text(text)):
        for row in Painter(color=False).rows(shown, Size(WIDTH, HEIGHT)):
            assert row.isprintable()


@given(lines)
def test_rows_are_no_wider_than_the_terminal(line):
    """Wide characters are never cut in half, nor do they stick out."""
    from rich.cells import cell_len

    for width in (1, 2, 3, 7):
        for row in Painter(color=False).rows(line, Size(width, 50)):
            assert cell_len(row) <= width


def test_colours_are_those_that_are_wanted():
    """None with ``color=False``."""
    styled = Text("x", style="red")
    assert Painter(color=False).rows(styled, Size(5, 5)) == ["x"]
    assert "\x1b[31m" in Painter(color=True).rows(styled, Size(5, 5))[0]


def test_an_alphabet_without_our_signs_gets_others():
    """As wide, and still different for each status; what it has stays."""
    painter = Painter(color=False, encoding="latin-1")
    assert painter.rows("○●✓✗↷↻ ▸━─ é 日", Size(40, 1)) == [".>+x-~ >=- é ?"]
    assert Painter(color=False).rows("○●✓", Size(40, 1)) == ["○●✓"]
