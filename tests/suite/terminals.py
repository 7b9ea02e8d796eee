"""A real pseudo-terminal with a command in it, as a person would sit before it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

# A new session's terminal has to be claimed from inside; and a test run in the background
# hands down an ignored SIGINT, which would be honoured.
_BECOME = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def python_ready_for_signals(*words):
    """The words that start this Python with ``words``, deaf to no signal."""
    return [sys.executable, "-c", _BECOME, *map(str, words)]


class Terminal:
    """The command started on a terminal of 24 × 80 of its own; ends with the ``with`` block."""

    def __init__(self, *words, env, patience):
        self._patience = patience
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._modes = termios.tcgetattr(self._slave)
        self._shown = b""
        self._more = threading.Condition()
        self._process = subprocess.Popen(
            python_ready_for_signals(*words),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        self._hang_up()

    def wait_for(self, text):
        """Block until ``text`` has been shown."""
        with self._more:
            shown = self._more.wait_for(lambda: text in self.shown, self._patience)
        assert shown, f"{text!r} was never shown; the end is {self.shown[-2000:]!r}"

    def wait_for_another(self, text):
        """Block until ``text`` has been shown twice."""
        with self._more:
            shown = self._more.wait_for(lambda: self.shown.count(text) > 1, self._patience)
        assert shown, f"{text!r} was shown once; the end is {self.shown[-2000:]!r}"

    @property
    def shown(self):
        """Everything shown so far, escape sequences included."""
        return self._shown.decode(errors="replace")

    def type(self, keys):
        """Type, as on a keyboard: ``\\x03`` is Ctrl-C."""
        os.write(self._master, keys.encode())

    def send(self, signum):
        """Send a signal to the command alone."""
        self._process.send_signal(signum)

    def exit_code(self):
        """Wait for the end and return the exit code, once everything has been shown."""
        code = self._process.wait(self._patience)
        assert termios.tcgetattr(self._slave) == self._modes, "the terminal's modes have changed"
        self._hang_up()
        return code

    def cursor_is_visible(self):
        """Whether what was shown last about the cursor is that it shows."""
        return self.shown.rfind(SHOW_CURSOR) >= self.shown.rfind(HIDE_CURSOR)

    def _read(self):
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # the last holder of the other end has closed it
                return
            with self._more:
                self._shown += piece
                self._more.notify_all()

    def _hang_up(self):
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None
            self._reader.join()
            os.close(self._master)


CTRL_C = "\x03"
TERMINATE = signal.SIGTERM
