"""What goes wrong with the files a run leaves behind.

PipelineError
└── ExportError       a file cannot be written; what was there is as it was
    └── TimelineError   a file cannot be read as a timeline
"""

from __future__ import annotations

from milo_pipeline.errors import PipelineError


class ExportError(PipelineError):
    """A file cannot be written where it was asked for; what was there is as it was."""


class TimelineError(ExportError):
    """A file is no timeline, a damaged one, or one of another version of the format."""
