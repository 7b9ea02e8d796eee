"""Commands as data; running them is another package's work."""

from dataclasses import fields

import pytest

from milo_core import Batch, Cmd, Sequence, TickCmd, compact_cmds


def save():
    """Nothing; a name to compare."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cmd(save),
        lambda: Batch((Cmd(save), TickCmd(1.0))),
        lambda: Sequence((Batch((Cmd(save),)), Cmd(save))),
        lambda: TickCmd(0.5),
    ],
)
def test_commands_are_values(make):
    """Commands compare, hash and print by what they hold, and do not change."""
    command = make()
    assert command == make()
    assert hash(command) == hash(make())
    assert type(command).__name__ in repr(command)
    (first, *_) = fields(command)
    with pytest.raises(AttributeError):
        setattr(command, first.name, None)


def test_compact_cmds_leaves_out_what_is_none():
    """Commands come back in order as a tuple, without ``None``; of nothing, nothing."""
    assert compact_cmds(Cmd(save), None, TickCmd(1)) == (Cmd(save), TickCmd(1))
    assert compact_cmds(None) == compact_cmds() == ()
