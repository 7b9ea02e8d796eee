"""Channels as effects: ``ActionChannel``, ``EventChannel``, ``Flush``.

``Take(channel)`` waits for a channel's next message, and ``channel.put(message)`` is no
effect: it never blocks, so sagas call it as anybody else does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milo_effects.channels import Buffer, Channel, Emit, check_buffer
from milo_effects.effects._checks import check_pattern
from milo_effects.patterns import Pattern


@dataclass(frozen=True, slots=True)
class ActionChannel:
    """Sends back a ``Channel`` that from now on gets every action of a type, in dispatch order.

    So none is missed while the saga does something else. It sees what a ``Take`` in its
    place would, and is closed when the saga ends or calls ``channel.close()``. Without a
    ``buffer`` it keeps any number of actions; where one that fails is full, or a predicate
    raises, the channel ends with that error, which the next ``Take`` throws.

    >>> def one_at_a_time():
    ...     jobs = yield ActionChannel("JOB")
    ...     while True:
    ...         job = yield Take(jobs)
    ...         yield Call(work, (job.payload,))
    """

    pattern: Pattern
    buffer: Buffer | None = None

    def __post_init__(self) -> None:
        check_pattern(self, self.pattern)
        check_buffer(self, self.buffer)


@dataclass(frozen=True, slots=True)
class EventChannel:
    """Sends back a ``Channel`` of what a source outside tells the callback it is given.

    ``subscribe(emit)`` is called once, on a worker. It hands ``emit`` to the source, which
    may call it from any thread, and returns a function that ends the subscription. That is
    called once, when the channel is closed: by ``channel.close()``, by ``emit.close()``, or
    because the saga has ended. What ``subscribe`` raises is thrown.

    >>> def watch(folder):
    ...     def subscribe(emit):
    ...         observer.schedule(folder, emit)
    ...         return observer.unschedule_all
    ...     changes = yield EventChannel(subscribe, Buffer(100, "drop-oldest"))
    ...     while True:
    ...         change = yield Take(changes)
    ...         yield Put(Action("CHANGED", change.path))
    """

    subscribe: Callable[[Emit], Callable[[], object]]
    buffer: Buffer | None = None

    def __post_init__(self) -> None:
        if not callable(self.subscribe):
            raise TypeError(
                f"EventChannel takes a function of emit, was given {self.subscribe!r:.200}; it "
                "hands emit to a source and returns what unsubscribes it"
            )
        check_buffer(self, self.buffer)


@dataclass(frozen=True, slots=True)
class Flush:
    """Sends back a tuple of all messages that the channel keeps now, and empties it."""

    channel: Channel

    def __post_init__(self) -> None:
        if not isinstance(self.channel, Channel):
            raise TypeError(f"Flush takes a Channel, was given {self.channel!r:.200}")
