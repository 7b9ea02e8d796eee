"""What goes wrong with files that outlive a process.

PipelineError
├── CheckpointError   a checkpoint cannot be used; the file is left as it was
├── CacheError        a cache, or one entry of it, cannot be used; it is left as it was
└── FingerprintError  an input file or a parameter cannot be told from another
"""

from __future__ import annotations

from milo_pipeline.errors import PipelineError


class CheckpointError(PipelineError):
    """A checkpoint file cannot be used: foreign, damaged, in use, not to be reached.

    The file it names has not been changed.
    """


class CacheError(PipelineError):
    """A phase cache cannot be used: the folder is foreign, or an entry is damaged.

    What it names has not been changed.
    """


class FingerprintError(PipelineError):
    """A declared input file is missing or unreadable, or a parameter has no stable form."""
