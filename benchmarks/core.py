"""Dispatching: the store beside a lock and a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from measure import Row, best_of, main, per_call
from milo_core import Action, Store

COUNT = 200_000
ACTION = Action("NOTHING")


def reducer(state: Any, action: Action) -> Any:
    return state


def lock_and_call() -> None:
    lock, state = threading.Lock(), 0
    for _ in range(COUNT):
        with lock:
            state = reducer(state, ACTION)


def dispatch() -> None:
    send = Store(reducer, 0).dispatch
    for _ in range(COUNT):
        send(ACTION)


def rows() -> Iterator[Row]:
    floor, ours = best_of(per_call(lock_and_call, COUNT), per_call(dispatch, COUNT))
    yield Row("dispatch, reducer without work", ours, floor, 2.5)


if __name__ == "__main__":
    main("milo-core", rows)
