"""Starting sagas that nobody waits for: ``Fork``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fork:
    """Start ``saga``, a generator or a function that returns one, and go on at once.

    Sends back its ``SagaTask``. The new saga is on its own, unless ``attached``: then it is
    cancelled with this one. Its errors never reach this saga.
    """

    saga: Any
    attached: bool = False
