"""Threads that captured code starts are captured too."""

import sys
import threading
from collections.abc import Callable
from threading import Thread
from types import MethodType

from milo_capture._cancelling import CancelToken, current_cancel, enter_cancel
from milo_capture._replace import MethodReplacement, Slot
from milo_capture._sink import Sink, enter_sink, innermost_open_sink


class ThreadStart(MethodReplacement):
    """Stands in for ``Thread.start``: the new thread begins in its starter's capture.

    And it is cancelled by what cancels its starter, for the programs that it runs.

    Whether threads inherit context variables depends on the Python (3.14t does, 3.13 does
    not), so the thread sets the variable itself, first thing in its ``run``.
    """

    def __call__(self, thread: Thread) -> None:
        sink = innermost_open_sink()
        if sink is None:
            self.beneath(thread)
            return
        run = thread.run
        # A bound method like the one it replaces: other tools wrap ``run`` the same way and
        # reach for its ``__func__``.
        thread.run = MethodType(_inside(sink, current_cancel(), run), thread)  # type: ignore[method-assign]  # meant
        try:
            self.beneath(thread)
        except BaseException:
            thread.run = run  # type: ignore[method-assign]  # as above
            raise


def _inside(
    sink: Sink, token: CancelToken | None, run: Callable[[], None]
) -> Callable[[Thread], None]:
    def run_captured(thread: Thread) -> None:
        # On the instance it would keep the thread alive in a reference cycle.
        vars(thread).pop("run", None)
        # A context that the thread was given, with a capture of its own, wins.
        if innermost_open_sink() is None:
            enter_sink(sink)
            enter_cancel(token)
        try:
            run()
        except BaseException:
            # What ``Thread`` itself does with it, but inside the capture: since Python 3.14
            # it does so outside the thread's context, and the traceback would go past us.
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), thread)))

    return run_captured


THREAD_START = Slot(Thread, "start", ThreadStart)
