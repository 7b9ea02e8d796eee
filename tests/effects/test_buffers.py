"""Buffers say how much a channel keeps, and what becomes of one message more."""

import pytest

from milo_effects import Buffer, BufferFull, Channel, ChannelClosed, EffectError, Take


def filled(buffer, count):
    channel = Channel(buffer)
    for n in range(count):
        channel.put(n)
    return channel


def test_without_a_buffer_there_is_no_limit():
    """A channel keeps any number of messages."""
    channel = filled(None, 10_000)
    assert channel.buffer is None
    assert (len(channel), channel.dropped) == (10_000, 0)


def test_drop_oldest_keeps_the_last_ones():
    """What has been kept longest makes room, and is counted."""
    channel = filled(Buffer(3, "drop-oldest"), 10)
    assert (channel.flush(), channel.dropped) == ((7, 8, 9), 7)


def test_drop_newest_keeps_the_first_ones():
    """What comes when it is full is dropped, and counted."""
    channel = filled(Buffer(3, "drop-newest"), 10)
    assert (channel.flush(), channel.dropped) == ((0, 1, 2), 7)


def test_fail_refuses_and_says_what_to_do():
    """``BufferFull`` goes to who puts; what is kept stays, and when there is room it goes on."""
    channel = Channel(Buffer(2), name="lines")
    channel.put(0)
    channel.put(1)
    with pytest.raises(BufferFull) as caught:
        channel.put(2)
    assert (caught.value.channel, caught.value.limit) == (channel, 2)
    assert isinstance(caught.value, EffectError)
    assert str(caught.value) == (
        "<Channel lines> keeps 2 messages, all there is room for, and was given one more; "
        "take from it faster, give it a larger Buffer or none, or let its Buffer drop: "
        "Buffer(2, 'drop-oldest')"
    )
    assert channel.flush() == (0, 1)
    channel.put(3)
    assert (channel.flush(), channel.dropped) == ((3,), 0)


@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest"])
def test_with_no_room_at_all_only_who_waits_gets_a_message(new_store, park, hangs, overflow):
    """With a limit of 0 nothing is kept."""
    store, channel = new_store(), Channel(Buffer(0, overflow))
    channel.put("nobody waits")

    def saga():
        return (yield Take(channel))

    task = park(store, saga())
    channel.put("somebody waits")
    assert task.result(hangs) == "somebody waits"
    assert (len(channel), channel.dropped) == (0, 1)


def test_no_room_and_nobody_waiting_may_fail():
    """A limit of 0 that fails refuses what nobody waits for."""
    with pytest.raises(BufferFull):
        Channel(Buffer(0)).put(1)


def test_a_message_that_is_dropped_may_put_another():
    """A dropped message is let go without a lock, so its finalizer may use the channel."""

    class Last:
        def __del__(self):
            channel.put("from the finalizer")

    channel = Channel(Buffer(1, "drop-oldest"))
    channel.put(Last())
    channel.put("second")
    assert channel.flush() == ("from the finalizer",)
    assert channel.dropped == 2


@pytest.mark.parametrize("limit", [-1, 1.5, "3", None, True])
def test_a_malformed_limit_is_refused(limit):
    """The mistake shows at construction, with how to have no limit."""
    with pytest.raises(ValueError, match="Buffer takes a limit of 0 or more messages, was given"):
        Buffer(limit)


def test_an_unknown_overflow_is_refused():
    """The mistake shows at construction, with what there is."""
    with pytest.raises(ValueError, match="drop-oldest, drop-newest, fail, was given 'block'"):
        Buffer(1, "block")


def test_buffers_compare_by_value():
    """A buffer is data, so descriptors that hold one can be compared."""
    assert Buffer(3, "drop-oldest") == Buffer(limit=3, overflow="drop-oldest")
    assert Buffer(3) == Buffer(3, "fail")


def test_the_errors_are_told_apart():
    """A full channel is not a closed one."""
    assert not issubclass(BufferFull, ChannelClosed)
    assert not issubclass(ChannelClosed, BufferFull)
