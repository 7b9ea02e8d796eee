"""``milo saga`` on a real terminal: tables that fit, in colour, and Ctrl-C."""

import os
import re

import pytest
from suite_tools import HANG, environment
from terminals import CTRL_C, Terminal

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def terminal(shop):
    """Start ``milo saga`` on a terminal of 80 columns."""

    def start(*words, **env):
        surroundings = {**environment(), "TERM": "xterm-256color", **env}
        return Terminal(*shop.command(*words), env=surroundings, patience=HANG)

    return start


@pytest.fixture(autouse=True)
def in_the_shop(shop, monkeypatch):
    """The shop's folder is the current one."""
    monkeypatch.chdir(shop.folder)


def test_list_has_a_line_for_each_saga(shop, terminal):
    """As wide as the terminal, with short ids that tell them apart, and reasons cut off."""
    ids = shop.orders(one="at once", two="never", three="by event")
    with terminal("list") as screen:
        assert screen.exit_code() == 0
    assert "\x1b[33mSUSPENDED" in screen.shown and "\x1b[32mCOMPLETED" in screen.shown
    header, *lines = COLOURS.sub("", screen.shown).splitlines()
    assert header.startswith("ID        STATUS     NAME   AGGREGATION  STARTED (UTC)")
    assert [line.split()[0] for line in lines] == [str(each)[:8] for each in ids[::-1]]
    assert lines[0].endswith("  waits for the eve…")
    assert max(map(len, lines)) == 80
    assert all(line.isprintable() for line in lines)


def test_show_says_it_all(shop, terminal):
    """Nothing is cut off, and nothing that an error holds reaches the terminal as a command."""
    saga_id = shop.order("never")
    with terminal("show", saga_id) as screen:
        assert screen.exit_code() == 0
    assert "\x1b[31mERROR" in screen.shown
    lines = COLOURS.sub("", screen.shown).splitlines()
    assert lines.count("    ValueError: declined red back") == 1
    assert all(line.isprintable() for line in lines)


def test_a_plain_terminal_gets_plain_lines(shop, terminal):
    """On a dumb terminal whose encoding is ASCII there is no escape sequence and no other sign."""
    shop.order("never")
    with terminal("list", TERM="dumb", PYTHONIOENCODING="ascii") as screen:
        assert screen.exit_code() == 0
    assert "\x1b" not in screen.shown and "\\u" not in screen.shown
    assert screen.shown.isascii()


def test_ctrl_c_interrupts_a_change(shop, terminal):
    """Exit code 130, without a traceback; the saga is taken up when its lease is over."""
    saga_id = shop.order("slowly")
    os.mkfifo(shop.folder / "go")
    with terminal("retry", saga_id) as screen:
        screen.wait_for("charging")
        screen.type(CTRL_C)
        screen.wait_for("^C")  # the terminal's, once it has sent the signal
        (shop.folder / "go").write_text("")  # a plain step cannot be cut short
        assert screen.exit_code() == 130
    assert "Traceback" not in screen.shown
    assert shop.see(saga_id).status == "RUNNING"
