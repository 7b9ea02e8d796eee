"""Background threads that inherit nothing from whoever happens to start them."""

from __future__ import annotations

import threading
from contextvars import Context


class BackgroundThread(threading.Thread):
    """A daemon thread that begins with no context variables.

    A long-lived thread is started by the first saga that needs it. From Python 3.14 on a
    thread may begin with a copy of its creator's variables, and some libraries pass theirs
    on at ``start``; neither must tie the thread to that saga.
    """

    def start(self) -> None:
        """Start the thread from an empty context."""
        Context().run(super().start)
