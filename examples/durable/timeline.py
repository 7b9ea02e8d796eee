"""What the examples share: a database to run on, and a saga's history, a line for each entry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from milo_durable import SagaSnapshot


@contextmanager
def database_url() -> Iterator[str]:
    """The URL on the command line, or that of an SQLite file that is gone afterwards."""
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with TemporaryDirectory(prefix="milo-durable-") as folder:
        yield f"sqlite+aiosqlite:///{Path(folder, 'sagas.db').as_posix()}"


def show(saga: SagaSnapshot) -> None:
    """Print where the saga stands and how it came there."""
    print(f"saga {saga.saga_name} for {saga.aggregation_id}: {saga.status}")
    for entry in saga.step_history:
        time = datetime.fromisoformat(entry["timestamp"]).strftime("%H:%M:%S")
        what = f"{entry['phase']:<10} {entry['step_id']:<16} attempt {entry['attempt']}"
        status = "SKIPPED" if entry["skipped"] else entry["status"]
        told = _told(entry["error"], entry["output"])
        print(f"  {time} {what} {status:<7} {told}".rstrip())


def _told(error: str | None, output: dict[str, object] | None) -> str:
    if error is not None:
        return error
    return ", ".join(f"{name}={value}" for name, value in (output or {}).items())
