"""The signs that a terminal's alphabet has."""

import pytest

from milo_tui.symbols import ASCII, UNICODE, symbols_for


@pytest.mark.parametrize(
    ("encoding", "symbols"),
    [
        ("utf-8", UNICODE),
        ("UTF-16", UNICODE),
        ("ascii", ASCII),
        ("latin-1", ASCII),
        ("cp1252", ASCII),
        (None, ASCII),
        ("no such encoding", ASCII),
    ],
)
def test_symbols_fit_the_encoding(encoding, symbols):
    """Unicode signs only where every one of them can be written."""
    assert symbols_for(encoding) is symbols
