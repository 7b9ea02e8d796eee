"""``Key`` and ``SpecialKey``: what ``@@KEY`` carries."""

import pytest

from milo_core import Key, SpecialKey
from milo_core.encoding import decode, encode


def test_a_key_is_a_value():
    """Keys compare and hash by character, name and modifiers, and do not change."""
    assert Key("q") == Key(char="q") != Key("q", ctrl=True)
    assert len({Key(name=SpecialKey.UP), Key(name=SpecialKey.UP), Key(name=SpecialKey.DOWN)}) == 2
    with pytest.raises(AttributeError):
        Key("q").char = "x"


def test_special_keys_have_lower_case_values():
    """Each special key's value is its name in lower case, so none stands for another."""
    assert all(key.value == key.name.lower() for key in SpecialKey)
    assert len(SpecialKey) == len(SpecialKey.__members__) == 26


@pytest.mark.parametrize("key", [Key("q", alt=True), Key(name=SpecialKey.F12, shift=True)])
def test_keys_can_be_recorded(key):
    """A key press comes back from a recording as it was."""
    assert decode(encode(key)) == key
