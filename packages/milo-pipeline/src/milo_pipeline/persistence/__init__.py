"""Files that outlive a process: what a killed run had done, and what need not be done again.

checkpoint   ``Checkpoint``: one run, phase by phase, in a file that survives ``kill -9``
cache        ``PhaseCache``: results of many runs, one file each
fingerprint  what tells whether a phase is still the one that was recorded
errors       what goes wrong

Behind them: ``_checkpoint_file`` makes, recognises and locks the SQLite file, ``_cache_folder``
does the same for a folder of entries, ``_values`` writes results as text, ``_code`` and
``_inputs`` read functions and files for their fingerprints. Nothing here is ever unpickled.
"""

from milo_pipeline.caching import Cache
from milo_pipeline.persistence.cache import Hit, PhaseCache
from milo_pipeline.persistence.checkpoint import Checkpoint, Kept
from milo_pipeline.persistence.errors import CacheError, CheckpointError, FingerprintError
from milo_pipeline.persistence.fingerprint import (
    Definition,
    code_fingerprint,
    define,
    input_fingerprint,
    params_fingerprint,
    value_fingerprint,
)

__all__ = [
    "Cache",
    "CacheError",
    "Checkpoint",
    "CheckpointError",
    "Definition",
    "FingerprintError",
    "Hit",
    "Kept",
    "PhaseCache",
    "code_fingerprint",
    "define",
    "input_fingerprint",
    "params_fingerprint",
    "value_fingerprint",
]
