"""Payload types and a reducer that two processes know by the same names.

``serve`` is the second process: it reads paths of recordings from stdin and answers each with
the state and the hashes it arrives at.
"""

import json
import sys
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, NamedTuple

from milo_core import Action, Store, read_recording, replay
from milo_core.encoding import decode, encode


class Colour(Enum):
    RED = "r"
    GREEN = ("g", 1)


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = None


@dataclass(slots=True)
class Slotted:
    inside: Any

    class Inner(Enum):
        DEEP = 1


@dataclass
class Strict:
    """Refuses in its constructor what may be stored in it later."""

    value: Any
    twice: Any = field(init=False)

    def __post_init__(self):
        if self.value is None:
            raise ValueError("value is required")


class Pair(NamedTuple):
    left: Any
    right: Any = None


@dataclass
class Failure(Exception):
    """A dataclass whose arguments live outside its fields."""

    reason: str


def append(state, action):
    """Everything that happened, as one growing tuple."""
    return (*state, (action.type, action.payload))


def text_of(state):
    """A state as text that is equal exactly when the states are."""
    return json.dumps(encode(state))


def record_again(path):
    """The hashes this process computes for the recorded actions."""
    store = Store(lambda state, action: state, None, record=True)
    for entry in read_recording(path)[1:]:
        store.dispatch(Action(entry["action_type"], decode(entry["action_payload"])))
    return [entry["state_hash"] for entry in store.recording]


def serve():
    for line in sys.stdin:
        path = json.loads(line)
        answer = {"state": text_of(replay(path, append, ())), "hashes": record_again(path)}
        print(json.dumps(answer), flush=True)
