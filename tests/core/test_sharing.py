"""``share``: deferred counts where threads run freely, and nothing at all elsewhere."""

import builtins
import ctypes
import gc
import sys
import weakref

import pytest

from milo_core import Action, Store, _sharing
from milo_core._sharing import share

FREE = not getattr(sys, "_is_gil_enabled", lambda: True)()


class Thing:
    """Something that threads share."""


def is_gone_without_collector(thing_maker):
    """Whether what ``thing_maker`` returns goes with its last name, before any collection."""
    gc.disable()
    try:
        thing = thing_maker()
        gone = weakref.ref(thing)
        del thing
        at_once = gone() is None
    finally:
        gc.enable()
    gc.collect()
    assert gone() is None
    return at_once


def shared():
    """A thing that has been given to ``share``."""
    thing = Thing()
    share(thing)
    return thing


@pytest.fixture(autouse=True)
def forgetting():
    """Each test finds out anew what the interpreter can do, and leaves no trace of it."""
    _sharing._deferral.cache_clear()
    yield
    _sharing._deferral.cache_clear()


@pytest.fixture
def free(monkeypatch):
    """The interpreter says that it runs without a GIL."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)


@pytest.fixture
def deferred(monkeypatch, free):
    """What is handed to an interpreter's own function, here one that only notes it."""
    given = []

    class Function:
        argtypes = None

        def __call__(self, thing):
            assert self.argtypes == [ctypes.py_object]
            given.append(thing)

    class Interpreter:
        PyUnstable_Object_EnableDeferredRefcount = Function()

    monkeypatch.setattr(ctypes, "pythonapi", Interpreter())
    return given


@pytest.mark.parametrize("says", [None, True])
def test_under_a_gil_nothing_is_shared(monkeypatch, deferred, says):
    """An interpreter with a GIL, or too old to say, is left alone: objects go at once."""
    if says is None:
        monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    else:
        monkeypatch.setattr(sys, "_is_gil_enabled", lambda: says, raising=False)
    assert is_gone_without_collector(shared)
    assert deferred == []


def test_without_a_gil_each_object_is_deferred(deferred):
    """All that are given, in their order, each once."""
    things = [Thing(), Thing(), Thing()]
    share(*things)
    share()
    assert deferred == things


def test_the_interpreter_is_asked_once(deferred, monkeypatch):
    """Sharing many objects looks for the function once."""
    share(Thing())
    monkeypatch.setattr(ctypes, "pythonapi", None)
    share(Thing())
    assert len(deferred) == 2


def test_an_interpreter_without_the_function_counts_as_ever(monkeypatch, free):
    """3.13t has none: sharing does nothing, and objects go at once."""
    monkeypatch.setattr(ctypes, "pythonapi", object())
    assert is_gone_without_collector(shared)


def test_an_interpreter_without_ctypes_counts_as_ever(monkeypatch, free):
    """It may be built without: sharing does nothing, and objects go at once."""
    real = builtins.__import__

    def without_ctypes(name, *rest):
        if name == "ctypes":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ctypes)
    assert is_gone_without_collector(shared)


@pytest.mark.skipif(
    not FREE or sys.version_info < (3, 14), reason="only a free-threaded 3.14 or later defers"
)
def test_free_threads_leave_shared_objects_to_the_collector():
    """On the real thing: a shared object outlives its last name, until the next collection."""
    assert is_gone_without_collector(Thing)
    assert not is_gone_without_collector(shared)


def test_a_store_goes_away_with_what_it_shares():
    """However it is counted, a store nobody holds any more is collected, with its host."""
    runtimes = []

    class Runtime:
        def __init__(self, host):
            self.host = host
            runtimes.append(weakref.ref(self))

        def run_saga(self, saga, cancel, context):
            return None

    store = Store(lambda state, action: state, 0, (lambda n, g: n,), runtime=Runtime)
    store.run_saga("s")
    store.dispatch(Action("GO"))
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert (gone(), runtimes[0]()) == (None, None)


def test_sharing_from_several_threads(together):
    """Eight threads that share the same and their own objects at once, twenty times."""
    for _ in range(20):
        _sharing._deferral.cache_clear()
        common = [Thing() for _ in range(100)]
        gone = [weakref.ref(each) for each in common]
        together(*[lambda c=common: share(*c, *[Thing() for _ in c])] * 8)
        del common
        gc.collect()
        assert [each for each in gone if each() is not None] == []
