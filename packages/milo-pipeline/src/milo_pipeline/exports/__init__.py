"""What a run leaves behind, for people and for other tools. Pure functions, but for ``files``.

spans      ``SpanRecorder``: the attempts of a run, taken down while it runs
critical   which chain of phases decided when the run ended, and which took longest
mermaid, dot, svg   the graph, with the statuses of a run if there was one
trace      a trace that Perfetto and chrome://tracing open
timeline   the whole run as a document that can be read back: ``milo.timeline/1``
report     one HTML file that tells it all; ``_gantt``, ``_items``, ``_details`` and ``_page``
           are parts of it
files      each of these as a file
errors     what goes wrong

They take the pipeline, a state of its run, and the spans. What is shown is made harmless:
whatever a phase is called or prints, it stays text.
"""

from milo_pipeline.exports.critical import CriticalStep, critical_path, slowest
from milo_pipeline.exports.dot import to_dot
from milo_pipeline.exports.errors import ExportError, TimelineError
from milo_pipeline.exports.files import (
    check_place,
    write_report,
    write_text,
    write_timeline,
    write_trace,
)
from milo_pipeline.exports.mermaid import to_mermaid
from milo_pipeline.exports.report import html_report
from milo_pipeline.exports.spans import Span, SpanRecorder, spans_of, tracebacks_of
from milo_pipeline.exports.svg import to_svg
from milo_pipeline.exports.timeline import SCHEMA, Timeline, read_timeline, timeline_json
from milo_pipeline.exports.trace import chrome_trace

__all__ = [
    "SCHEMA",
    "CriticalStep",
    "ExportError",
    "Span",
    "SpanRecorder",
    "Timeline",
    "TimelineError",
    "check_place",
    "chrome_trace",
    "critical_path",
    "html_report",
    "read_timeline",
    "slowest",
    "spans_of",
    "timeline_json",
    "to_dot",
    "to_mermaid",
    "to_svg",
    "tracebacks_of",
    "write_report",
    "write_text",
    "write_timeline",
    "write_trace",
]
