"""Channels pass messages from threads and callbacks to sagas, each to exactly one."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import (
    Buffer,
    Call,
    Channel,
    ChannelClosed,
    Delay,
    Put,
    Race,
    SagaCancelled,
    Take,
    Timeout,
)


def quiet(state, action):
    return state


def take(channel, timeout=None):
    return (yield Take(channel, timeout))


def collect(channel):
    """Take until the channel has ended; return what came."""
    seen = []
    try:
        while True:
            seen.append((yield Take(channel)))
    except ChannelClosed:
        return seen


# Passing messages on


def test_a_waiting_saga_gets_the_message(new_store, park, hangs):
    """What is put resumes the saga that waits, and is not kept."""
    store, channel = new_store(), Channel()
    task = park(store, take(channel))
    message = object()
    channel.put(message)
    assert task.result(hangs) is message
    assert len(channel) == 0


def test_messages_wait_for_a_saga(new_store, run):
    """What is put while nobody takes is kept, in order."""
    channel = Channel()
    for n in range(3):
        channel.put(n)
    assert len(channel) == 3

    def saga():
        return ((yield Take(channel)), (yield Take(channel)), (yield Take(channel)))

    assert run(new_store(), saga()) == (0, 1, 2)
    assert len(channel) == 0


def test_each_message_goes_to_the_saga_that_has_waited_longest(new_store, park, hangs):
    """Three sagas that wait get one message each, in the order they came."""
    store, channel = new_store(), Channel()
    tasks = [park(store, take(channel)) for _ in range(3)]
    for message in "abc":
        channel.put(message)
    assert [task.result(hangs) for task in tasks] == ["a", "b", "c"]


def test_sagas_put_without_an_effect(new_store, run):
    """One saga feeds another by calling ``put``, in another store even."""
    channel = Channel()

    def producer():
        for n in range(3):
            channel.put(n)
            yield Delay(0)
        channel.close()

    new_store().run_saga(producer())
    assert run(new_store(), collect(channel)) == [0, 1, 2]


def test_none_is_a_message_like_any_other(new_store, park, run, hangs):
    """``None`` is passed on to who waits and kept for who comes."""
    store, channel = new_store(), Channel()
    task = park(store, take(channel))
    channel.put(None)
    channel.put(None)
    assert task.result(hangs) is None
    assert len(channel) == 1
    assert run(store, take(channel)) is None


def test_taking_what_is_there_and_waiting_alternate(new_store, park, settle, hangs):
    """A saga that takes faster and slower than messages come gets all of them."""
    store, channel = new_store(), Channel()
    channel.put(0)
    channel.put(1)
    task = park(store, collect(channel))
    channel.put(2)
    settle(store)
    channel.put(3)
    channel.close()
    assert task.result(hangs) == [0, 1, 2, 3]


def test_what_was_taken_is_not_kept_alive(new_store, park, settle):
    """Neither the channel nor a saga that waits for more holds on to a message."""

    class Message:
        pass

    store, channel = new_store(), Channel()

    def saga():
        while True:
            yield Take(channel)

    park(store, saga())
    messages = [Message() for _ in range(3)]
    gone = [weakref.ref(each) for each in messages]
    for each in messages:
        channel.put(each)
        settle(store)
    del each
    messages.clear()
    channel.put(None)
    settle(store)
    gc.collect()
    assert [each() for each in gone] == [None] * 3


def test_many_threads_and_many_sagas_lose_and_double_nothing(
    new_store, together, frantic, all_ended
):
    """Four threads put 500 messages each, eight sagas take: each message arrives once."""
    store, channel = new_store(quiet, None), Channel()
    tasks = [store.run_saga(collect(channel)) for _ in range(8)]

    def feed(source):
        for n in range(500):
            channel.put((source, n))

    together(*[lambda source=source: feed(source) for source in range(4)])
    channel.close()
    all_ended(store)
    seen = [task.result(0) for task in tasks]
    assert sorted(each for mine in seen for each in mine) == [
        (source, n) for source in range(4) for n in range(500)
    ]
    for mine in seen:
        for source in range(4):
            numbers = [n for origin, n in mine if origin == source]
            assert numbers == sorted(numbers)


def test_a_name_shows_where_it_helps():
    """A channel prints its name, or a number of its own."""
    assert repr(Channel(name="lines")) == "<Channel lines>"
    assert Channel(name="lines").name == "lines"
    first, second = Channel(), Channel()
    assert first.name != second.name
    assert repr(first) == f"<Channel {first.name}>"


# Ending


def test_what_is_kept_can_be_taken_after_the_end(new_store, run):
    """``close`` lets nothing more in and leaves what is there."""
    channel = Channel()
    channel.put(1)
    assert not channel.closed
    channel.close()
    assert channel.closed
    assert run(new_store(), collect(channel)) == [1]


def test_the_end_is_told_to_everybody_who_waits(new_store, park, ended, left):
    """Every waiting saga gets ``ChannelClosed``, which names the channel; nothing is left."""
    store, channel = new_store(), Channel(name="lines")
    tasks = [park(store, take(channel, timeout)) for timeout in (None, 60)]
    channel.close()
    assert [ended(task) for task in tasks] == [ChannelClosed] * 2
    assert tasks[0].error.channel is channel
    assert str(tasks[0].error) == "<Channel lines> is closed and has no more messages"
    assert left(store) == {}


def test_putting_after_the_end_is_an_error():
    """``put`` says that nobody will get the message."""
    channel = Channel(name="lines")
    channel.close()
    with pytest.raises(ChannelClosed, match="<Channel lines> is closed and takes no more mess"):
        channel.put(1)


def test_closing_again_changes_nothing(new_store, run, ended):
    """The first call counts, also for the error."""
    channel = Channel()
    channel.close()
    channel.close(ValueError("late"))
    task = new_store().run_saga(take(channel))
    assert ended(task) is ChannelClosed


def test_an_error_that_ends_it_is_thrown_into_every_saga(new_store, park, ended):
    """Who waits and who comes later gets it, after what is kept."""
    store, channel, broken = new_store(), Channel(), ValueError("broken")
    waiting = park(store, take(channel))
    channel.close(broken)
    assert ended(waiting) is ValueError
    assert waiting.error is broken
    assert ended(store.run_saga(take(channel))) is ValueError


def test_a_saga_that_comes_while_the_channel_is_closed_is_told(new_store, park, ended, together):
    """A hundred sagas that begin to wait while the channel is closed all end."""
    store = new_store(quiet, None)
    for _ in range(20):
        channel = Channel()
        tasks = []

        def start(channel=channel, tasks=tasks):
            tasks.extend(store.run_saga(take(channel)) for _ in range(5))

        together(start, channel.close)
        assert [ended(task) for task in tasks] == [ChannelClosed] * 5


def test_close_callbacks_are_called_once(caplog):
    """In order, at once when it is too late, and one that raises is logged and harms no other."""
    channel, called = Channel(name="lines"), []
    channel.add_close_callback(lambda: called.append("first"))
    channel.add_close_callback(lambda: 1 / 0)
    channel.add_close_callback(lambda: called.append(channel.closed))
    assert called == []
    channel.close()
    channel.close()
    assert called == ["first", True]
    assert "a close callback of <Channel lines> raised" in caplog.text
    channel.add_close_callback(lambda: called.append("late"))
    assert called == ["first", True, "late"]


# Timeouts


def test_a_timeout_is_thrown_and_says_what_was_waited_for(new_store, run, left):
    """``TimeoutError`` names the channel and the seconds; nobody waits any more."""
    store, channel = new_store(), Channel(name="lines")

    def saga():
        with pytest.raises(TimeoutError) as caught:
            yield Take(channel, timeout=0.01)
        channel.put("later")
        return str(caught.value), (yield Take(channel, timeout=60))

    message = "Take(<Channel lines>) timed out after 0.01s"
    assert run(store, saga()) == (message, "later")
    assert left(store) == {}


def test_a_message_in_time_stops_the_clock(new_store, park, hangs, left):
    """No timer is left behind."""
    store, channel = new_store(), Channel()
    task = park(store, take(channel, 60))
    assert left(store) == {"tasks": 1, "timers": 1}
    channel.put("in time")
    assert task.result(hangs) == "in time"
    assert left(store) == {}


def test_message_and_timeout_at_the_same_time_lose_nothing(new_store, run, left):
    """A message that comes when the time is up is taken, or kept; two hundred times over."""
    store, channel, rounds = new_store(quiet, None), Channel(), 200
    expired = threading.Semaphore(0)

    def saga():
        seen = []
        while len(seen) < rounds:
            try:
                seen.append((yield Take(channel, timeout=0.0005)))
            except TimeoutError:
                expired.release()
        return seen

    task = store.run_saga(saga())
    for n in range(rounds):
        expired.acquire(timeout=0.001)
        channel.put(n)
    assert task.result(60) == list(range(rounds))
    assert left(store) == {}


# Cancelling


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cancelled_take_leaves_nothing(new_store, park, ended, left, timeout):
    """The saga no longer waits: the next message is kept for the next who takes."""
    store, channel = new_store(), Channel()
    task = park(store, take(channel, timeout))
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}
    channel.put("kept")
    assert len(channel) == 1


def test_a_saga_that_is_cancelled_instead_of_receiving_gives_back(
    new_store, park, gate, ended, hangs
):
    """A message on its way to a saga goes to the next one that waits when that is cancelled."""
    store, channel = new_store(max_workers=1), Channel()
    first, second = park(store, take(channel)), park(new_store(), take(channel))
    begun, leave = gate(), gate()

    def busy():
        yield Call(lambda: (begun.set(), leave.pass_through()))

    store.run_saga(busy())
    begun.pass_through()
    channel.put("message")  # first is queued with it behind the call that keeps the worker
    first.cancel()
    leave.set()
    assert ended(first) is SagaCancelled
    assert second.result(hangs) == "message"


def test_what_is_given_back_returns_to_its_place(new_store, park, gate, ended, run):
    """Messages given to sagas that are cancelled come before later ones, in their order."""
    store, channel = new_store(max_workers=1), Channel()
    tasks = [park(store, take(channel)) for _ in range(3)]
    begun, leave = gate(), gate()

    def busy():
        yield Call(lambda: (begun.set(), leave.pass_through()))

    store.run_saga(busy())
    begun.pass_through()
    for n in range(5):
        channel.put(n)
    for task in tasks:
        task.cancel()
    leave.set()
    assert [ended(task) for task in tasks] == [SagaCancelled] * 3
    channel.close()
    assert run(store, collect(channel)) == [0, 1, 2, 3, 4]


def test_a_message_that_is_taken_at_once_is_given_back_too(new_store, park, ended):
    """A saga that is cancelled while it takes what is there leaves it there, in order."""

    class CancelsWhoTakes(Channel):
        def enter(self, waiter):
            super().enter(waiter)
            task.cancel()

    store, channel = new_store(), CancelsWhoTakes()
    channel.put(0)
    channel.put(1)

    def saga():
        yield Take("GO")
        yield Take(channel)

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert ended(task) is SagaCancelled
    assert channel.flush() == (0, 1)


def test_a_saga_that_is_cancelled_instead_of_hearing_of_the_end(new_store, park, gate, ended, left):
    """The end on its way to a saga is dropped with its wait, and nothing is left of either."""
    store, channel = new_store(max_workers=1), Channel()
    task = park(store, take(channel, 60))
    begun, leave = gate(), gate()

    def busy():
        yield Call(lambda: (begun.set(), leave.pass_through()))

    store.run_saga(busy())
    begun.pass_through()
    channel.close()
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_a_saga_that_has_received_keeps_the_message(new_store, run, ended, park):
    """Cancelled later, while it does something else, it gives nothing back."""
    store, channel = new_store(), Channel()

    def saga():
        yield Take(channel)
        yield Delay(60)

    task = park(store, saga())
    channel.put("first")
    store.wait_idle()
    task.cancel()
    assert ended(task) is SagaCancelled
    assert len(channel) == 0


def test_cancelled_and_fed_at_the_same_time_nothing_is_lost(
    new_store, together, frantic, all_ended
):
    """Sagas are cancelled while messages come: each message is received once or is kept."""
    store, rounds = new_store(quiet, None, max_workers=2), 40
    for _ in range(rounds):
        channel, seen = Channel(), []

        def saga(channel=channel, seen=seen):
            while True:
                seen.append((yield Take(channel)))

        tasks = [store.run_saga(saga()) for _ in range(4)]

        def feed(channel=channel):
            for n in range(20):
                channel.put(n)

        def cancel(tasks=tasks):
            for task in tasks:
                task.cancel()

        together(feed, cancel)
        all_ended(store)
        assert sorted([*seen, *channel.flush()]) == list(range(20))


def test_timeouts_and_races_let_go_of_the_channel(new_store, run, left):
    """A ``Take`` that loses waits no longer; the next message is there for the next ``Take``."""
    store, channel = new_store(), Channel()

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(Take(channel), 0.001)
        yield Race((Take(channel), Delay(0.001)))
        channel.put("kept")
        return (yield Take(channel))

    assert run(store, saga()) == "kept"
    assert left(store) == {}


# Mistakes


@pytest.mark.parametrize("buffer", [5, "drop-oldest", Buffer])
def test_a_malformed_buffer_is_refused_where_it_is_written(buffer):
    """The mistake shows at construction, with what to write."""
    with pytest.raises(TypeError, match="Channel takes a Buffer or None, was given"):
        Channel(buffer)


def test_a_channel_is_not_put_by_an_effect():
    """``Put`` is for actions; channels are fed by their method."""
    with pytest.raises(TypeError, match="Put takes an Action"):
        Put(Channel())


def test_the_runtime_that_shuts_down_ends_the_wait(new_store, park, ended):
    """Shutting down cancels a saga that waits at a channel; the channel goes on."""
    store, channel = new_store(), Channel()
    task = park(store, take(channel, 60))
    store.shutdown()
    assert ended(task) is SagaCancelled
    channel.put("kept")
    assert len(channel) == 1


def test_a_channel_may_be_fed_by_a_reducer(new_store, park, hangs):
    """``put`` never blocks and dispatches nothing, so it may be called under the store's lock."""
    channel = Channel()

    def reducer(state, action):
        if action.type == "LINE":
            channel.put(action.payload)
        return state

    store = new_store(reducer, None)
    task = park(store, take(channel))
    store.dispatch(Action("LINE", "hello"))
    assert task.result(hangs) == "hello"
