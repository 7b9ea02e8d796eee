"""At most so many at once: ``Limit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from milo_effects.semaphore import Semaphore


@dataclass(frozen=True, slots=True)
class Limit:
    """Carry out ``effect`` (or a saga) in a place of ``semaphore``. Sends back its result.

    Waits for a free place first, without a worker, behind those who came before. The place
    is given back when what ran in it has ended, in whichever way; being cancelled while
    waiting means to leave the queue. Errors are thrown as they are.

    ``Timeout(Limit(...), 5)`` counts the waiting and keeps the place while a call that
    cannot be interrupted runs on; ``Limit(semaphore, Timeout(...))`` does neither. What runs
    in a place and asks for a second one of the same semaphore may wait for itself.

    >>> connections = Semaphore(4)
    >>> def load(url):
    ...     return (yield Limit(connections, Call(fetch, (url,))))
    """

    semaphore: Semaphore
    effect: Any

    def __post_init__(self) -> None:
        if not isinstance(self.semaphore, Semaphore):
            raise TypeError(
                f"Limit takes a Semaphore, was given {self.semaphore!r:.200}; make one with "
                "Semaphore(4) and share it, then write Limit(semaphore, effect)"
            )
