"""Handlers that other processes can import."""

import asyncio
import atexit
import functools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from milo_capture import run
from milo_pipeline import Phase, Pipeline

NO_END = 600.0


def process_id():
    return os.getpid()


def seven():
    return 7


def double(item):
    return item * 2, os.getpid()


def add(context, more):
    return context["a"] + more


def context_of(context):
    return context


def same(value):
    return value


def unsendable():
    return [threading.Lock()]


def meet(mine, other):
    """Turn in circles until the other one has begun, too."""
    Path(mine).touch()
    while not os.path.exists(other):
        pass
    return os.getpid()


def print_everywhere():
    print("print")
    sys.stderr.write("stderr\n")
    os.write(1, b"descriptor\n")
    subprocess.run([sys.executable, "-c", "print('program')"], check=True)
    run([sys.executable, "-c", "print('run')"])
    print("\u20ac \udc80", end="")


def print_and_wait(fifo):
    print("up")
    with open(fifo, encoding="utf-8") as told:
        return told.read()


async def in_a_loop(context):
    await asyncio.sleep(0)
    return asyncio.get_running_loop().is_running()


class Counter:
    """An object with a method, and with a call."""

    def __init__(self, start):
        self.start = start

    def method(self):
        return self.start + 1

    def __call__(self):
        return self.start + 2


class Odd(Exception):
    """An error that can be pickled, but not unpickled."""

    def __init__(self, code, place):
        super().__init__(f"{code} at {place}")


class Locked(Exception):
    """An error that cannot be pickled."""

    def __init__(self):
        super().__init__("it is locked")
        self.lock = threading.Lock()


class Brittle:
    """A value that can be pickled, but not unpickled."""

    def __reduce__(self):
        return int, ("no number",)


def raise_value_error():
    raise ValueError("no such page")


def raise_with_cause():
    try:
        raise_value_error()
    except ValueError as error:
        raise LookupError("nothing found") from error


def raise_odd():
    raise Odd(3, "home")


def raise_locked():
    raise Locked


def brittle():
    return Brittle()


def leave(code):
    sys.exit(code)


def fail_once(file):
    """Die at the first call, return at the second."""
    if not os.path.exists(file):
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second"


def die(number):
    os.kill(os.getpid(), number)


def leave_at_once():
    os._exit(3)


def break_the_end():
    atexit.register(os._exit, 4)
    return "returned"


def wait_for_ever():
    print(os.getpid())
    threading.Event().wait(NO_END)


def wait_with_cleanup():
    try:
        print(os.getpid())
        threading.Event().wait(NO_END)
    finally:
        print("cleaned")


async def wait_async_with_cleanup():
    try:
        print(os.getpid())
        await asyncio.sleep(NO_END)
    finally:
        print("cleaned")


def ignore_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid())
    threading.Event().wait(NO_END)


WAITS = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait(600)"


def run_a_program():
    run([sys.executable, "-c", WAITS])


async def run_beside():
    await asyncio.to_thread(run_a_program)


def start_a_child():
    with subprocess.Popen([sys.executable, "-c", WAITS]) as child:
        child.wait()


def run_a_pipeline():
    phase = Phase("inner", process_id, executor="process")
    return os.getpid(), Pipeline("inner", phase).run().results["inner"]


def surroundings():
    return sys.argv, sys.path, os.getcwd(), sys.stdin.read()


def raise_locked_item(item):
    raise Locked


def noting_process(file):
    return functools.partial(note_and_wait, str(file))


def note_and_wait(file):
    with open(file, "a", encoding="utf-8") as pids:
        pids.write(f"{os.getpid()} ")
    threading.Event().wait(NO_END)
