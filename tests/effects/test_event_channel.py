"""EventChannel makes a channel of what a source outside tells a callback."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import (
    Buffer,
    BufferFull,
    Call,
    ChannelClosed,
    Emit,
    EventChannel,
    Flush,
    Put,
    SagaCancelled,
    SubscriptionError,
    Take,
)


class Source:
    """Something with subscribers, as a socket, a file watcher or a toolkit has them."""

    def __init__(self, first=()):
        self.first = first
        self.emit = None
        self.subscribed = 0
        self.unsubscribed = 0
        self.over = threading.Event()

    def subscribe(self, emit):
        self.subscribed += 1
        self.emit = emit
        for each in self.first:
            emit(each)
        return self.unsubscribe

    def unsubscribe(self):
        self.unsubscribed += 1
        self.over.set()

    def counts(self, hangs):
        assert self.over.wait(hangs)
        return self.subscribed, self.unsubscribed


def collect(source, buffer=None):
    seen, channel = [], (yield EventChannel(source.subscribe, buffer))
    try:
        while True:
            seen.append((yield Take(channel)))
    except ChannelClosed:
        return seen


def test_what_is_emitted_reaches_the_saga(new_store, park, hangs):
    """From inside ``subscribe``, from any thread, in order; subscribed once, unsubscribed once."""
    store, source = new_store(), Source(first=[0, 1])
    task = park(store, collect(source))
    source.emit(2)
    thread = threading.Thread(target=source.emit, args=(3,))
    thread.start()
    thread.join()
    assert (source.subscribed, source.unsubscribed) == (1, 0)
    source.emit.close()
    assert task.result(hangs) == [0, 1, 2, 3]
    assert source.counts(hangs) == (1, 1)


def test_many_threads_may_emit(new_store, park, together, frantic, hangs):
    """Four threads emit 300 messages each; all arrive, each thread's in order."""
    store, source = new_store(), Source()
    task = park(store, collect(source))

    def work(name):
        for n in range(300):
            source.emit((name, n))

    together(*[lambda name=name: work(name) for name in range(4)])
    source.emit.close()
    seen = task.result(hangs)
    assert len(seen) == 1200
    for name in range(4):
        assert [n for origin, n in seen if origin == name] == list(range(300))


def test_subscribe_runs_on_a_worker(new_store, run):
    """It is called by the saga's worker, as any other function of the saga's."""
    where = []

    def subscribe(emit):
        where.append(threading.current_thread().name)
        return int

    def saga():
        yield EventChannel(subscribe)

    run(new_store(), saga())
    assert where[0].startswith("milo-worker-")


def test_a_long_subscribe_after_a_put_holds_on_to_no_actions(new_store, gate):
    """What is dispatched while a source is subscribed to is not kept for the saga."""

    class Payload:
        pass

    store, begun, leave = new_store(lambda state, action: state, None), gate(), gate()

    def subscribe(emit):
        begun.set()
        leave.pass_through()
        return int

    def saga():
        yield Put(Action("READY"))
        yield EventChannel(subscribe)

    store.run_saga(saga())
    begun.pass_through()
    payload = Payload()
    passing = weakref.ref(payload)
    store.dispatch(Action("PASSING", payload))
    store.dispatch(Action("LAST"))
    del payload
    gc.collect()
    assert passing() is None


# The end


def test_the_end_of_the_saga_unsubscribes(new_store, run, hangs):
    """Once, and what is emitted afterwards is ignored."""
    source = Source()

    def saga():
        return (yield EventChannel(source.subscribe))

    channel = run(new_store(), saga())
    assert source.counts(hangs) == (1, 1)
    source.emit("too late")
    source.emit.close()
    channel.close()
    assert (len(channel), channel.dropped) == (0, 0)
    assert source.counts(hangs) == (1, 1)


def test_cancelling_the_saga_unsubscribes(new_store, park, ended, left, hangs):
    """A saga that waits at its channel and is cancelled leaves nothing."""
    store, source = new_store(), Source()
    task = park(store, collect(source))
    task.cancel()
    assert ended(task) is SagaCancelled
    assert source.counts(hangs) == (1, 1)
    assert left(store) == {}


def test_a_saga_that_is_cancelled_while_it_subscribes_unsubscribes(new_store, gate, ended, hangs):
    """``subscribe`` runs to its end, and what it began is ended."""
    store, source, begun, leave = new_store(), Source(), gate(), gate()

    def subscribe(emit):
        begun.set()
        leave.pass_through()
        return source.subscribe(emit)

    def saga():
        yield EventChannel(subscribe)

    task = store.run_saga(saga())
    begun.pass_through()
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert source.counts(hangs) == (1, 1)


def test_closing_the_channel_unsubscribes(new_store, run, hangs):
    """The saga that has enough says so, and lives on."""
    source = Source(first=[1])

    def saga():
        channel = yield EventChannel(source.subscribe)
        yield Take(channel)
        channel.close()
        return source.unsubscribed

    assert run(new_store(), saga()) == 1
    assert source.counts(hangs) == (1, 1)


def test_a_source_that_ends_at_once_is_unsubscribed(new_store, run, hangs):
    """``emit.close()`` inside ``subscribe`` counts; what came before can be taken."""
    source = Source()

    def subscribe(emit):
        emit("only")
        emit.close()
        return source.subscribe(emit)

    def saga():
        channel = yield EventChannel(subscribe)
        only = yield Take(channel)
        with pytest.raises(ChannelClosed):
            yield Take(channel)
        return only

    assert run(new_store(), saga()) == "only"
    assert source.counts(hangs) == (1, 1)


def test_a_source_that_breaks_tells_why(new_store, park, ended):
    """``emit.close(error)`` throws the error into the saga."""
    store, source = new_store(), Source()
    task = park(store, collect(source))
    source.emit.close(ConnectionError("gone"))
    assert ended(task) is ConnectionError


def test_closing_from_several_sides_unsubscribes_once(new_store, park, together, frantic, hangs):
    """The source, the saga's end and a thread at the same time; fifty times over."""
    store = new_store(lambda state, action: state, None)
    for _ in range(50):
        source = Source()
        task = park(store, collect(source))
        together(source.emit.close, task.cancel, source.emit.close)
        assert source.counts(hangs) == (1, 1)


def test_unsubscribing_that_fails_is_logged(new_store, run, ended, caplog, gate):
    """The saga and its other channels end all the same."""
    second = Source()

    def saga():
        channel = yield EventChannel(lambda emit: lambda: 1 / 0)
        yield EventChannel(second.subscribe)
        channel.close()
        return "ended"

    assert run(new_store(), saga()) == "ended"
    assert second.counts(60) == (1, 1)
    assert "a close callback of <Channel EventChannel(" in caplog.text
    assert "ZeroDivisionError" in caplog.text


# Buffers


def test_a_buffer_bounds_what_is_kept(new_store, run):
    """Messages that nobody takes are dropped, and counted."""
    source = Source(first=range(10))

    def saga():
        channel = yield EventChannel(source.subscribe, Buffer(3, "drop-oldest"))
        return (yield Flush(channel)), channel.dropped

    assert run(new_store(), saga()) == ((7, 8, 9), 7)


def test_a_full_buffer_fails_the_channel_and_not_the_source(new_store, run, hangs):
    """``emit`` raises nothing; the saga gets what is kept, then the error, and unsubscribes."""
    source = Source(first=range(10))

    def saga():
        channel = yield EventChannel(source.subscribe, Buffer(1))
        seen = [(yield Take(channel))]
        with pytest.raises(BufferFull):
            yield Take(channel)
        return seen, source.unsubscribed

    assert run(new_store(), saga()) == ([0], 1)
    assert source.counts(hangs) == (1, 1)


# Mistakes


def test_what_subscribe_raises_goes_to_the_saga(new_store, run):
    """It can be caught there; whoever got hold of ``emit`` talks to nobody."""
    emits = []

    def subscribe(emit):
        emits.append(emit)
        raise ConnectionError("refused")

    def saga():
        with pytest.raises(ConnectionError, match="refused"):
            yield EventChannel(subscribe)
        message = Source()
        emits[0](message)
        return weakref.ref(message)

    message = run(new_store(), saga())
    gc.collect()
    assert message() is None


def test_subscribe_must_return_how_to_unsubscribe(new_store, run):
    """A named error says what came back instead."""

    def subscribe(emit):
        return "done"

    def saga():
        with pytest.raises(SubscriptionError) as caught:
            yield EventChannel(subscribe)
        return caught.value

    error = run(new_store(), saga())
    assert (error.subscribe, error.answer) == (subscribe, "done")
    assert "returned 'done'; it returns a function that ends the subscription" in str(error)


@pytest.mark.parametrize("given", ["click", None, 5])
def test_a_malformed_event_channel_is_refused_where_it_is_written(given):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="EventChannel takes a function of emit, was given"):
        EventChannel(given)


def test_a_malformed_buffer_is_refused_where_it_is_written():
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="EventChannel takes a Buffer or None, was given 'fail'"):
        EventChannel(int, "fail")


def test_emit_prints_where_it_leads(new_store, run):
    """A source that logs its callbacks shows something readable."""
    source = Source()

    def saga():
        yield EventChannel(source.subscribe)

    run(new_store(), saga())
    assert isinstance(source.emit, Emit)
    assert repr(source.emit) == "<Emit to EventChannel(Source.subscribe)>"


def test_a_thread_of_ones_own_as_source(new_store, run, hangs):
    """The source may be a thread that ends the channel when it is through."""
    threads = []

    def subscribe(emit):
        def work():
            for n in range(100):
                emit(n)
            emit.close()

        threads.append(threading.Thread(target=work))
        threads[0].start()
        return int

    def saga():
        seen, channel = [], (yield EventChannel(subscribe))
        try:
            while True:
                seen.append((yield Take(channel)))
        except ChannelClosed:
            yield Call(threads[0].join)
            return seen

    assert run(new_store(), saga()) == list(range(100))
