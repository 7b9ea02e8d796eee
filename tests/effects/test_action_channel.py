"""ActionChannel keeps actions for a saga that is busy."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import (
    ActionChannel,
    Buffer,
    BufferFull,
    Call,
    ChannelClosed,
    Flush,
    Fork,
    Put,
    SagaCancelled,
    Take,
)


def quiet(state, action):
    return state


def dispatch_all(store, kind, payloads):
    for each in payloads:
        store.dispatch(Action(kind, each))


def payloads(actions):
    return [each.payload for each in actions]


def test_no_action_is_missed_while_the_saga_is_busy(new_store, gate, hangs):
    """What is dispatched during a call is there afterwards, in order."""
    store, begun, leave = new_store(), gate(), gate()

    def work():
        begun.set()
        leave.pass_through()

    def saga():
        jobs = yield ActionChannel("JOB")
        yield Call(work)
        return (yield Take(jobs)), (yield Take(jobs)), (yield Take(jobs))

    store.dispatch(Action("JOB", "early"))
    task = store.run_saga(saga())
    begun.pass_through()
    dispatch_all(store, "JOB", [1, 2])
    store.dispatch(Action("OTHER"))
    store.dispatch(Action("JOB", 3))
    leave.set()
    assert payloads(task.result(hangs)) == [1, 2, 3]


def test_a_waiting_saga_gets_the_very_action(new_store, park, hangs):
    """A dispatch resumes the saga that waits at the channel."""
    store, go = new_store(), Action("GO", [1])

    def saga():
        return (yield Take((yield ActionChannel("GO")), timeout=60))

    task = park(store, saga())
    store.dispatch(go)
    assert task.result(hangs) is go


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("A", [0]),
        (("A", "C"), [0, 2]),
        ("*", [0, 1, 2]),
        (lambda action: action.payload in (1, 2), [1, 2]),
    ],
)
def test_every_pattern_of_take_fits(new_store, park, hangs, pattern, expected):
    """A type, several, all, or a predicate."""
    store = new_store()

    def saga():
        channel = yield ActionChannel(pattern)
        yield Take("STOP")
        return [each.payload for each in (yield Flush(channel)) if each.type != "STOP"]

    task = park(store, saga())
    for n, kind in enumerate("ABC"):
        store.dispatch(Action(kind, n))
    store.dispatch(Action("STOP", "stop"))
    assert task.result(hangs) == expected


def answering(count):
    def middleware(next_dispatch, get_state):
        def dispatch(action):
            next_dispatch(action)
            if action.type == "ASK":
                for n in range(count):
                    next_dispatch(Action("REPLY", n))

        return dispatch

    return middleware


def test_it_begins_where_a_take_would(new_store, run):
    """Directly after a ``Put`` it has everything dispatched since that, and not its own action."""
    store = new_store(middleware=(answering(3),))
    store.dispatch(Action("REPLY", "old"))

    def saga():
        yield Put(Action("ASK"))
        replies = yield ActionChannel("REPLY")
        yield Put(Action("REPLY", "last"))
        return (yield Flush(replies))

    assert payloads(run(store, saga())) == [0, 1, 2, "last"]


@pytest.mark.parametrize(
    "pattern", ["REPLY", ("OTHER", "REPLY"), "*", ("OTHER", "*"), lambda action: True]
)
def test_it_begins_there_with_every_pattern(new_store, run, pattern):
    """A type, several, all or a predicate: what followed the ``Put`` is there."""
    store = new_store(middleware=(answering(2),))

    def saga():
        yield Put(Action("ASK"))
        return (yield Flush((yield ActionChannel(pattern))))

    assert payloads(run(store, saga())) == [0, 1]


def test_what_came_since_the_put_may_be_too_much(new_store, run):
    """The buffer counts for that, too."""
    store = new_store(middleware=(answering(3),))

    def saga(buffer):
        yield Put(Action("ASK"))
        replies = yield ActionChannel("REPLY", buffer)
        return [each.payload for each in (yield Flush(replies))], replies.dropped

    assert run(store, saga(Buffer(2, "drop-oldest"))) == ([1, 2], 1)
    assert run(store, saga(Buffer(2))) == ([0, 1], 0)


def test_after_another_effect_it_sees_only_what_follows(new_store, run):
    """With an effect in between, the ``Put`` is forgotten."""
    store = new_store(middleware=(answering(1),))

    def saga():
        yield Put(Action("ASK"))
        yield Call(int)
        return (yield Flush((yield ActionChannel("REPLY"))))

    assert run(store, saga()) == ()


def test_each_thread_s_actions_keep_their_order(new_store, together, frantic, park, hangs):
    """Four threads dispatch 300 actions each; a saga gets all, in the order of the store."""
    store = new_store()

    def saga():
        seen, channel = [], (yield ActionChannel("JOB"))
        while len(seen) < 1200:
            seen.append((yield Take(channel)))
        return seen

    task = park(store, saga())
    together(*[lambda: dispatch_all(store, "JOB", range(300))] * 4)
    seen = task.result(hangs)
    assert seen == [action for action in store.state if action.type == "JOB"]


def test_several_sagas_share_the_work(new_store, park, all_ended):
    """Forked sagas that take from one channel get each action once."""
    store, seen = new_store(quiet, None), []

    def worker(jobs):
        while True:
            seen.append((yield Take(jobs)).payload)

    def saga():
        jobs = yield ActionChannel("JOB")
        for _ in range(3):
            yield Fork(worker(jobs), attached=True)
        yield Take("STOP")

    task = park(store, saga())
    dispatch_all(store, "JOB", range(30))
    store.dispatch(Action("STOP"))
    all_ended(store)
    assert task.done()
    assert sorted(seen) == list(range(30))


def test_a_reply_from_another_thread_is_there_whenever_it_comes(
    new_store, run, together, frantic, hangs
):
    """Two hundred channels, each made while another thread dispatches, miss and double nothing."""
    asked, rounds = threading.Semaphore(0), 200
    store = new_store(quiet, None)

    def saga():
        for n in range(rounds):
            yield Put(Action("ASK", n))
            asked.release()
            replies = yield ActionChannel("REPLY")
            for part in range(5):
                assert (yield Take(replies)).payload == (n, part)
            assert len(replies) == 0
            replies.close()
        return "heard all"

    def answer():
        for n in range(rounds):
            assert asked.acquire(timeout=hangs)
            dispatch_all(store, "REPLY", [(n, part) for part in range(5)])

    outcome = []
    together(answer, lambda: outcome.append(run(store, saga())))
    assert outcome == ["heard all"]


@pytest.mark.parametrize("channel_first", [True, False])
def test_a_saga_of_another_store_may_take(new_store, park, hangs, channel_first):
    """One action resumes a saga of its own store and one of another that waits at the channel."""
    store, channels = new_store(), []

    def own():
        return (yield Take("JOB")).payload

    def maker():
        channels.append((yield ActionChannel("JOB")))
        yield Take("STOP")

    def other():
        return (yield Take(channels[0])).payload

    if channel_first:
        park(store, maker())
    first = park(store, own())
    if not channel_first:
        park(store, maker())
    second = park(new_store(), other())
    store.dispatch(Action("JOB", 1))
    assert (first.result(hangs), second.result(hangs)) == (1, 1)


# The end


def test_the_end_of_the_saga_closes_the_channel(new_store, park, run, ended, left, gate):
    """Nothing is kept for it any more; who still takes gets what is there and then the end."""
    store, closed = new_store(quiet, None), gate()

    def saga():
        channel = yield ActionChannel("JOB")
        channel.add_close_callback(closed.set)
        yield Take("STOP")
        return channel

    task = park(store, saga())
    store.dispatch(Action("JOB", 1))
    store.dispatch(Action("STOP"))
    channel = ended(task)
    closed.pass_through()
    assert left(store) == {}
    store.dispatch(Action("JOB", 2))

    def late():
        job = yield Take(channel)
        with pytest.raises(ChannelClosed):
            yield Take(channel)
        return job.payload

    assert run(store, late()) == 1


def test_cancelling_the_saga_closes_the_channel(new_store, park, ended, left):
    """A saga that is cancelled while it waits at its own channel leaves nothing."""
    store = new_store(quiet, None)

    def saga():
        yield Take((yield ActionChannel("JOB")))

    task = park(store, saga())
    assert left(store) == {"tasks": 1, "takers": 1}
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_a_saga_that_is_cancelled_instead_of_receiving_it_closes_the_channel(
    new_store, gate, ended, settle, left
):
    """While it cleans up, nothing is kept for a channel that it has never seen."""
    store, begin = new_store(quiet, None, middleware=(answering(1),)), gate()

    def cancels(action):
        return task.cancel()

    def saga():
        yield Call(begin.pass_through)
        yield Put(Action("ASK"))
        try:
            yield ActionChannel(cancels)
        finally:
            yield Take("CLEAN")

    task = store.run_saga(saga())
    begin.set()
    assert left(store) == {"tasks": 1, "takers": 1}
    store.dispatch(Action("CLEAN"))
    assert ended(task) is SagaCancelled


def test_closing_it_ends_the_listening(new_store, park, left):
    """After ``channel.close()`` actions pass it by, while the saga lives on."""
    store = new_store(quiet, None)

    def saga():
        channels.append((yield ActionChannel("JOB")))
        channels.append((yield ActionChannel("JOB")))
        yield Take("STOP")

    channels = []
    park(store, saga())
    assert left(store) == {"tasks": 1, "takers": 3}
    channels[0].close()
    assert left(store) == {"tasks": 1, "takers": 2}
    store.dispatch(Action("JOB"))
    assert [len(each) for each in channels] == [0, 1]
    closed = weakref.ref(channels.pop(0))
    gc.collect()
    assert closed() is None


# Errors that must not hurt who dispatches


def test_a_full_buffer_fails_the_channel_and_not_the_dispatch(new_store, park, hangs, left):
    """What is kept can still be taken, then ``BufferFull`` is thrown, and the listening ends."""
    store = new_store(quiet, None)

    def saga():
        jobs = yield ActionChannel("JOB", Buffer(2))
        yield Take("GO")
        seen = [(yield Take(jobs)).payload]
        seen.append((yield Take(jobs)).payload)
        with pytest.raises(BufferFull, match=r"<Channel ActionChannel\('JOB'\)> keeps 2 messages"):
            yield Take(jobs)
        assert jobs.closed
        yield Take("STOP")
        return seen

    task = park(store, saga())
    dispatch_all(store, "JOB", range(5))
    store.dispatch(Action("GO"))
    assert left(store) == {"tasks": 1, "takers": 1}
    store.dispatch(Action("STOP"))
    assert task.result(hangs) == [0, 1]


def fussy(action):
    """Whether it is a job; stumbles over an action without payload."""
    return action.payload["job"]


def test_a_predicate_that_raises_fails_the_channel_and_not_the_dispatch(new_store, park, hangs):
    """The error goes to the sagas that wait, and to those that take later; the listening ends."""
    store = new_store(quiet, None)

    def saga():
        channel = yield ActionChannel(fussy)
        channels.append(channel)
        try:
            yield Take(channel)
        except KeyError as error:
            return error.args

    channels = []
    task = park(store, saga())
    store.dispatch(Action("JOB", {"no job": 1}))
    store.dispatch(Action("JOB", {"job": True}))
    assert task.result(hangs) == ("job",)
    assert repr(channels[0]) == "<Channel ActionChannel(fussy)>"
    assert len(channels[0]) == 0


def test_a_predicate_that_raises_on_what_came_since_the_put(new_store, run, left):
    """The error is thrown where the channel would have been made."""
    store = new_store(quiet, None, middleware=(answering(1),))

    def saga():
        yield Put(Action("ASK"))
        with pytest.raises(TypeError):
            yield ActionChannel(fussy)
        return "lives on"

    assert run(store, saga()) == "lives on"
    assert left(store) == {}


# Mistakes


@pytest.mark.parametrize("pattern", [5, None, ()])
def test_a_malformed_pattern_is_refused_where_it_is_written(pattern):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="ActionChannel takes an action's type"):
        ActionChannel(pattern)


def test_a_malformed_buffer_is_refused_where_it_is_written():
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="ActionChannel takes a Buffer or None, was given 10"):
        ActionChannel("JOB", 10)


def test_descriptors_compare_by_value():
    """A test of a saga compares what it yields."""
    assert ActionChannel("JOB", Buffer(3)) == ActionChannel("JOB", Buffer(3, "fail"))
