"""Flush empties a channel."""

import pytest

from milo_core import Action
from milo_effects import Channel, Flush, SagaCancelled, Take


def test_everything_kept_is_sent_back_in_order(new_store, run):
    """A tuple of all messages, at once, and the channel is empty."""
    channel = Channel()
    for n in range(3):
        channel.put(n)

    def saga():
        return (yield Flush(channel)), (yield Flush(channel))

    assert run(new_store(), saga()) == ((0, 1, 2), ())
    assert len(channel) == 0


def test_a_closed_channel_can_be_flushed(new_store, run):
    """What is left after the end comes out; then there is nothing, and no error."""
    channel = Channel()
    channel.put("last")
    channel.close()

    def saga():
        return (yield Flush(channel)), (yield Flush(channel))

    assert run(new_store(), saga()) == (("last",), ())


def test_flushing_takes_nothing_from_who_waits(new_store, park, run, hangs):
    """A saga that waits stays the next to get a message."""
    store, channel = new_store(), Channel()

    def saga():
        return (yield Take(channel))

    def flush():
        return (yield Flush(channel))

    task = park(store, saga())
    assert run(store, flush()) == ()
    channel.put(1)
    assert task.result(hangs) == 1


def test_a_batch_is_a_take_and_a_flush(new_store, run):
    """Waiting for one and taking the rest with it gives batches without losing any."""
    channel = Channel()
    for n in range(4):
        channel.put(n)

    def saga():
        return ((yield Take(channel)), *(yield Flush(channel)))

    assert run(new_store(), saga()) == (0, 1, 2, 3)


def test_what_a_cancelled_saga_has_not_received_is_given_back(new_store, park, ended):
    """A saga that is cancelled while it flushes leaves the messages there, in order."""

    class CancelsWhoFlushes(Channel):
        def take_all(self):
            items = super().take_all()
            self.put("later")
            if not task.done():
                task.cancel()
            return items

    store, channel = new_store(), CancelsWhoFlushes()
    channel.put(0)
    channel.put(1)

    def saga():
        yield Take("GO")
        yield Flush(channel)

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert ended(task) is SagaCancelled
    assert channel.flush() == (0, 1, "later")


@pytest.mark.parametrize("given", ["JOB", None, Channel])
def test_a_malformed_flush_is_refused_where_it_is_written(given):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="Flush takes a Channel, was given"):
        Flush(given)
