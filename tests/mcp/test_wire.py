"""stdin and stdout of a server are the client's, whatever else the process does."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from mcp_clients import heed_signals

PATIENCE = 30
PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}\n'

NOISY = """
import asyncio, os, subprocess, sys, threading
from milo_mcp import TimelineServer, Wire
from milo_pipeline import Phase, Pipeline

def noise():
    print("printed")
    sys.__stdout__.write("written\\n")
    os.write(1, b"below\\n")
    os.system("echo shell")
    subprocess.run([sys.executable, "-c", "import sys; print('child', len(sys.stdin.read()))"])
    sys.stderr.write(f"stdin: {sys.stdin.read()!r} {os.read(0, 9)!r}\\n")

wire = Wire()
noise()
thread = threading.Thread(target=noise)
thread.start()
pipeline = Pipeline("noise", Phase("a", noise), Phase("b", noise), capture_output=CAPTURE)
server = TimelineServer()
server.on_open = lambda: (pipeline.run(), print("unflushed", end=""))
asyncio.run(server.serve_stdio(wire))
thread.join()
noise()
print("unflushed", end="")
"""

SERVING = "import asyncio, milo_mcp; asyncio.run(milo_mcp.TimelineServer().serve_stdio())"


@contextmanager
def served(program, **options):
    """A process that runs ``program``, and does not outlive the block."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options = {**pipes, "preexec_fn": heed_signals, **options}
    with subprocess.Popen([sys.executable, "-c", program], **options) as process:
        try:
            yield process
        finally:
            process.kill()


def pinged(process):
    """The answer to one more ping. (What is asked just before hanging up may stay unanswered.)"""
    process.stdin.write(PING)
    process.stdin.flush()
    return json.loads(process.stdout.readline())["id"]


@pytest.mark.parametrize("capturing", [True, False])
def test_nothing_but_messages_is_on_the_wire(capturing):
    """Not what is printed, by whom and when ever, from the moment the wire was taken on."""
    with served(NOISY.replace("CAPTURE", str(capturing))) as process:
        assert pinged(process) == 1
        out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    assert process.returncode == 0, err
    for text in (b"printed", b"written", b"below", b"shell", b"child 0", b"unflushed"):
        assert text in err


@pytest.mark.parametrize("capturing", [True, False])
def test_nobody_else_reads_from_the_wire(capturing):
    """Whoever reads stdin meets its end at once, and the client's messages arrive."""
    with served(NOISY.replace("CAPTURE", str(capturing))) as process:
        for _ in range(3):
            assert pinged(process) == 1
        out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    assert b"stdin: '' b''" in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_server_that_waits_for_its_client(signum):
    """No thread that reads the wire keeps the process from ending."""
    with served(SERVING, stderr=subprocess.DEVNULL) as process:
        assert pinged(process) == 1
        process.send_signal(signum)
        assert process.wait(PATIENCE) != 0


def test_a_client_that_reads_no_more_ends_the_server():
    """It has hung up on one side; the server does not fail for it."""
    with served(SERVING) as process:
        assert pinged(process) == 1
        process.stdout.close()
        process.stdin.write(PING * 2)
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b""


def test_stdin_and_stdout_are_given_back():
    """Afterwards they are what they were."""
    program = (
        "import asyncio, milo_mcp\n"
        "asyncio.run(milo_mcp.TimelineServer().serve_stdio())\n"
        "print('mine again')\n"
    )
    with served(program) as process:
        assert pinged(process) == 1
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == b"mine again\n"


def test_long_and_broken_lines_arrive_whole():
    """A message of megabytes, one in pieces, one without an end, and bytes that are no text."""
    with served(SERVING) as process:
        big = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x" * 3_000_000, "params": {}})
        process.stdin.write(big.encode() + b"\n\n\xff\xfe\n" + PING[:20])
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["error"]
        process.stdin.write(PING[20:])
        process.stdin.flush()
        while json.loads(process.stdout.readline()) != {"jsonrpc": "2.0", "id": 1, "result": {}}:
            pass
        _, err = process.communicate(PING[:-1], timeout=PATIENCE)
    assert process.returncode == 0, err


def test_without_stdin_there_is_an_error():
    """A process that has none cannot serve there."""

    def close():
        os.close(0)

    with served(SERVING, stdin=None, preexec_fn=close) as process:
        assert process.wait(PATIENCE) == 1
        assert b"OSError" in process.stderr.read()
