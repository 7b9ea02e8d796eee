"""Handlers of ``logging`` are captured, whenever they were made."""

import io
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

import pytest

from milo_capture import LineFeed, capture


@pytest.fixture
def logger():
    """A logger of its own, which ends with the test."""
    logger = logging.getLogger("of the test")
    logger.propagate = False
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


def texts(output):
    return [line.text for line in output.lines]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_handler_made_before_is_captured_live(logger, stream, real_stdout, real_stderr):
    """It holds the stream that was there; what it writes inside is a line at once."""
    logger.addHandler(logging.StreamHandler(getattr(sys, stream)))
    with capture() as output:
        logger.warning("inside")
        assert [(line.text, line.stream) for line in output.lines] == [("inside", stream)]
    logger.warning("after")
    assert real_stdout.getvalue() + real_stderr.getvalue() == "after\n"


def test_the_class_is_as_it_was_when_the_last_capture_ends(logger, real_stderr):
    """Captures may overlap; after the last nothing of ours is left on ``logging``'s classes."""
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    call_handlers = logging.Logger.callHandlers
    first, second = capture(), capture()
    one = first.__enter__()
    two = second.__enter__()
    first.__exit__(None, None, None)
    logger.warning("to the second")
    second.__exit__(None, None, None)
    assert (texts(one), texts(two)) == ([], ["to the second"])
    assert "stream" not in vars(logging.StreamHandler)
    assert logging.Logger.callHandlers is call_handlers
    assert handler.stream is real_stderr


def test_other_threads_pass_through(logger, running, gate, real_stderr):
    """Only who is inside is captured: a thread that ran before keeps the terminal."""
    logger.addHandler(logging.StreamHandler())
    inside, logged = gate(), gate()

    def bystander():
        inside.pass_through()
        logger.warning("outside")
        logged.set()

    with running(bystander), capture() as output:
        inside.set()
        logged.pass_through()
        logger.warning("inside")
    assert texts(output) == ["inside"]
    assert real_stderr.getvalue() == "outside\n"


def test_a_file_and_a_buffer_are_left_alone(logger, tmp_path, real_stderr):
    """Whoever logs elsewhere does so inside a capture too, with the very same stream."""
    buffer = io.StringIO()
    in_memory = logging.StreamHandler(buffer)
    in_file = logging.FileHandler(tmp_path / "log", delay=True, encoding="utf-8")
    logger.addHandler(in_memory)
    logger.addHandler(in_file)
    with capture() as output:
        logger.warning("line")
        assert in_memory.stream is buffer
        in_file.close()
    assert output.text == ""
    assert buffer.getvalue() == (tmp_path / "log").read_text() == "line\n"


def test_handlers_may_come_and_go_inside(logger, real_stderr):
    """One that was removed is silent; one that was made inside passes through after it."""
    earlier = logging.StreamHandler()
    logger.addHandler(earlier)
    with capture() as output:
        logger.removeHandler(earlier)
        logger.addHandler(logging.StreamHandler())
        logger.warning("inside")
    logger.warning("after")
    assert texts(output) == ["inside"]
    assert real_stderr.getvalue() == "after\n"


def test_set_stream_inside_a_capture(logger, real_stderr):
    """``setStream`` answers a stream that works when it is set again after the capture."""
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    elsewhere = io.StringIO()
    with capture() as output:
        before = handler.setStream(elsewhere)
        logger.warning("elsewhere")
        assert handler.stream is elsewhere
        del handler.stream
        with pytest.raises(AttributeError, match="stream"):
            handler.stream  # noqa: B018  # looking is the test
    handler.stream = before
    logger.warning("after")
    assert (elsewhere.getvalue(), output.text) == ("elsewhere\n", "")
    assert real_stderr.getvalue() == "after\n"


def test_inside_a_redirection_the_displaced_stream_is_still_captured(logger, real_stderr):
    """A redirection is for ``sys.stderr``; the handler's stream is the one the capture covers."""
    logger.addHandler(logging.StreamHandler())
    with capture() as output, redirect_stderr(io.StringIO()) as elsewhere:
        logger.warning("logged")
        with capture() as inner:
            print("printed", file=sys.stderr)
        print("redirected", file=sys.stderr)
    assert (texts(output), texts(inner)) == (["logged"], ["printed"])
    assert elsewhere.getvalue() == "redirected\n"


def test_the_handler_of_last_resort_is_captured(real_stderr):
    """A logger without a handler writes its warning to the capture."""
    logger = logging.Logger("without handlers")  # noqa: LOG001  # and without parents
    with capture() as output:
        logger.warning("nobody set up logging")
    assert texts(output) == ["nobody set up logging"]
    assert real_stderr.getvalue() == ""


@pytest.mark.parametrize("made", ["before", "inside"])
@pytest.mark.parametrize("attempt", range(5))
def test_deliver_may_log_to_the_handler_that_its_writers_use(attempt, made, logger, real_stderr):
    """Writers log and print faster than it delivers; nobody waits with the handler's lock."""

    def deliver(batch):
        received.extend(line.text for _, line in batch)
        logger.warning("delivered")

    def write(name):
        for number in range(50):
            logger.warning("%s %s", name, number)
            print(name, number)

    received = []
    if made == "before":
        logger.addHandler(logging.StreamHandler())
    with LineFeed(deliver, capacity=1) as feed, feed.capture("a"):
        if made == "inside":
            logger.addHandler(logging.StreamHandler())
        threads = [threading.Thread(target=write, args=(name,), daemon=True) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for name in "abc":
        mine = [text for text in received if text.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(50) for _ in "lp"]
    assert set(real_stderr.getvalue().splitlines()) == {"delivered"}


def test_who_logs_waits_for_room_without_the_handlers_lock(logger, gate, real_stderr, monkeypatch):
    """A log record is bounded like a print: the call returns when the feed has caught up."""
    logger.addHandler(logging.StreamHandler())
    delivering, full = gate(), gate()
    handler = logger.handlers[0]

    def deliver(batch):
        delivering.set()
        full.pass_through()

    feed = LineFeed(deliver, capacity=1)
    room = feed._queue._room
    wait = room.wait

    def announced_wait():
        with ThreadPoolExecutor(1) as other:
            free.append(other.submit(handler.lock.acquire, blocking=False).result(60))
            other.submit(handler.lock.release).result(60)
        full.set()
        return wait()

    free = []
    monkeypatch.setattr(room, "wait", announced_wait)
    with feed, feed.capture("a"):
        logger.warning("first")
        delivering.pass_through()
        for _ in range(5):
            logger.warning("more")
    assert set(free) == {True}
