"""Whoever logs waits for room when it has let go of the locks of ``logging``."""

import logging
import threading

from milo_capture._replace import MethodReplacement, Slot
from milo_capture._sink import innermost_open_sink


class _Depth(threading.local):
    value = 0


_depth = _Depth()


class LogCalls(MethodReplacement):
    """Stands in for ``Logger.callHandlers``.

    A handler writes while it holds its lock. If it waited for room there, in a feed whose
    ``deliver`` logs to the same handler, both would wait for ever.
    """

    def __call__(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        _depth.value += 1
        try:
            self.beneath(logger, record)
        finally:
            _depth.value -= 1
        if not _depth.value and (sink := innermost_open_sink()) is not None:
            sink.wait_for_room()


def is_logging() -> bool:
    """Is the calling thread inside a call to a logger, and so may hold a handler's lock?"""
    return _depth.value > 0


LOG_CALLS = Slot(logging.Logger, "callHandlers", LogCalls)
