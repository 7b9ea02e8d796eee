"""milo-capture: stdout and stderr of one task, line by line, while it runs.

_collect    ``capture``: the lines of a block, to look at afterwards
_feed       ``LineFeed``: lines of many tasks, live, to one consumer
_queue      the bounded queue between writers and a feed's thread
_sink       where one capture's text goes: lines per thread, open or closed
_lines      ``Line``, and putting lines together from pieces
_streams    the proxy that stands in for ``sys.stdout`` and ``sys.stderr``
_threads    threads started by captured code are captured too
_replace    replacing an attribute while somebody needs it, then undoing it
errors      what goes wrong
"""

from milo_capture._collect import CapturedOutput, capture
from milo_capture._feed import LineFeed
from milo_capture._lines import Line, StreamName
from milo_capture.errors import CaptureError, FeedClosedError

__version__ = "0.1.0"

__all__ = [
    "CaptureError",
    "CapturedOutput",
    "FeedClosedError",
    "Line",
    "LineFeed",
    "StreamName",
    "capture",
]
