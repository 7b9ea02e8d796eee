"""A process in a group of its own: started, heard out, and ended with all that it started."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from milo_capture._exchange import Exchange
from milo_capture._lines import StreamName
from milo_capture._pumping import Pump
from milo_capture.errors import CaptureError, ProcessNotStarted

# How long a process that has ended is waited for to have its output closed, by others too.
DRAIN = 0.5


class Process:
    """A running program, its group and its output.

    Its owner alone calls it, from one thread, and calls ``release`` in the end.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        feeds: bytes | None,
        show: Callable[[StreamName, str], object],
        encoding: str,
        errors: str,
        exchange: Exchange | None = None,
    ) -> None:
        self.has_exited = False
        self._popen = popen = _start(command, cwd, env, feeds is not None, exchange)
        self.pump = Pump(show)
        self._watcher = threading.Thread(target=self._watch, name="milo-capture-exit", daemon=True)
        try:
            assert popen.stdout is not None and popen.stderr is not None
            self.pump.read(popen.stdout.fileno(), "stdout", encoding, errors)
            self.pump.read(popen.stderr.fileno(), "stderr", encoding, errors)
            if feeds is not None:
                assert popen.stdin is not None
                self.pump.write(popen.stdin.fileno(), feeds, popen.stdin.close)
            if exchange is not None:
                exchange.begin(self.pump)
            self._watcher.start()
        except BaseException:
            self._signal_group(signal.SIGKILL)
            self.release()
            raise

    def attend(self, until: Callable[[], bool], deadline: float | None) -> bool:
        """Show its output until it exits or ``until()``; ``False`` if the deadline was first."""
        return self.pump.attend(lambda: self.has_exited or until(), deadline)

    def drain(self) -> None:
        """Show the rest of its output, and wait for the end of it, ``DRAIN`` seconds at most."""
        self.pump.attend(lambda: self.pump.has_ended, monotonic() + DRAIN)

    def end_group(self, patience: float) -> None:
        """End the process and all of its group: politely, then after ``patience`` seconds by force.

        What they print meanwhile is shown. An error on the way, or a second Ctrl-C, does not
        keep it from ending them.
        """
        try:
            self._signal_group(signal.SIGTERM)
            self.pump.attend(
                lambda: self.has_exited and self.pump.has_ended, monotonic() + patience
            )
        finally:
            self._signal_group(signal.SIGKILL)
        self.drain()

    def release(self) -> int:
        """Its exit code; its pipes are closed, so whoever still writes to them gets an error."""
        if self._watcher.ident is not None:
            self._watcher.join()
        code = self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()
        self.pump.close()
        return code

    def _watch(self) -> None:
        # Left a zombie until ``release``, so that no stranger can have its number when the
        # group is sent a signal. Where that is not to be had the number may be free by then.
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # SIGCHLD is ignored: it is gone
                os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._popen.wait()
        self.has_exited = True
        self.pump.bell.ring()

    def _signal_group(self, number: int) -> None:
        # The group is gone; or, on macOS, nobody but the zombie is left in it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)


def _start(
    command: Sequence[str],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    takes_input: bool,
    exchange: Exchange | None,
) -> "subprocess.Popen[bytes]":
    if not hasattr(os, "killpg"):
        raise CaptureError(
            f"run({command!r}) needs process groups, which this platform does not have. "
            "Use subprocess.run(..., capture_output=True) and print what it returns."
        )
    folder = None if cwd is None else os.fspath(cwd)
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=env if exchange is None else exchange.environment(env),
            pass_fds=() if exchange is None else exchange.passed,
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessNotStarted(command, folder, error) from error
