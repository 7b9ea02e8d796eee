"""``LineFeed`` delivers the lines of many tasks, live, to one consumer."""

import asyncio
import contextvars
import logging
import sys
import threading

import pytest

from milo_capture import CaptureError, FeedClosedError, LineFeed, capture

HANGS = 60.0


class Received(list):
    """A ``deliver`` that keeps what it is given: ``(tag, line)`` pairs."""

    def __call__(self, batch):
        self.extend(batch)

    def texts(self, tag):
        return [line.text for name, line in self if name == tag]


@pytest.fixture
def received():
    """A consumer to make feeds with."""
    return Received()


def feed_threads():
    return [thread for thread in threading.enumerate() if thread.name == "milo-capture-feed"]


def test_lines_are_delivered_with_their_tag(received, real_stdout):
    """Each line arrives beside the tag of its block, with its stream; nothing is shown."""
    tag = object()
    with LineFeed(received) as feed, feed.capture(tag):
        print("out")
        print("trouble", file=sys.stderr)
    assert [(key, line.text, line.stream) for key, line in received] == [
        (tag, "out", "stdout"),
        (tag, "trouble", "stderr"),
    ]
    assert real_stdout.getvalue() == ""


def test_a_line_is_delivered_while_the_block_still_runs(gate):
    """The consumer has a line before its writer goes on to anything else."""
    arrived = gate()
    with LineFeed(lambda batch: arrived.set()) as feed, feed.capture("a"):
        print("live")
        arrived.pass_through()


@pytest.mark.parametrize("attempt", range(20))
def test_leaving_a_block_waits_until_its_lines_are_delivered(attempt, received):
    """After the block every line of it has been delivered, the unended last one too."""
    with LineFeed(received) as feed:
        for number in range(20):
            with feed.capture(number):
                print("line")
                print("last", end="")
            assert received.texts(number) == ["line", "last"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_has_its_lines_delivered_first(received, real_stdout, error):
    """An error leaves the block after its lines have been delivered, and all is put back."""
    with LineFeed(received) as feed:
        with pytest.raises(error), feed.capture("a"):
            print("last words", end="")
            raise error
        assert received.texts("a") == ["last words"]
    assert sys.stdout is real_stdout


@pytest.mark.parametrize("last_words", ["not ended", ""])
def test_ctrl_c_while_a_block_waits_finds_all_put_back(
    last_words, gate, monkeypatch, received, real_stdout
):
    """Interrupted as it waits for delivery, leaving a block has undone all and lost nothing."""
    delivering, interrupted = gate(), gate()

    def deliver(batch):
        received(batch)
        delivering.set()
        interrupted.pass_through()

    def interrupt():
        raise KeyboardInterrupt

    feed = LineFeed(deliver, capacity=1)
    start = threading.Thread.start
    with pytest.raises(KeyboardInterrupt), feed.capture("a"):
        print("delivering")
        delivering.pass_through()
        print("waiting")
        print(last_words, end="")
        monkeypatch.setattr(feed._queue, "wait_done", interrupt)
    monkeypatch.undo()
    assert sys.stdout is real_stdout
    assert threading.Thread.start is start
    print("after")
    interrupted.set()
    feed.close()
    assert received.texts("a") == ["delivering", "waiting", *last_words.splitlines()]
    assert real_stdout.getvalue() == "after\n"


@pytest.mark.parametrize("attempt", range(10))
@pytest.mark.parametrize("capacity", [1, 3, 1024])
def test_many_sources_lose_nothing_and_keep_their_order(attempt, capacity, running, received):
    """Whatever the capacity, each source's lines all arrive, in order, in bounded batches."""
    sizes = []

    def deliver(batch):
        sizes.append(len(batch))
        received(batch)

    def source(name):
        def work():
            with feed.capture(name):
                for number in range(60):
                    print(name, end=" ")
                    print(number)
                print("two\nlines")

        return work

    feed = LineFeed(deliver, capacity=capacity)
    with feed, running(source("a")), running(source("b")), running(source("c")):
        pass
    for name in "abc":
        expected = [f"{name} {number}" for number in range(60)]
        assert received.texts(name) == [*expected, "two", "lines"]
    assert max(sizes) <= capacity


def test_a_writer_waits_while_the_feed_is_full(gate, running, monkeypatch):
    """With ``capacity`` lines waiting the next write waits for the consumer; nothing is dropped."""
    delivering, full = gate(), gate()
    received = []

    def deliver(batch):
        delivering.set()
        full.pass_through()
        received.extend(line.text for _, line in batch)

    feed = LineFeed(deliver, capacity=2)
    room = feed._queue._room
    wait = room.wait

    def announced_wait():
        full.set()
        return wait()

    monkeypatch.setattr(room, "wait", announced_wait)
    with feed, feed.capture("a"):
        print(0)
        delivering.pass_through()
        for number in range(1, 10):
            print(number)
    assert received == [str(number) for number in range(10)]


def test_one_write_may_have_more_lines_than_fit(received):
    """A text of many lines goes through a small feed in parts."""
    with LineFeed(received, capacity=2) as feed, feed.capture("a"):
        sys.stdout.write("\n".join(map(str, range(100))))
    assert received.texts("a") == [str(number) for number in range(100)]


def test_a_failing_deliver_is_logged_once_per_batch_and_the_feed_goes_on(received, caplog):
    """The batch is lost, the log says so with the error, and the next lines arrive."""

    def deliver(batch):
        if any(line.text == "poison" for _, line in batch):
            raise ValueError("cannot take this")
        received(batch)

    with LineFeed(deliver) as feed:
        for text in ("one", "poison", "two"):
            with feed.capture("a"):
                print(text)
    assert received.texts("a") == ["one", "two"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "deliver" in record.message
    assert "1 lines" in record.message
    assert record.exc_info[0] is ValueError


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_no_error_of_deliver_ends_the_feed(received, caplog, error):
    """Even errors that are no ``Exception`` leave the feed at work."""

    def deliver(batch):
        if not caplog.records:
            raise error
        received(batch)

    with LineFeed(deliver) as feed:
        with feed.capture("a"):
            print("lost")
        with feed.capture("a"):
            print("kept")
    assert received.texts("a") == ["kept"]


@pytest.mark.parametrize("attempt", range(10))
def test_logging_a_failure_does_not_wait_for_a_writer_that_waits(attempt, monkeypatch):
    """A writer may wait for room while it holds the very logging handler the feed logs to."""
    logger = logging.getLogger("milo_capture")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [])

    def deliver(batch):
        raise ValueError("cannot take this")

    with LineFeed(deliver, capacity=1) as feed, feed.capture("a"):
        logger.addHandler(logging.StreamHandler(sys.stdout))
        for number in range(200):
            logger.warning("%d", number)


def test_deliver_prints_to_the_real_streams(real_stdout):
    """What ``deliver`` prints passes through, also while captures are open."""
    with LineFeed(lambda batch: print("delivered", len(batch))) as feed, feed.capture("a"):
        print("line")
    assert real_stdout.getvalue() == "delivered 1\n"


def test_deliver_cannot_feed_its_own_feed(real_stdout):
    """Inside ``deliver`` a capture of the same feed changes nothing, however full the feed is."""

    def deliver(batch):
        for tag, line in batch:
            with feed.capture("again"):
                print(tag, line.text)
                print(tag, line.text)

    with LineFeed(deliver, capacity=1) as feed, feed.capture("a"):
        print("1\n2\n3")
    assert real_stdout.getvalue() == "a 1\na 1\na 2\na 2\na 3\na 3\n"


def test_threads_that_deliver_captures_are_delivered_later(received):
    """Threads started in a capture inside ``deliver`` do feed; ``deliver`` waits for none of it."""

    def deliver(batch):
        received(batch)
        if any(tag == "a" for tag, _ in batch):
            with feed.capture("b"):
                thread = threading.Thread(target=print, args=("from its thread",))
                thread.start()
                thread.join(60)

    with LineFeed(deliver) as feed, feed.capture("a"):
        print("line")
    assert [(tag, line.text) for tag, line in received] == [("a", "line"), ("b", "from its thread")]


def test_deliver_is_outside_of_every_capture(real_stdout):
    """A capture around the feed does not get what ``deliver`` prints."""
    with capture() as output, LineFeed(lambda batch: print("delivered")) as feed:
        with feed.capture("a"):
            print("line")
        print("captured")
    assert output.text == "captured\n"
    assert real_stdout.getvalue() == "delivered\n"


def test_a_captured_context_that_runs_in_deliver_passes_through(real_stdout):
    """A callback that took its context along does not feed the feed that runs it."""
    contexts = []

    def deliver(batch):
        for _ in batch:
            contexts[0].run(print, "from the callback")

    with LineFeed(deliver, capacity=1) as feed, feed.capture("a"):
        contexts.append(contextvars.copy_context())
        print("1\n2\n3")
    assert real_stdout.getvalue() == "from the callback\n" * 3


def test_deliver_may_use_another_feed(received):
    """Feeds can be chained: ``deliver`` of one captures under another."""

    def deliver(batch):
        for tag, line in batch:
            with second.capture(tag):
                print("again", line.text)

    with LineFeed(received) as second, LineFeed(deliver) as first, first.capture("a"):
        print("line")
    assert received.texts("a") == ["again line"]


def test_deliver_runs_on_a_daemon_thread_of_its_own_in_an_empty_context():
    """The thread starts with the first line, is a daemon, and inherits no context variables."""
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    seen = []

    def deliver(batch):
        thread = threading.current_thread()
        seen.append((thread.name, thread.daemon, variable.get()))

    with LineFeed(deliver) as feed:
        with feed.capture("a"):
            pass
        assert feed_threads() == []
        with feed.capture("a"):
            print("line")
        assert len(feed_threads()) == 1
    assert seen == [("milo-capture-feed", True, "unset")]
    assert feed_threads() == []


@pytest.mark.parametrize("attempt", range(10))
def test_no_line_comes_after_its_block(attempt, running, gate, real_stdout):
    """A thread that goes on printing after the block feeds the block's tag no more."""
    lines_after_end = []
    ended = threading.Event()
    enough = gate()

    def deliver(batch):
        if ended.is_set():
            lines_after_end.extend(batch)

    def chatter():
        for _ in range(300):
            print("chatter")
        enough.set()

    with LineFeed(deliver) as feed:
        with feed.capture("a"):
            thread = threading.Thread(target=chatter)
            thread.start()
        ended.set()
        enough.pass_through()
        thread.join(60)
    assert lines_after_end == []
    # A print that the end of the block cut in two leaves its newline to the real stream.
    assert set(real_stdout.getvalue().splitlines()) <= {"chatter", ""}


def test_threads_of_the_block_are_delivered_under_its_tag(received):
    """Threads started in a block feed its tag, and their unended lines come at its end."""
    with LineFeed(received) as feed:
        for name in "ab":
            with feed.capture(name):
                thread = threading.Thread(target=lambda: print("from a thread", end=""))
                thread.start()
                thread.join(60)
    assert [(tag, line.text) for tag, line in received] == [
        ("a", "from a thread"),
        ("b", "from a thread"),
    ]


def test_captures_nest_in_feeds_and_feeds_in_captures(received):
    """Of nested captures of either kind the innermost gets the lines."""
    with LineFeed(received) as feed, capture() as outer:
        print("outer")
        with feed.capture("a"):
            print("fed")
            with feed.capture("b"):
                print("fed deeper")
            with capture() as inner:
                print("inner")
    assert outer.text == "outer\n"
    assert inner.text == "inner\n"
    assert [(tag, line.text) for tag, line in received] == [("a", "fed"), ("b", "fed deeper")]


def test_closing_delivers_ends_the_thread_and_can_be_repeated(received):
    """``close()`` returns once the thread has ended; closing again is harmless."""
    feed = LineFeed(received)
    with feed.capture("a"):
        print("line")
    feed.close()
    assert feed_threads() == []
    feed.close()
    assert received.texts("a") == ["line"]


def test_closing_a_feed_that_never_had_a_line_is_harmless(received):
    """No thread was started, none is waited for."""
    LineFeed(received).close()
    assert received == []


def test_a_capture_on_a_closed_feed_is_refused(received, real_stdout):
    """``FeedClosedError`` names the tag and what to do, and the streams are as they were."""
    feed = LineFeed(received)
    feed.close()
    refusal = pytest.raises(FeedClosedError, match=r"'render'.*closed.*new LineFeed")
    with refusal as refused, feed.capture("render"):
        pytest.fail("the block must not run")
    assert refused.value.tag == "render"
    assert sys.stdout is real_stdout


def test_closing_ends_the_captures_that_are_open(received, real_stdout):
    """What was written before is delivered, unended lines too; what comes later passes through."""
    feed = LineFeed(received)
    with feed.capture("a"):
        print("line")
        print("begun", end="")
        feed.close()
        assert received.texts("a") == ["line", "begun"]
        print("later")
    assert received.texts("a") == ["line", "begun"]
    assert real_stdout.getvalue() == "later\n"


@pytest.mark.parametrize("attempt", range(20))
def test_closing_while_others_write_loses_nothing(attempt, running, received, real_stdout, gate):
    """Every line is delivered or passed through, exactly once, when a feed is closed at work."""
    writing = gate()

    def write():
        with feed.capture("a"):
            for number in range(200):
                sys.stdout.write(f"{number}\n")
                writing.set()

    feed = LineFeed(received, capacity=4)
    with running(write):
        writing.pass_through()
        with running(feed.close):
            feed.close()
    everything = received.texts("a") + real_stdout.getvalue().splitlines()
    assert everything == [str(number) for number in range(200)]


def test_closing_from_inside_deliver_is_refused(received, caplog):
    """It would wait for itself: ``CaptureError``, logged like any error of ``deliver``."""

    def deliver(batch):
        feed.close()

    with LineFeed(deliver) as feed, feed.capture("a"):
        print("line")
    (record,) = caplog.records
    assert record.exc_info[0] is CaptureError


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_feed_needs_room(received, capacity):
    """A capacity below one is refused, naming it."""
    with pytest.raises(ValueError, match=str(capacity)):
        LineFeed(received, capacity=capacity)


def test_a_thread_that_cannot_be_started_is_the_writers_error(received, monkeypatch):
    """The first line says so to its writer; a later one tries again."""
    start, refused = threading.Thread.start, []

    def refuse_once(thread):
        if thread.name == "milo-capture-feed" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    with LineFeed(received) as feed, feed.capture("a"):
        with pytest.raises(RuntimeError, match="can't start"):
            sys.stdout.write("lost\n")
        print("kept")
    assert received.texts("a") == ["kept"]


def test_a_coroutine_is_captured_without_blocking_its_event_loop():
    """Leaving ``capture_async`` waits for delivery, and the loop's other tasks go on."""
    received, may_deliver = Received(), threading.Event()

    def deliver(batch):
        assert may_deliver.wait(HANGS)
        received(batch)

    async def speak(feed, name):
        async with feed.capture_async(name):
            print(name, 1)
            await asyncio.sleep(0)
            print(name, 2)

    async def both(feed):
        speaking = asyncio.gather(speak(feed, "a"), speak(feed, "b"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not speaking.done()
        may_deliver.set()
        await speaking
        assert received.texts("a") == ["a 1", "a 2"]
        assert received.texts("b") == ["b 1", "b 2"]

    with LineFeed(deliver) as feed:
        asyncio.run(both(feed))
