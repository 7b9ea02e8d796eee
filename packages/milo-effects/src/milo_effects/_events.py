"""Hearing of ``threading.Event.set`` without polling, by wrapping that one instance's method.

An event is wrapped while somebody watches it; the last to leave unwraps it. Watchers are
held weakly, so an event that outlives its contexts keeps none of them alive.
"""

from __future__ import annotations

import threading
import weakref
from typing import Protocol


class Cancellable(Protocol):
    """What is cancelled when a watched event is set."""

    def cancel_tree(self) -> None:
        """Called by the thread that sets the event, after it is set."""


_lock = threading.Lock()


class _Watched:
    """The replacement for one event's ``set``."""

    def __init__(self, event: threading.Event) -> None:
        self._set = type(event).set
        self._event = weakref.ref(event)
        self.watchers: weakref.WeakSet[Cancellable] = weakref.WeakSet()

    def __call__(self) -> None:
        event = self._event()
        if event is None:
            return
        self._set(event)
        with _lock:
            watchers = list(self.watchers)
        for watcher in watchers:
            watcher.cancel_tree()


def watch_event(event: threading.Event, watcher: Cancellable) -> None:
    """Call ``watcher.cancel_tree()`` when ``event`` is set; at once if it is set already."""
    with _lock:
        watched = vars(event).get("set")
        if not isinstance(watched, _Watched):
            watched = _Watched(event)
            vars(event)["set"] = watched
        watched.watchers.add(watcher)
    if event.is_set():
        watcher.cancel_tree()


def unwatch_event(event: threading.Event, watcher: Cancellable) -> None:
    """Undo ``watch_event``; the event's own ``set`` is back once nobody watches."""
    with _lock:
        watched = vars(event).get("set")
        if not isinstance(watched, _Watched):
            return
        watched.watchers.discard(watcher)
        if not watched.watchers:
            del vars(event)["set"]
