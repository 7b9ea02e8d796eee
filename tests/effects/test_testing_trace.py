"""The words of a trace: equal for equal values, in every process."""

from dataclasses import dataclass, field
from enum import Enum
from functools import partial

import pytest

from milo_core import Action
from milo_effects import Buffer, Call, Channel, Put, Retry, SagaContext, Take
from milo_effects.testing._describing import describe, name_of


class Colour(Enum):
    RED = 1


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list = field(default_factory=list)
    secret: str = field(default="s", repr=False)


class Thing:
    def method(self):
        raise NotImplementedError


def saga():
    yield


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("a'b", '"a\'b"'),
        (1.5, "1.5"),
        (Colour.RED, "<Colour.RED: 1>"),
        (Action("GO"), "Action('GO')"),
        (Action("GO", {"b": 1}), "Action('GO', {'b': 1})"),
        (Call(saga), "Call(saga)"),
        (Call(saga, (1,), {"a": [2]}), "Call(saga, (1,), {'a': [2]})"),
        (Retry(saga, max_attempts=5), "Retry(saga, (), {}, 5)"),
        (Put(Action("A")), "Put(Action('A'))"),
        (Take(("B", "A"), 1), "Take(('B', 'A'), 1)"),
        (Point(1), "Point(1)"),
        (Point(1, 0, ["x"]), "Point(1, 0, ['x'])"),
        (Point, "Point"),
        ({"b", "a"}, "{'a', 'b'}"),
        ((), "()"),
        (Thing(), "<Thing>"),
        (Thing().method, "Thing.method"),
        (saga, "saga"),
        (partial(partial(saga), 1), "saga"),
        (LookupError("gone"), "LookupError('gone')"),
        (OSError(f"lost {Channel()!r}"), "OSError('lost <Channel channel>')"),
        (Channel(Buffer(1)), "<Channel channel>"),
        (Channel(name="mail"), "<Channel mail>"),
        (SagaContext("mine"), "mine"),
    ],
)
def test_values_are_described_by_what_they_are(value, text):
    """No addresses, no order of a set, no default fields, no numbers of the process."""
    assert describe(value) == text


def test_addresses_in_messages_are_left_out():
    """An error's text may show an object; a trace does not show where it is."""
    assert describe(LookupError(f"no {object()!r}")) == "LookupError('no <object object>')"


def test_long_values_are_cut():
    """A line stays a line."""
    assert len(describe("x" * 1000)) == 200
    assert describe("x" * 1000).endswith("...")


def test_local_functions_have_short_names():
    """What they are nested in is left out; a generator has the name of its function."""

    def local():
        yield

    assert name_of(local) == name_of(local()) == "local"
    assert name_of(lambda: None) == "<lambda>"
    assert name_of(Thing()) == "Thing"
