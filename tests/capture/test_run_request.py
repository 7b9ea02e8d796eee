"""``run(request=...)``: bytes to a program and back, beside its standard streams."""

import os
import subprocess
import sys

import pytest

from milo_capture import (
    CancelToken,
    ProcessCancelled,
    ProcessNotStarted,
    capture,
    request_pipes,
    run,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

HANGS = 60.0
MANY = 20_000_000

TAKES_ALL = """
import os
from milo_capture import request_pipes
reader, writer = request_pipes()
taken = bytearray()
while len(taken) < {size}:
    taken += os.read(reader, 1 << 20)
"""


def program(size, code):
    return [sys.executable, "-c", TAKES_ALL.format(size=size) + code]


def open_fds():
    return set(os.listdir("/proc/self/fd"))


def test_a_request_is_answered_beside_the_output():
    """Standard input and output are the program's own."""
    with capture() as output:
        done = run(
            program(4, "print(input()); os.write(writer, bytes(reversed(taken)))"),
            input="said",
            request=b"\x00abc",
        )
    assert done.response == b"cba\x00"
    assert output.text == "said\n"


def test_large_ones_do_not_wait_for_each_other():
    """A request and a response that no pipe can hold, and output between them."""
    code = "print('x' * 300_000)\nwith open(writer, 'wb') as out: out.write(taken)"
    with capture() as output:
        done = run(program(MANY, code), request=b"r" * MANY)
    assert len(done.response) == MANY
    assert len(output.lines) == 1


def test_a_program_need_not_take_its_request():
    """Nor respond."""
    assert run([sys.executable, "-c", "pass"], request=b"r" * MANY).response == b""
    assert run([sys.executable, "-c", "pass"]).response == b""


def test_the_request_ends_when_nobody_waits(tmp_path):
    """A program whose caller was killed reads the end of it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waits = program(2, f"print('up', flush=True); os.read(reader, 1); open({str(fifo)!r}, 'w')")
    caller = f"from milo_capture import run; run({waits!r}, request=b'go')"
    with subprocess.Popen([sys.executable, "-c", caller], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        process.kill()
    with open(fifo, encoding="utf-8") as told:  # hangs unless the orphan opens it, too
        assert told.read() == ""


def test_what_the_program_starts_has_no_part_in_it():
    """A child of the program inherits neither the pipes nor their numbers."""
    child = "import os, sys; sys.exit('MILO_CAPTURE_REQUEST' in os.environ)"
    code = (
        "import subprocess, sys; os.write(writer, b'%d' % (os.get_inheritable(reader)"
        f" + os.get_inheritable(writer) + subprocess.call([sys.executable, '-c', {child!r}])))"
    )
    assert run(program(1, code), request=b".").response == b"0"


def test_a_program_without_a_request_is_told_so():
    """By an error that says how to get one."""
    with pytest.raises(LookupError, match="there is no request"):
        request_pipes()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts what Linux shows")
def test_no_pipe_is_left_open():
    """However it ends: with an error, cancelled, or not begun."""
    before = open_fds()
    run([sys.executable, "-c", "raise SystemExit(3)"], request=b"r", check=False)
    with pytest.raises(ProcessNotStarted):
        run(["no such program"], request=b"r")
    token = CancelToken()
    token.cancel()
    with pytest.raises(ProcessCancelled):
        run([sys.executable, "-c", "pass"], request=b"r", cancel=token)
    assert open_fds() == before
