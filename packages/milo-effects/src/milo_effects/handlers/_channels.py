"""Taking from channels, ActionChannel, EventChannel and Flush."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Takers
from milo_effects._timers import Timer
from milo_effects.channels import Channel, Emit, Item, Wake
from milo_effects.effects import ActionChannel, EventChannel, Flush, Take
from milo_effects.errors import EffectTimeout, SubscriptionError
from milo_effects.registry import handles
from milo_effects.results import EffectResult, Wait
from milo_effects.task import SagaTask


def take_from(channel: Channel, effect: Take, context: SagaTask) -> Wait:
    """Answer with the channel's next message, once there is one."""
    return _Taking(channel, effect.timeout)


class _Taking(Wait):
    """One ``Take`` at a channel: for its message, and perhaps for its time to run out.

    Whoever takes it out of the channel's queue, under the channel's lock, decides how it
    ends: a put, the channel's end, the timer or the saga's cancellation.
    """

    __slots__ = ("_channel", "_item", "_timeout", "_timer")

    def __init__(self, channel: Channel, timeout: float | None) -> None:
        self._channel = channel
        self._timeout = timeout
        self._timer: Timer | None = None
        self._item: Item | None = None

    def begin(self) -> None:
        self._channel.enter(self)

    def kept_waiting(self) -> None:
        if self._timeout is not None:
            self._timer = self.task.clock.call_later(self._timeout, self._expire)

    def give(self, item: Item) -> Wake | None:
        self._drop_timer()
        self._item = item
        return self.send_later(item[1])

    def end(self, error: BaseException) -> None:
        self._drop_timer()
        self.throw(error)

    def stop(self) -> None:
        """What the saga was given in that moment and will not receive goes back."""
        if self._channel.leave(self):
            self._drop_timer()
        elif self._item is not None:
            item, self._item = self._item, None
            self._channel.give_back([item])

    def _expire(self) -> None:
        if self._channel.leave(self):
            self.throw(EffectTimeout(f"Take({self._channel!r}) timed out after {self._timeout}s"))

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


@handles(Flush)
def flush(effect: Flush, context: SagaTask, store: StorePort) -> Wait:
    """Empty the channel."""
    return _Flushing(effect.channel)


class _Flushing(Wait):
    """One ``Flush``: it does not wait, but a saga that is cancelled instead gives all back."""

    __slots__ = ("_channel", "_items")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._items: Sequence[Item] = ()

    def begin(self) -> None:
        self._items = self._channel.take_all()
        self.send(tuple(message for _, message in self._items))

    def stop(self) -> None:
        items, self._items = self._items, ()
        self._channel.give_back(items)


@handles(ActionChannel)
def action_channel(effect: ActionChannel, context: SagaTask, store: StorePort) -> Wait:
    """Begin with what was dispatched since the ``Put`` just before."""
    return _Opening(effect)


class _Opening(Wait):
    """One ``ActionChannel``: a wait only because those see what was dispatched since a ``Put``."""

    __slots__ = ("_channel", "_pattern")

    def __init__(self, effect: ActionChannel) -> None:
        self._pattern = effect.pattern
        self._channel = Channel(effect.buffer, name=f"ActionChannel({_text(effect.pattern)})")

    def begin(self) -> None:
        task, channel, pattern = self.task, self._channel, self._pattern
        takers = task.runtime.takers
        feeding = _Feeding(channel)
        with takers.lock:
            self._catch_up(takers)
            takers.add(pattern, feeding)
        _end_with(task, channel, partial(takers.remove, pattern, feeding))
        self.send(channel)

    def _catch_up(self, takers: Takers) -> None:
        node = self.task.since
        while node is not None:
            action, node = takers.find(self._pattern, node)
            if action is None:
                return
            self._channel.feed(action)  # nobody waits there yet

    def stop(self) -> None:
        self._channel.close()


class _Feeding:
    """Passes actions on to a channel; the store's lock is held."""

    __slots__ = ("_channel",)

    once = False

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def take(self, action: Action) -> None:
        """Wakes at once: the saga that is given the action may be another store's."""
        wake = self._channel.feed(action)
        if wake is not None:
            wake()

    def fail(self, error: BaseException) -> None:
        self._channel.fail(error)


@handles(EventChannel)
def event_channel(effect: EventChannel, context: SagaTask, store: StorePort) -> EffectResult:
    """Subscribe right here; a source may emit while it is being subscribed to."""
    if context.mark is not None:
        context.close_mark()  # subscribing may be long, and the journal would grow for it
    channel = Channel(effect.buffer, name=f"EventChannel({_text(effect.subscribe)})")
    try:
        unsubscribe = effect.subscribe(Emit(channel))
        if not callable(unsubscribe):
            raise SubscriptionError(effect.subscribe, unsubscribe)
    except BaseException:  # who has got hold of emit all the same is not listened to
        channel.close()
        raise
    _end_with(context, channel, unsubscribe)
    return EffectResult.send(channel)


def _text(given: object) -> str:
    return getattr(given, "__qualname__", None) or f"{given!r:.100}"


_OPEN: Final = "milo.channels"


def _end_with(saga: SagaTask, channel: Channel, let_go: Callable[[], object]) -> None:
    """Close ``channel`` when the saga has ended; ``let_go`` of its source when it is closed."""
    if saga.local is None:
        saga.local = {}
    channels = saga.local.get(_OPEN)
    if channels is None:
        channels = saga.local[_OPEN] = _Open()
        saga.add_done_callback(channels.close)
    channels.add(channel)
    channel.add_close_callback(let_go)


class _Open:
    """The open channels that a saga has made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: set[Channel] = set()

    def add(self, channel: Channel) -> None:
        with self._lock:
            self._channels.add(channel)
        channel.add_close_callback(partial(self._drop, channel))

    def close(self, saga: SagaTask) -> None:
        """The saga has ended."""
        with self._lock:
            channels = list(self._channels)
        for channel in channels:
            channel.close()

    def _drop(self, channel: Channel) -> None:
        with self._lock:
            self._channels.discard(channel)
