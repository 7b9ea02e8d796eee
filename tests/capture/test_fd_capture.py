"""``fds=True``: what C code and child processes write to the file descriptors is captured."""

import asyncio
import ctypes
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from milo_capture import CaptureError, LineFeed, capture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not on Windows")


def texts(output):
    return [(line.text, line.stream) for line in output.lines]


def identity(number):
    """Where a file descriptor leads."""
    found = os.fstat(number)
    return found.st_dev, found.st_ino


def run_script(script):
    """The output of ``script``, run by this interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_whoever_writes_to_the_file_descriptors_is_captured():
    """``os.write``, C code and a child that inherits them, beside ``print``."""
    with capture(fds=True) as output:
        os.write(1, b"raw\nnot en")
        os.write(1, "ded \u20ac".encode())
        os.write(2, b"trouble\n")
    assert sorted(texts(output)) == [
        ("not ended \u20ac", "stdout"),
        ("raw", "stdout"),
        ("trouble", "stderr"),
    ]
    with capture(fds=True) as output:
        subprocess.run([sys.executable, "-c", "print('from the child')"], check=True)
        ctypes.CDLL(None).puts(b"from C")
        print("printed")
    assert sorted(texts(output)) == [
        ("from C", "stdout"),
        ("from the child", "stdout"),
        ("printed", "stdout"),
    ]


def test_only_with_fds():
    """A capture without it leaves the file descriptors alone."""
    before = identity(1)
    with capture() as output:
        assert identity(1) == before
        os.write(1, b"")
    assert output.text == ""


@pytest.mark.parametrize("attempt", range(3))
def test_all_is_put_back_also_after_an_error(attempt):
    """The file descriptors lead where they led, nothing stays open and no thread is left."""
    folder = Path("/dev/fd")

    def look():
        return identity(1), identity(2), len(list(folder.iterdir()))

    before = look()
    with pytest.raises(ZeroDivisionError), capture(fds=True):
        assert identity(1) != before[0]
        raise ZeroDivisionError
    assert look() == before
    with capture(fds=True) as output:
        os.write(1, b"again\n")
    assert texts(output) == [("again", "stdout")]
    assert look() == before


def test_a_second_one_at_the_same_time_is_refused():
    """Inside the first, and on another capture: the message says why; the first goes on."""
    with capture(fds=True) as output, LineFeed(print) as feed:
        with pytest.raises(CaptureError, match="only one pair"), capture(fds=True):
            pass
        with pytest.raises(CaptureError, match="only one pair"), feed.capture("a", fds=True):
            pass
        os.write(1, b"still\n")
    assert texts(output) == [("still", "stdout")]


def test_an_inner_capture_gets_what_is_printed():
    """What is written to the file descriptors belongs to the block that has them."""
    with capture(fds=True) as outer, capture() as inner:
        print("printed")
        os.write(1, b"raw\n")
    assert texts(inner) == [("printed", "stdout")]
    assert texts(outer) == [("raw", "stdout")]


def test_much_output_is_all_there():
    """More than any pipe holds, through a small feed."""
    received = []
    with LineFeed(received.extend, capacity=4) as feed, feed.capture("a", fds=True):
        data = b"".join(b"%d\n" % number for number in range(100_000))
        while data:
            data = data[os.write(1, data) :]
    assert [line.text for _, line in received] == [str(number) for number in range(100_000)]


def test_a_coroutine_may_have_them():
    """``capture_async`` takes ``fds`` too."""
    received = []

    async def main():
        async with feed.capture_async("a", fds=True):
            os.write(1, b"raw\n")

    with LineFeed(received.extend) as feed:
        asyncio.run(main())
    assert [(tag, line.text) for tag, line in received] == [("a", "raw")]


def test_what_deliver_prints_and_others_print_is_shown():
    """It takes the way around: it is neither captured nor lost, and in the right encoding."""
    script = """
        import os, sys, threading
        from milo_capture import LineFeed

        def deliver(batch):
            for tag, line in batch:
                print("delivered", tag, line.text)

        inside, printed = threading.Event(), threading.Event()
        def bystander():
            inside.wait(60)
            print("bystander")
            printed.set()

        thread = threading.Thread(target=bystander)
        thread.start()
        print("before ", end="")
        with LineFeed(deliver) as feed:
            with feed.capture("a", fds=True):
                inside.set()
                printed.wait(60)
                os.write(1, b"raw\\n")
                sys.stdout.buffer.write(b"bytes\\n")
        print("after")
        thread.join()
        """
    assert run_script(script).splitlines() == [
        "before bystander",
        "delivered a raw",
        "delivered a bytes",
        "after",
    ]


def test_a_child_that_outlives_the_block_is_not_waited_for():
    """What it writes later is lost to it; the block ends."""
    script = """
        import subprocess, sys
        from milo_capture import capture

        with capture(fds=True) as output:
            child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        child.stdin.close()
        child.wait()
        print(output.lines)
        """
    assert run_script(script) == "[]\n"


def test_on_windows_it_is_refused(monkeypatch):
    """The message says what to do instead."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(CaptureError, match="Leave it out"), capture(fds=True):
        pass
