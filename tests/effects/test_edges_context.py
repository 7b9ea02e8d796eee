"""Contexts and events at their edges: what was never entered, and what is gone already."""

import gc
import threading
import weakref

from milo_effects import SagaContext
from milo_effects._events import watch_event


class Watcher:
    def __init__(self):
        self.times = 0

    def cancel_tree(self):
        self.times += 1


def test_setting_an_event_that_is_gone_does_nothing():
    """A ``set`` that was kept longer than its event keeps nothing alive and tells nobody."""
    event, watcher = threading.Event(), Watcher()
    watch_event(event, watcher)
    set_it, seen = event.set, weakref.ref(event)
    del event
    gc.collect()
    assert seen() is None
    set_it()
    assert watcher.times == 0


def test_leaving_without_having_entered_is_harmless():
    """A context nothing ran in leaves its scope as it is, with and without others in it."""
    scope = SagaContext()
    scope.child().leave()
    entered = scope.child()
    below = entered.child()
    below.enter()
    scope.child().leave()
    scope.cancel_tree()
    assert below.is_cancelled
    assert entered.is_cancelled
