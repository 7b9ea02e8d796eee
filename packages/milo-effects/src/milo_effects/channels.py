"""Channels: queues between threads or callbacks and sagas, or between sagas.

A message goes to exactly one saga: the one that has waited longest, or else whoever takes
next. Messages are numbered as they come, so that one which was handed to a saga that is then
cancelled instead goes back to its place.

A channel's lock is held for a few instructions at a time and never while foreign code runs.
It may be taken with the store's lock held, and the scheduler's may be taken with it held.
"""

from __future__ import annotations

import itertools
import logging
import threading
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Literal, Protocol, TypeAlias

from milo_effects.errors import BufferFull, ChannelClosed

_log = logging.getLogger(__name__)

Overflow: TypeAlias = Literal["drop-oldest", "drop-newest", "fail"]
OVERFLOWS: Final[tuple[Overflow, ...]] = ("drop-oldest", "drop-newest", "fail")

Item: TypeAlias = tuple[int, Any]
"""A message with its number, which tells its place in the order of all."""
Wake: TypeAlias = Callable[[], None]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Buffer:
    """How many messages a channel keeps while no saga takes them, and what becomes of one more.

    ``"fail"`` refuses it with ``BufferFull``, ``"drop-newest"`` drops it, ``"drop-oldest"``
    drops the one that has been kept longest; ``Channel.dropped`` counts them. With a limit
    of 0 only a saga that is waiting already gets a message.
    """

    limit: int
    overflow: Overflow = "fail"

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 0:
            raise ValueError(
                f"Buffer takes a limit of 0 or more messages, was given {self.limit!r}; a "
                "channel without a Buffer has no limit"
            )
        if self.overflow not in OVERFLOWS:
            raise ValueError(
                f"Buffer knows the overflows {', '.join(OVERFLOWS)}, was given {self.overflow!r}"
            )


def check_buffer(owner: object, buffer: object) -> None:
    """Refuse what is neither a ``Buffer`` nor ``None``."""
    if buffer is not None and not isinstance(buffer, Buffer):
        raise TypeError(
            f"{type(owner).__name__} takes a Buffer or None, was given {buffer!r:.200}; "
            "write Buffer(100, 'drop-oldest')"
        )


class Waiter(Protocol):
    """A saga that waits for a message. ``give`` or ``end`` is called, at most once."""

    def kept_waiting(self) -> None:
        """There is no message now; called with the channel's lock held, before the others."""

    def give(self, item: Item) -> Wake | None:
        """Here is one; called with the channel's lock held, what is returned runs after it."""

    def end(self, error: BaseException) -> None:
        """None will come."""


class Channel:
    """A queue that any thread, callback or saga fills with ``put`` and sagas ``Take`` from.

    Without a ``buffer`` it keeps any number of messages. ``len(channel)`` is how many it
    keeps now. The ``name`` is for messages and logs.

    A saga that is cancelled, or whose ``Take`` times out, in the moment in which it is handed
    a message has not received it: the message goes to the next saga, or back to its place. A
    ``Race`` or ``Timeout`` around a ``Take`` promises less: ended by another side in that
    moment, it drops the message with the result of the ``Take``. ``Take(channel, timeout=1)``
    loses none.

    >>> from milo_core import Store
    >>> from milo_effects import Buffer, Channel, ChannelClosed, Take
    >>> lines = Channel(Buffer(1000, "drop-oldest"), name="lines")
    >>> def collect():
    ...     seen = []
    ...     try:
    ...         while True:
    ...             seen.append((yield Take(lines)))
    ...     except ChannelClosed:
    ...         return seen
    >>> store = Store(lambda state, action: state, None)
    >>> task = store.run_saga(collect())
    >>> lines.put("one")
    >>> lines.put("two")
    >>> lines.close()
    >>> task.result()
    ['one', 'two']
    >>> store.shutdown()
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_callbacks",
        "_closed",
        "_dropped",
        "_error",
        "_lock",
        "_messages",
        "_name",
        "_order",
        "_waiting",
    )

    def __init__(self, buffer: Buffer | None = None, *, name: str | None = None) -> None:
        check_buffer(self, buffer)
        self._buffer = buffer
        self._name = f"channel-{next(_numbers)}" if name is None else name
        self._lock = threading.Lock()
        self._messages: deque[Item] = deque()
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        """Who waits, in the order they came; while somebody does, there are no messages."""
        self._order = itertools.count()
        self._dropped = 0
        self._closed = False
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], object]] | None = []

    @property
    def name(self) -> str:
        """The name given, or a number of its own in this process."""
        return self._name

    @property
    def buffer(self) -> Buffer | None:
        """What it was made with."""
        return self._buffer

    @property
    def closed(self) -> bool:
        """Whether it takes no more messages; what it keeps can still be taken."""
        return self._closed

    @property
    def dropped(self) -> int:
        """How many messages its buffer has dropped."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return f"<Channel {self._name}>"

    # For whoever feeds it

    def put(self, message: Any) -> None:
        """Hand ``message`` to the saga that has waited longest, or keep it. Never blocks.

        From any thread; sagas call it, too, without an effect.

        Raises:
            ChannelClosed: the channel has been closed.
            BufferFull: its buffer is full, and fails.
        """
        with self._lock:
            if self._closed:
                raise ChannelClosed(self, "takes no more")
            wake, _gone = self._add(message)
        if wake is not None:
            wake()

    def close(self, error: BaseException | None = None) -> None:
        """Let no more messages in. Harmless when repeated; the first call counts.

        Once what is kept has been taken, each ``Take`` throws ``ChannelClosed``, or
        ``error`` if there is one. Sagas that wait now are told at once.
        """
        self.fail(error)
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._tell(callback)

    def add_close_callback(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` once when ``close`` is called; at once if it has been.

        On the thread that closes, without locks. An error in it is logged.
        """
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        self._tell(callback)

    def _tell(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:  # foreign code; the channel is closed all the same
            _log.exception("a close callback of %r raised", self)

    # For threads that want what sagas have not taken

    def flush(self) -> tuple[Any, ...]:
        """Every message that is kept, in order; the channel keeps none of them.

        Sagas yield ``Flush(channel)``, with which nothing is lost should they be cancelled.
        """
        return tuple(message for _, message in self.take_all())

    # For sources that are not to be disturbed, perhaps in the middle of a dispatch

    def feed(self, message: Any) -> Wake | None:
        """As ``put``, but nothing is raised; call what is returned once no lock is held.

        After the end, messages are ignored. Where ``put`` would raise ``BufferFull``, the
        channel fails with it.
        """
        with self._lock:
            if self._closed:
                return None
            try:
                wake, _gone = self._add(message)
            except BufferFull as error:
                self._closed, self._error = True, error
                return None
        return wake

    def fail(self, error: BaseException | None) -> None:
        """As ``close``, but callbacks wait until that is called."""
        with self._lock:
            if self._closed:
                return
            self._closed, self._error = True, error
            waiting, self._waiting = self._waiting, OrderedDict()
        for waiter in waiting:
            waiter.end(self._ending())

    def _ending(self) -> BaseException:
        return ChannelClosed(self, "has no more") if self._error is None else self._error

    # For handlers

    def enter(self, waiter: Waiter) -> None:
        """Have ``waiter`` wait for a message, which it may be given at once."""
        wake: Wake | None = None
        with self._lock:
            ended = self._closed and not self._messages
            if self._messages:
                wake = waiter.give(self._messages.popleft())
            elif not ended:
                waiter.kept_waiting()
                self._waiting[waiter] = None
        if ended:
            self.close()  # it may have failed; who feeds it can go, now that a saga is told
            waiter.end(self._ending())
        elif wake is not None:
            wake()

    def leave(self, waiter: Waiter) -> bool:
        """Have ``waiter`` wait no longer; ``False`` if it did not, and has had its answer."""
        with self._lock:
            return self._waiting.pop(waiter, self) is None

    def take_all(self) -> Sequence[Item]:
        """As ``flush``, with their numbers."""
        with self._lock:
            items, self._messages = self._messages, deque()
        return items

    def give_back(self, items: Iterable[Item]) -> None:
        """Put what a saga was given and has not received where it came from, limit or no limit."""
        for item in items:
            wake: Wake | None = None
            with self._lock:
                if self._waiting:
                    wake = self._give(item)
                else:
                    place = bisect_left(self._messages, item[0], key=itemgetter(0))
                    self._messages.insert(place, item)
            if wake is not None:
                wake()

    # Under the lock

    def _add(self, message: Any) -> tuple[Wake | None, Item | None]:
        """Hand on, keep or drop. The caller lets go of what was dropped without the lock."""
        item = next(self._order), message
        buffer, messages = self._buffer, self._messages
        if self._waiting:
            return self._give(item), None
        if buffer is None or len(messages) < buffer.limit:
            messages.append(item)
            return None, None
        if buffer.overflow == "fail":
            raise BufferFull(self, buffer.limit)
        self._dropped += 1
        if buffer.overflow == "drop-newest" or not messages:
            return None, None
        messages.append(item)
        return None, messages.popleft()

    def _give(self, item: Item) -> Wake | None:
        waiter, _ = self._waiting.popitem(last=False)
        return waiter.give(item)


class Emit:
    """What the ``subscribe`` of an ``EventChannel`` gets: call it with each message.

    From any thread or callback. It never blocks and raises nothing: after the end, messages
    are ignored, and a full buffer that fails ends the channel with ``BufferFull``.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(self, message: Any) -> None:
        wake = self._channel.feed(message)
        if wake is not None:
            wake()

    def close(self, error: BaseException | None = None) -> None:
        """There will be no more messages; ``error`` says why, if it is one. Unsubscribes."""
        self._channel.close(error)

    def __repr__(self) -> str:
        return f"<Emit to {self._channel.name}>"
