"""Signals are told whichever thread they meet, and to their own process only."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from milo._cli.interrupts import signals_told_to

SECONDS = 30  # only a hang takes longer


def asleep(thread_id):
    """Whether a thread of this process waits in the kernel."""
    stat = Path(f"/proc/self/task/{thread_id}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


@pytest.mark.skipif(sys.platform != "linux", reason="needs to know what a thread does")
def test_a_signal_that_another_thread_takes_wakes_who_waits():
    """The handler runs once the main thread gets to it, which waits for what the handler says."""
    told, main = SimpleQueue(), threading.get_native_id()

    def interrupt():
        while not all(asleep(main) for _ in range(200)):
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    with signals_told_to(told.put):
        thread = threading.Thread(target=interrupt)
        thread.start()
        assert told.get(timeout=SECONDS) == signal.SIGINT
        thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_each_signal_is_told_once():
    told = []
    with signals_told_to(told.append):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert told == [signal.SIGTERM, signal.SIGINT]


def test_an_error_leaves_no_thread_behind(monkeypatch):
    """The thread that tells has ended when the block has, however that ends."""
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    for _ in range(200):
        with pytest.raises(LookupError), signals_told_to(print):
            raise LookupError
        assert not [each for each in threading.enumerate() if each.name == "milo-signals"]
    assert failed == []


def test_signals_of_no_concern_are_not_told():
    told = []
    usual = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with signals_told_to(told.append):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, usual)
    assert told == []


@pytest.mark.parametrize("thread", ["the main thread", "another"])
def test_signals_of_a_forked_child_are_its_own(thread):
    """One Ctrl-C at a terminal reaches both; the parent must not take it for two."""
    program = """
import os, signal, sys, threading
from milo._cli.interrupts import signals_told_to

def fork():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        signal.raise_signal(signal.SIGTERM)
        while True:
            signal.pause()
    os.waitpid(child, 0)

told = []
with signals_told_to(told.append):
    if sys.argv[1] == "another":
        forking = threading.Thread(target=fork)
        forking.start()
        forking.join()
    else:
        fork()
print(told)
"""
    command = [sys.executable, "-c", program, thread]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ran.stdout == "[]\n", ran.stderr
