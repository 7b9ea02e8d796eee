"""Background threads that inherit nothing from whoever happens to start them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import Context


def background_thread(name: str, work: Callable[[], object]) -> threading.Thread:
    """A daemon thread, not started yet, that will run ``work`` in an empty context.

    From Python 3.14 on threads may begin with a copy of their creator's context variables,
    which would tie a long-lived thread to the saga that was the first to need it.
    """
    if sys.version_info >= (3, 14):
        thread = threading.Thread(name=name, target=work, daemon=True, context=Context())
    else:
        thread = threading.Thread(name=name, target=work, daemon=True)
    return thread
