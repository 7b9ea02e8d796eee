"""What a phase's process does: take the request, call the handler, respond, end."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
from types import CoroutineType, FrameType
from typing import Any, Final

from milo_capture import CancelToken, cancelled_by, request_pipes
from milo_pipeline.executors._outcomes import NotLoaded, Raised, Response
from milo_pipeline.executors._packing import Work, read_request, unpack

_PATIENCE: Final = 10.0
"""Seconds that a process has to end when nobody is left to wait for it."""


class _Terminated(SystemExit):
    """SIGTERM has come: raised in the handler, so that its ``finally`` blocks run."""


def main() -> None:
    """The whole life of the process."""
    reader, writer = request_pipes()
    _show_lines_at_once()
    request = read_request(reader)
    threading.Thread(target=_end_with_caller, args=(reader,), daemon=True).start()
    token = CancelToken()
    _cancel_on_sigterm(token)
    try:
        with cancelled_by(token):
            _respond_to(request).write(writer)
    except _Terminated:
        _die_of_sigterm()


def _respond_to(request: bytes) -> Response:
    try:
        work = unpack(request)
    except _Terminated:
        raise
    except BaseException as error:  # of foreign modules; raised where the pipeline runs
        return Response.of_failure(NotLoaded.by_import(error))
    try:
        return Response.of(_call(work))
    except _Terminated:
        raise
    except BaseException as error:  # the handler's; raised where the pipeline runs
        return Response.of_failure(Raised.by_handler(error))


def _call(work: Work) -> Any:
    handler, arguments = work
    result = handler(**arguments)
    return asyncio.run(result) if result.__class__ is CoroutineType else result


def _show_lines_at_once() -> None:
    """A pipe, as our standard output is, would get them in blocks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _cancel_on_sigterm(token: CancelToken) -> None:
    """The handler is told, and so are its programs, also those that other threads wait for."""

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        token.cancel()
        raise _Terminated(128 + number)

    signal.signal(signal.SIGTERM, terminate)


def _die_of_sigterm() -> None:
    """End as if nobody had listened, so that whoever waits sees what happened."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_caller(reader: int) -> None:
    """Wait until nobody waits for this process any more; then end it with its group."""
    os.read(reader, 1)  # nothing comes behind the request but the end of it
    os.killpg(os.getpgrp(), signal.SIGTERM)
    threading.main_thread().join(_PATIENCE)
    os.killpg(os.getpgrp(), signal.SIGKILL)
