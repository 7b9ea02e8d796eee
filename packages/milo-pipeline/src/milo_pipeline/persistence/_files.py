"""New files that are there completely or not at all, also for who looks in between."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

UNFINISHED: Final = ".milo-new"
"""How the names of files end that are being written, or were when their process was killed."""


def unfinished(path: Path) -> Path:
    """A name beside ``path`` that nobody else uses."""
    return path.with_name(f".{path.name[:32]}.{secrets.token_hex(8)}{UNFINISHED}")


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``, in place of what was there.

    A reader, or a crash, meets the old file or the new one, never a part. The folder is not
    synchronised: after a power cut the old file may be back.

    Raises:
        OSError: nothing has changed.
    """
    beside = unfinished(path)
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or the name may outlive a power cut, and the content not
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            beside.unlink()
        raise
