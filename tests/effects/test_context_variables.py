"""Workers keep nothing of a saga, and a saga keeps its own context variables."""

import gc
import threading
import weakref
from contextvars import ContextVar, copy_context

import pytest

from milo_core import Action
from milo_effects import All, Call, Delay, Fork, Put, Select, Take

name = ContextVar("name", default="nobody")


def test_workers_begin_in_an_empty_context(new_store, run):
    """What the thread that starts a saga has set is not seen, whoever started the worker."""
    store = new_store()
    token = name.set("main")
    try:

        def saga():
            yield Delay(0)
            return name.get(), len((yield Call(copy_context)))

        assert run(store, saga()) == ("nobody", 0)
    finally:
        name.reset(token)


@pytest.mark.parametrize(
    "wait",
    [Delay(0), Call(int), Put(Action("ON")), All((Delay(0), Delay(0))), Select()],
)
def test_what_a_saga_sets_it_keeps(new_store, run, wait):
    """Across every kind of waiting, on whichever worker it goes on."""
    store = new_store(max_workers=3)

    def saga(mine):
        name.set(mine)
        for _ in range(20):
            yield wait
            assert name.get() == mine
            assert (yield Call(name.get)) == mine
        return "kept"

    tasks = [store.run_saga(saga(n)) for n in range(10)]
    assert [task.result(60) for task in tasks] == ["kept"] * 10


def test_what_a_call_sets_its_saga_keeps(new_store, run):
    """A call runs in its saga's context."""

    def saga():
        yield Call(name.set, ("set by a call",))
        yield Delay(0)
        return name.get()

    assert run(new_store(), saga()) == "set by a call"


def test_nothing_leaks_to_the_next_saga(new_store, run):
    """On one worker each saga begins with nothing of the one before, ended or parked."""
    store = new_store(max_workers=1)

    def leave_some(how):
        name.set("left over")
        yield Delay(0) if how == "parks" else Call(int)

    def look():
        before = name.get()
        yield Delay(0)
        return before, name.get(), len(copy_context())

    for how in ("parks", "ends"):
        run(store, leave_some(how))
        assert run(store, look()) == ("nobody", "nobody", 0)


def test_a_child_begins_empty(new_store, run):
    """Forked and awaited sagas do not inherit their parent's variables."""

    def child():
        yield Delay(0)
        return name.get()

    def saga():
        name.set("parent")
        task = yield Fork(child)
        together = yield All((child,))
        return (yield Call(task.result)), together, name.get()

    assert run(new_store(max_workers=2), saga()) == ("nobody", ("nobody",), "parent")


def test_cleanup_still_has_the_sagas_variables(new_store, park, ended):
    """What was set before the cancellation is there in ``finally``."""
    store, found = new_store(), []

    def saga():
        name.set("mine")
        try:
            yield Take("NEVER")
        finally:
            found.append(name.get())
            yield Delay(0)
            found.append(name.get())

    task = park(store, saga())
    task.cancel()
    ended(task)
    assert found == ["mine", "mine"]


def test_no_thread_holds_on_to_what_a_saga_has_set(new_store, run, settle):
    """Workers, timer thread and event loop, all started by one saga, keep none of its values."""
    store, values = new_store(max_workers=3), []

    class Value:
        pass

    async def coroutine():
        return name.get()

    def saga():
        name.set(Value())
        values.append(weakref.ref(name.get()))
        yield Delay(0)
        yield All((Call(coroutine), *(Call(int) for _ in range(8))))
        yield Call(coroutine)

    run(store, saga())
    settle(store)
    run(store, one(Call(coroutine)))
    gc.collect()
    assert values[0]() is None


def one(effect):
    return (yield effect)


def test_the_dispatching_thread_lends_nothing(new_store, park, hangs):
    """A saga resumed by a dispatch goes on in its own context."""
    store = new_store()

    def saga():
        yield Take("GO")
        return name.get()

    task = park(store, saga())

    def send():
        name.set("sender")
        store.dispatch(Action("GO"))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(hangs)
    assert task.result(hangs) == "nobody"
