"""The queue through which a run's saga hears that something has ended."""

import threading

from milo_core import Store
from milo_effects import SagaContext
from milo_pipeline._inbox import Arrival, Inbox


class Resume:
    """What a runner hands out: counts how often the saga was let go on."""

    def __init__(self):
        self.calls = 0

    def next(self):
        self.calls += 1


def test_items_come_out_in_order():
    """First in, first out; ``None`` when there is nothing."""
    inbox = Inbox()
    for item in (1, 2):
        inbox.put(item)
    assert [inbox.take(), inbox.take(), inbox.take()] == [1, 2, None]


def test_who_waits_is_resumed_once():
    """By the first item; later ones stay for the next look."""
    inbox, waiting = Inbox(), Resume()
    inbox.wait(waiting)
    inbox.put(1)
    inbox.put(2)
    assert waiting.calls == 1


def test_who_comes_late_is_resumed_at_once():
    """An item that is already there ends the wait before it begins."""
    inbox, waiting = Inbox(), Resume()
    inbox.put(1)
    inbox.wait(waiting)
    assert waiting.calls == 1


def test_stopping_a_wait_stops_that_wait_only():
    """The function of a wait that is over is harmless to the one under way."""
    inbox, first, second = Inbox(), Resume(), Resume()
    stop_first = inbox.wait(first)
    inbox.put(1)
    inbox.take()
    inbox.wait(second)
    stop_first()
    inbox.put(2)
    assert (first.calls, second.calls) == (1, 1)


def test_a_stopped_wait_is_not_resumed():
    """The item stays in the inbox."""
    inbox, waiting = Inbox(), Resume()
    inbox.wait(waiting)()
    inbox.put(1)
    assert (waiting.calls, inbox.take()) == (0, 1)


def test_no_item_is_lost_between_threads():
    """Four threads put, one saga takes: it gets every item once, each thread's in order."""
    inbox, taken, many = Inbox(), [], 500

    def saga():
        while len(taken) < 4 * many:
            while (item := inbox.take()) is None:
                yield Arrival(inbox)
            taken.append(item)

    def put(name):
        for number in range(many):
            inbox.put((name, number))

    with Store(lambda state, action: state, None) as store:
        task = store.run_saga(saga())
        threads = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        task.result(60)
    for name in "abcd":
        assert [n for who, n in taken if who == name] == list(range(many))


def test_a_cancelled_wait_ends():
    """The saga is told at once, and the inbox keeps what comes in later."""
    inbox, context, ended = Inbox(), SagaContext(), []

    def saga():
        try:
            yield Arrival(inbox)
        finally:
            ended.append("told")

    with Store(lambda state, action: state, None) as store:
        store.run_saga(saga(), context=context)
        store.wait_idle(60)
        context.cancel_tree()
        store.wait_idle(60)
        assert ended == ["told"]
        inbox.put(1)
    assert inbox.take() == 1
