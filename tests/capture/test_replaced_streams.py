"""Others replace ``sys.stdout`` too, before, inside and across captures."""

import io
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout

import pytest

from milo_capture import capture


def texts(output):
    return [line.text for line in output.lines]


def test_a_redirection_inside_a_capture_gets_its_text(real_stdout):
    """``redirect_stdout`` in a captured block wins, and the capture is back after it."""
    elsewhere = io.StringIO()
    with capture() as output:
        print("before")
        with redirect_stdout(elsewhere):
            print("redirected")
        print("after")
    assert texts(output) == ["before", "after"]
    assert elsewhere.getvalue() == "redirected\n"
    assert sys.stdout is real_stdout


def test_a_capture_inside_a_redirection_gets_its_text(real_stdout):
    """A capture wins over a redirection around it, which is back after it."""
    elsewhere = io.StringIO()
    with redirect_stdout(elsewhere):
        print("before")
        with capture() as output:
            print("captured")
        assert sys.stdout is elsewhere
        print("after")
    assert texts(output) == ["captured"]
    assert elsewhere.getvalue() == "before\nafter\n"
    assert sys.stdout is real_stdout


def test_a_redirection_between_two_captures_is_back_after_the_inner(real_stdout):
    """Capture, redirection, capture: each gets what is printed while it is innermost."""
    elsewhere = io.StringIO()
    with capture() as outer:
        with redirect_stdout(elsewhere):
            with capture() as inner:
                print("innermost")
            print("redirected")
        print("outermost")
    assert (texts(outer), texts(inner)) == (["outermost"], ["innermost"])
    assert elsewhere.getvalue() == "redirected\n"
    assert sys.stdout is real_stdout


def test_a_redirection_that_outlives_the_capture_is_not_undone(real_stdout):
    """The end of a capture leaves a younger redirection in place."""
    elsewhere = io.StringIO()
    redirection = redirect_stdout(elsewhere)
    with capture():
        redirection.__enter__()
    print("still redirected")
    assert sys.stdout is elsewhere
    assert elsewhere.getvalue() == "still redirected\n"
    redirection.__exit__(None, None, None)
    print("after both")
    assert real_stdout.getvalue() == "after both\n"


def test_a_proxy_that_is_put_back_late_is_cleared_by_the_next_capture(real_stdout):
    """A redirection that restores the proxy of an ended capture leaves nothing for good."""
    redirection = redirect_stdout(io.StringIO())
    with capture():
        redirection.__enter__()
    redirection.__exit__(None, None, None)
    with capture() as output:
        print("captured")
    assert texts(output) == ["captured"]
    assert sys.stdout is real_stdout


def test_a_redirection_that_ends_inside_a_capture_is_not_brought_back(real_stdout):
    """The end of a capture never puts back a stream that its owner has taken away."""
    redirection = redirect_stdout(io.StringIO())
    redirection.__enter__()
    with capture():
        redirection.__exit__(None, None, None)
        assert sys.stdout is real_stdout
    assert sys.stdout is real_stdout


def test_a_capture_begun_in_a_redirection_outlives_it_and_the_capture_around_it(real_stdout):
    """Whichever of three overlapping blocks ends first, an open capture gets its text."""
    first, second = capture(), capture()
    redirection = redirect_stdout(io.StringIO())
    one = first.__enter__()
    redirection.__enter__()
    two = second.__enter__()
    redirection.__exit__(None, None, None)
    first.__exit__(None, None, None)
    print("to the second")
    second.__exit__(None, None, None)
    assert (texts(one), texts(two)) == ([], ["to the second"])
    assert sys.stdout is real_stdout


def test_stdout_redirected_to_a_captured_stderr(real_stdout, real_stderr):
    """Sending stdout to the captured stderr makes its lines stderr lines."""
    with capture() as output, redirect_stdout(sys.stderr):
        print("as an error")
        with capture() as inner:
            print("inner")
    assert [(line.text, line.stream) for line in output.lines] == [("as an error", "stderr")]
    assert [(line.text, line.stream) for line in inner.lines] == [("inner", "stderr")]
    assert sys.stdout is real_stdout
    assert sys.stderr is real_stderr


def test_a_stream_wrapped_in_a_capture_works_on_after_it(real_stdout):
    """A tool that wraps the stream it finds goes on working through the proxy it found."""

    class Shouting:
        def __init__(self, stream):
            self.stream = stream

        def write(self, text):
            return self.stream.write(text.upper())

    with capture() as output:
        sys.stdout = Shouting(sys.stdout)
        print("within")
    print("after")
    with capture() as later:
        print("plain")
    print("at last")
    assert texts(output) == ["WITHIN"]
    assert texts(later) == ["plain"]
    assert real_stdout.getvalue() == "AFTER\nAT LAST\n"


def test_the_test_runners_capture_sees_what_passes_through(capsys, running, gate):
    """pytest's ``capsys`` gets what is written outside the capture, and only that."""
    inside, leave = gate(), gate()

    def bystander():
        inside.pass_through()
        print("from elsewhere")
        leave.set()

    with running(bystander), capture() as output:
        print("captured")
        inside.set()
        leave.pass_through()
    print("after")
    assert texts(output) == ["captured"]
    assert capsys.readouterr().out == "from elsewhere\nafter\n"


def test_the_test_runner_may_switch_its_capture_off_and_on(capsys):
    """``capsys.disabled()`` in a captured block replaces the streams twice; nothing breaks."""
    with capture() as output:
        print("before")
        with capsys.disabled():
            pass
        print("after")
    assert "before" in texts(output)
    assert capsys.readouterr().out + output.text in ("before\nafter\n", "after\nbefore\n")


@pytest.mark.parametrize("attempt", range(10))
def test_captures_that_begin_and_end_at_once_restore_the_streams(
    attempt, running, real_stdout, real_stderr
):
    """However many threads begin and end captures, each gets its lines and all is put back."""
    start = threading.Thread.start
    meeting = threading.Barrier(4)

    def work():
        meeting.wait(60)
        for number in range(40):
            with capture() as output:
                print(number)
                print(number, file=sys.stderr)
            assert texts(output) == [str(number)] * 2

    with running(work), running(work), running(work), running(work):
        pass
    assert sys.stdout is real_stdout
    assert sys.stderr is real_stderr
    assert threading.Thread.start is start
    assert real_stdout.getvalue() + real_stderr.getvalue() == ""


@pytest.mark.parametrize("attempt", range(10))
def test_redirections_and_captures_of_several_threads_lose_nothing(attempt, running, real_stdout):
    """With redirections coming and going in one thread, each line arrives in exactly one place."""
    elsewhere = io.StringIO()
    outputs = []

    def redirecting():
        for _ in range(50):
            with capture() as output, redirect_stderr(io.StringIO()), redirect_stdout(elsewhere):
                outputs.append(output)
                sys.stdout.write("line\n")

    def capturing():
        for _ in range(50):
            with capture() as output:
                outputs.append(output)
                sys.stdout.write("line\n")

    with running(redirecting), running(capturing):
        pass
    everywhere = real_stdout.getvalue() + elsewhere.getvalue()
    everywhere += "".join(output.text for output in outputs)
    assert everywhere == "line\n" * 100


@pytest.mark.parametrize("attempt", range(20))
def test_captures_may_end_while_another_thread_prints(attempt, running, gate, real_stdout):
    """The stand-in that a ``print`` elsewhere is using outlives its capture."""
    ended = gate()

    def bystander():
        while not ended.is_set():
            print(*"many words in one print")

    with running(bystander):
        for _ in range(200):
            with capture():
                pass
        ended.set()
    assert sys.stdout is real_stdout
