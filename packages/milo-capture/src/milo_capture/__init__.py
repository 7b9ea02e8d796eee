"""milo-capture: stdout and stderr of one task, line by line, while it runs.

_collect     ``capture``: the lines of a block, to look at afterwards
_feed        ``LineFeed``: lines of many tasks, live, to one consumer
_queue       the bounded queue between writers and a feed's thread
_sink        where one capture's text goes: lines per thread, open or closed
_lines       ``Line``, and putting lines together from pieces
_streams     what stands in for ``sys.stdout``, ``sys.stderr`` and a log handler's stream
_threads     threads started by captured code are captured too
_log_calls   who logs waits for room when it has let go of the locks of ``logging``
_replace     replacing an attribute while somebody needs it, then undoing it
_run         ``run``: a program whose output is captured; _run_async: from a coroutine
_process     a process in a group of its own: started, heard out, ended with all it started
_exchange    a request to a program and its response, beside its standard streams
_fds         what C code and children write to file descriptors 1 and 2
_pumping     what comes out of pipes, as text
_cancelling  ``CancelToken``, and the one that a block is cancelled by
errors       what goes wrong
"""

from milo_capture._cancelling import CancelToken, cancelled_by, current_cancel
from milo_capture._collect import CapturedOutput, capture
from milo_capture._exchange import request_pipes
from milo_capture._feed import LineFeed
from milo_capture._lines import Line, StreamName
from milo_capture._run import CompletedRun, run
from milo_capture._run_async import run_async
from milo_capture.errors import (
    CaptureError,
    FeedClosedError,
    ProcessCancelled,
    ProcessError,
    ProcessFailed,
    ProcessNotStarted,
    ProcessTimeout,
)

__version__ = "0.1.0"

__all__ = [
    "CancelToken",
    "CaptureError",
    "CapturedOutput",
    "CompletedRun",
    "FeedClosedError",
    "Line",
    "LineFeed",
    "ProcessCancelled",
    "ProcessError",
    "ProcessFailed",
    "ProcessNotStarted",
    "ProcessTimeout",
    "StreamName",
    "cancelled_by",
    "capture",
    "current_cancel",
    "request_pipes",
    "run",
    "run_async",
]
