"""Standard output: readers that leave, disks that are full, encodings that lack a sign."""

import io
import os
import subprocess
import sys

import pytest

from milo._cli.errors import CommandError
from milo._cli.streams import LineWriter, make_forgiving, stdout_kept_apart


def test_each_line_is_flushed():
    """A reader sees a line as soon as it is written."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8")
    LineWriter(stream).write_lines("a", "b")
    assert raw.getvalue() == b"a\nb\n"


def test_a_reader_that_leaves_is_no_error():
    """Lines written to a closed pipe are dropped, also at exit."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        writer = LineWriter(stream)
        writer.write_lines("nobody reads this")
        writer.write_lines("nor this")
        writer.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error():
    """Output that is lost does not pass for output; what comes after is not tried."""
    with open("/dev/full", "w") as stream:
        writer = LineWriter(stream)
        writer.write_lines("lost")
        writer.write_lines("lost too")
        with pytest.raises(CommandError, match=r"cannot write the output: .*No space left"):
            writer.close()


def test_a_forgiving_stream_escapes_what_it_lacks():
    """What the encoding does not have, and what no encoding has, is written as an escape."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "latin-1")
    make_forgiving(stream)
    stream.write("é → \udcff")
    stream.flush()
    assert raw.getvalue() == b"\xe9 \\u2192 \\udcff"
    make_forgiving(object())


KEPT_APART = """
import os, subprocess, sys
from milo._cli.streams import stdout_kept_apart

sys.stdout.write("before;")
with stdout_kept_apart() as stream:
    print("printed")
    os.write(1, b"written\\n")
    subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
    print("kept", end=";", file=stream)
print("after")
"""


def test_stdout_is_kept_apart():
    """Prints, raw writes and children go to stderr meanwhile, and to stdout again after."""
    ended = subprocess.run(
        [sys.executable, "-c", KEPT_APART], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "before;kept;after\n"
    assert sorted(ended.stderr.splitlines()) == ["of a child", "printed", "written"]


def test_a_replaced_stdout_is_kept_apart(monkeypatch):
    """Where ``sys.stdout`` is no file, as in a test, only the Python stream is exchanged."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with stdout_kept_apart() as stream:
        print("printed")
        print("kept", file=stream)
    assert (out.getvalue(), err.getvalue()) == ("kept\n", "printed\n")
    assert sys.stdout is out
