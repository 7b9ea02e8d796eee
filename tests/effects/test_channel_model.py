"""A channel behaves as a simple model of it, whatever is done to it in whatever order."""

from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from milo_effects import Buffer, BufferFull, Channel, ChannelClosed, EffectTimeout, Take
from milo_effects.channels import OVERFLOWS
from milo_effects.handlers._channels import take_from

PICK = st.integers(0, 100)
BUFFERS = st.none() | st.builds(Buffer, st.integers(0, 3), st.sampled_from(OVERFLOWS))


class Saga:
    """As much of a saga as a ``Take`` sees: it is resumed once, by a wake without locks."""

    def __init__(self, channel, timeout):
        self.answer = None
        self.timer = None
        self.asleep = False
        self.channel = channel
        self.clock = SimpleNamespace(call_later=self.call_later)
        self.runtime = SimpleNamespace(runner=self)
        self.wait = take_from(channel, Take(channel, timeout), self)
        self.wait.task = self
        self.wait.begin()
        self.asleep = self.answer is None

    def call_later(self, seconds, callback):
        self.timer = SimpleNamespace(callback=callback, cancelled=False, cancel=self.cancel_timer)
        return self.timer

    def cancel_timer(self):
        self.timer.cancelled = True

    def resume(self, wait, ok, value):
        assert wait is self.wait
        assert self.answer is None, "resumed twice"
        self.answer = ok, value
        return self.wake

    def wake(self):
        self.channel.leave(object())  # would never return if the channel's lock were held
        self.asleep = False

    def is_answered_with(self, answer):
        ok, value = answer
        same = value == self.answer[1] if ok else type(self.answer[1]) is value
        return not self.asleep and self.answer[0] == ok and same

    def cancel(self):
        """What the runner does with a saga that waits, or has an answer on its way to it."""
        self.wait.stop()


class Model(RuleBasedStateMachine):
    """Messages are numbers, so their order is the order in which they were put."""

    @initialize(buffer=BUFFERS)
    def begin(self, buffer):
        self.buffer = buffer
        self.channel = Channel(buffer)
        self.put_so_far = 0
        self.kept = []
        self.dropped = []
        self.received = []
        self.waiting = []
        self.on_its_way = {}
        self.told = []
        self.ending = None

    def hand_over(self, message):
        if self.waiting:
            self.on_its_way[self.waiting.pop(0)] = message
        else:
            self.kept = sorted([*self.kept, message])

    @precondition(lambda self: self.ending is None)
    @rule(fed=st.booleans())
    def put(self, fed):
        message = self.put_so_far
        if self.waiting or self.buffer is None or len(self.kept) < self.buffer.limit:
            self.hand_over(message)
        elif self.buffer.overflow == "fail":
            self.overflow(message, fed)
            return
        else:
            newest = self.buffer.overflow == "drop-newest" or not self.kept
            self.dropped.append(message if newest else self.kept.pop(0))
            if not newest:
                self.kept.append(message)
        self.put_so_far += 1
        if not fed:
            self.channel.put(message)
        elif (wake := self.channel.feed(message)) is not None:
            wake()

    def overflow(self, message, fed):
        if fed:
            assert self.channel.feed(message) is None
            self.ending = BufferFull
            return
        try:
            self.channel.put(message)
        except BufferFull:
            return
        raise AssertionError("a full channel took a message")

    @precondition(lambda self: self.ending is not None)
    @rule()
    def put_too_late(self):
        assert self.channel.feed("late") is None
        try:
            self.channel.put("late")
        except ChannelClosed:
            return
        raise AssertionError("a closed channel took a message")

    @rule(timeout=st.sampled_from([None, 1]))
    def take(self, timeout):
        saga = Saga(self.channel, timeout)
        if self.kept:
            self.on_its_way[saga] = self.kept.pop(0)
        elif self.ending is None:
            self.waiting.append(saga)
        else:
            self.told.append((saga, (False, self.ending)))

    @precondition(lambda self: self.on_its_way)
    @rule(pick=PICK)
    def receive(self, pick):
        saga = list(self.on_its_way)[pick % len(self.on_its_way)]
        self.received.append(self.on_its_way.pop(saga))

    @precondition(lambda self: self.waiting or self.on_its_way)
    @rule(pick=PICK, again=st.booleans())
    def cancel(self, pick, again):
        sagas = [*self.waiting, *self.on_its_way]
        saga = sagas[pick % len(sagas)]
        if saga in self.on_its_way:
            self.hand_over(self.on_its_way.pop(saga))
        else:
            self.waiting.remove(saga)
        saga.cancel()
        if again:
            saga.cancel()

    @rule(pick=PICK)
    def time_is_up(self, pick):
        """Also for who has just been given a message, and whose timer was cancelled too late."""
        sagas = [each for each in [*self.waiting, *self.on_its_way] if each.timer is not None]
        if sagas:
            saga = sagas[pick % len(sagas)]
            if saga in self.waiting:
                self.waiting.remove(saga)
                self.told.append((saga, (False, EffectTimeout)))
            saga.timer.callback()

    @precondition(lambda self: self.put_so_far > 5)  # or most runs were over at once
    @rule(error=st.sampled_from([None, OSError]))
    def close(self, error):
        if self.ending is None:
            self.ending = error or ChannelClosed
            self.told += [(saga, (False, self.ending)) for saga in self.waiting]
            self.waiting = []
        self.channel.close(error and error())

    @rule()
    def flush(self):
        assert self.channel.flush() == tuple(self.kept)
        self.received += self.kept
        self.kept = []

    @invariant()
    def every_message_is_somewhere(self):
        everywhere = [*self.kept, *self.dropped, *self.received, *self.on_its_way.values()]
        assert sorted(everywhere) == list(range(self.put_so_far))

    @invariant()
    def the_channel_agrees(self):
        assert len(self.channel) == len(self.kept)
        assert self.channel.dropped == len(self.dropped)
        assert self.channel.closed == (self.ending is not None)

    @invariant()
    def the_sagas_agree(self):
        for saga in self.waiting:
            assert saga.answer is None
        for saga, message in self.on_its_way.items():
            assert saga.is_answered_with((True, message))
        for saga, answer in self.told:
            assert saga.is_answered_with(answer)

    @invariant()
    def no_timer_outlives_its_wait(self):
        for saga in [*self.on_its_way, *(saga for saga, (_, end) in self.told)]:
            ran_out = saga.answer[1].__class__ is EffectTimeout
            assert saga.timer is None or saga.timer.cancelled or ran_out

    def teardown(self):
        """What is left comes out in order, and whoever waits is told of the end."""
        self.close(None)
        self.the_sagas_agree()
        self.flush()
        self.every_message_is_somewhere()


Model.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestChannelModel = Model.TestCase
TestChannelModel.__doc__ = "No message is lost, doubled or out of order; every saga is told once."
