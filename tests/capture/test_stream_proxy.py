"""What stands in for ``sys.stdout`` and ``sys.stderr`` behaves like the stream beneath."""

import io
import logging
import sys
from contextlib import redirect_stdout

import pytest

from milo_capture import capture


@pytest.fixture
def file(tmp_path):
    """A real text file to put in the place of ``sys.stdout``."""
    with open(tmp_path / "out", "w+", encoding="latin-1", errors="replace") as stream:
        yield stream


def test_the_streams_are_the_original_objects_again_afterwards(real_stdout, real_stderr):
    """While a capture is open the streams are replaced; then the very same objects are back."""
    with capture():
        assert sys.stdout is not real_stdout
        assert sys.stderr is not real_stderr
        with capture():
            pass
        assert sys.stdout is not real_stdout
    assert sys.stdout is real_stdout
    assert sys.stderr is real_stderr


@pytest.mark.parametrize(
    "name",
    ["buffer", "encoding", "errors", "newlines", "line_buffering", "name", "mode", "closed"],
)
def test_attributes_are_those_of_the_stream_beneath(file, name):
    """Every attribute is the original stream's."""
    with redirect_stdout(file), capture():
        assert getattr(sys.stdout, name) == getattr(file, name)


@pytest.mark.parametrize("name", ["fileno", "isatty", "readable", "writable", "seekable"])
def test_questions_are_answered_by_the_stream_beneath(file, name):
    """``fileno()``, ``isatty()`` and the like answer as the original stream does."""
    with redirect_stdout(file), capture():
        assert getattr(sys.stdout, name)() == getattr(file, name)()


def test_an_attribute_the_stream_lacks_is_an_attribute_error():
    """``hasattr`` answers for the original stream: a buffer in memory has no ``reconfigure``."""
    with redirect_stdout(io.StringIO()), capture():
        assert not hasattr(sys.stdout, "reconfigure")
        with pytest.raises(AttributeError, match="reconfigure"):
            sys.stdout.reconfigure(line_buffering=True)


def test_flush_reaches_the_stream_beneath(file, tmp_path):
    """``flush`` inside a capture flushes the original stream and ends no line."""
    file.write("written before")
    with redirect_stdout(file), capture() as output:
        print("begun ", end="", flush=True)
        assert (tmp_path / "out").read_text() == "written before"
        print("ended")
    assert [line.text for line in output.lines] == ["begun ended"]


def test_bytes_written_to_the_buffer_pass_through(file, tmp_path):
    """Bytes go to the original stream's buffer: they are not captured and not lost."""
    with redirect_stdout(file), capture() as output:
        sys.stdout.buffer.write(b"bytes")
        sys.stdout.flush()
    assert output.lines == []
    assert (tmp_path / "out").read_bytes() == b"bytes"


def test_write_answers_the_length(running, gate, real_stdout):
    """``write`` answers how many characters it took, captured or passed through."""
    inside, leave = gate(), gate()
    answers = []

    def bystander():
        inside.pass_through()
        answers.append(sys.stdout.write("four"))
        leave.set()

    with running(bystander), capture() as output:
        answers.append(sys.stdout.write("a\nb\nc"))
        inside.set()
        leave.pass_through()
    assert answers == [5, 4]
    assert [line.text for line in output.lines] == ["a", "b", "c"]
    assert real_stdout.getvalue() == "four"


@pytest.mark.parametrize("wrong", [b"bytes", None, 3])
def test_write_refuses_what_is_not_text(wrong):
    """As with any text stream, anything but ``str`` is a ``TypeError`` naming the type."""
    with capture() as output, pytest.raises(TypeError, match=type(wrong).__name__):
        sys.stdout.write(wrong)
    assert output.lines == []


def test_writelines_adds_no_line_ends():
    """``writelines`` writes one text after the other."""
    with capture() as output:
        sys.stdout.writelines(["a", "b\n", "c\n"])
    assert [line.text for line in output.lines] == ["ab", "c"]


def test_text_subclasses_become_plain_text():
    """A line's text is a plain ``str``, whatever subclass was written."""

    class Markup(str):
        __slots__ = ()

    with capture() as output:
        print(Markup("bold"))
        sys.stdout.write(Markup("never ended"))
    assert [type(line.text) for line in output.lines] == [str, str]


def test_the_proxy_says_what_it_is(real_stdout):
    """Its ``repr`` names the stream and what is beneath."""
    with capture():
        assert repr(sys.stdout) == f"<captured stdout over {real_stdout!r}>"


def test_a_kept_proxy_serves_later_captures_and_nobody(real_stdout):
    """Whoever kept the proxy writes to the capture of the moment, or through to the stream."""
    with capture() as first:
        kept = sys.stdout
        print("one", file=kept)
    print("between", file=kept)
    with capture() as second:
        print("two", file=kept)
    assert [line.text for line in first.lines] == ["one"]
    assert [line.text for line in second.lines] == ["two"]
    assert real_stdout.getvalue() == "between\n"


def test_a_logging_handler_made_in_a_capture_outlives_it(real_stderr):
    """Records logged after the capture through a handler made in it reach the real stream."""
    logger = logging.getLogger("made in a capture")
    logger.propagate = False
    with capture() as output:
        logger.addHandler(logging.StreamHandler())
        logger.warning("within")
    logger.warning("after")
    assert [(line.text, line.stream) for line in output.lines] == [("within", "stderr")]
    assert real_stderr.getvalue() == "after\n"


def test_streams_that_are_none_can_be_captured(running, gate, monkeypatch):
    """Without a console ``sys.stdout`` is ``None``: captures work, other prints do nothing."""
    monkeypatch.setattr(sys, "stdout", None)
    inside, leave = gate(), gate()

    def bystander():
        inside.pass_through()
        print("to nowhere", flush=True)
        leave.set()

    with running(bystander), capture() as output:
        print("captured")
        inside.set()
        leave.pass_through()
    assert [line.text for line in output.lines] == ["captured"]
    assert sys.stdout is None


def test_surrogates_that_the_stream_could_not_encode_are_captured(monkeypatch):
    """Captured text is not encoded, so nothing in it can fail to be."""
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    with capture() as output:
        print("\udcff é")
    assert output.text == "\udcff é\n"
