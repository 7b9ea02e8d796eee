"""Threads that captured code starts are captured, until the capture ends."""

import contextvars
import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from milo_capture import capture


def texts(output):
    return [line.text for line in output.lines]


def run_thread(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join(60)
    return thread


def test_a_started_thread_is_captured():
    """What a thread started in the block prints belongs to the block."""
    with capture() as output:
        run_thread(lambda: print("from the thread"))
    assert texts(output) == ["from the thread"]


def test_threads_of_threads_are_captured():
    """A thread started by a captured thread is captured too."""
    with capture() as output:
        run_thread(lambda: run_thread(lambda: print("from its thread")))
    assert texts(output) == ["from its thread"]


def test_a_thread_class_with_its_own_run_is_captured():
    """It does not matter whether a thread has a target or overrides ``run``."""

    class Worker(threading.Thread):
        def run(self):
            print("from run")

    with capture() as output:
        worker = Worker()
        worker.start()
        worker.join(60)
        timer = threading.Timer(0, print, ["from a timer"])
        timer.start()
        timer.join(60)
    assert texts(output) == ["from run", "from a timer"]
    assert "run" not in vars(worker)


def test_executor_threads_started_in_the_block_are_captured():
    """Work given to a ``ThreadPoolExecutor`` of the block is captured."""
    with capture() as output, ThreadPoolExecutor(3) as pool:
        list(pool.map(print, range(20)))
    assert sorted(map(int, texts(output))) == list(range(20))


def test_threads_started_elsewhere_are_not_captured(running, gate, real_stdout):
    """Neither a thread that ran before nor one started outside the block meanwhile."""
    inside, leave = gate(), gate()

    def bystander():
        inside.pass_through()
        print("ran before")
        run_thread(lambda: print("started outside"))
        leave.set()

    with running(bystander), capture() as output:
        inside.set()
        leave.pass_through()
    assert texts(output) == []
    assert real_stdout.getvalue() == "ran before\nstarted outside\n"


def test_a_thread_that_outlives_its_capture_passes_through(running, gate, real_stdout):
    """A thread keeps no capture after the capture has ended."""
    ended, printed = gate(), gate()

    def work():
        ended.pass_through()
        print("late")
        printed.set()

    with capture() as output:
        thread = threading.Thread(target=work)
        thread.start()
    ended.set()
    thread.join(60)
    assert printed.is_set()
    assert texts(output) == []
    assert real_stdout.getvalue() == "late\n"


def test_a_thread_that_outlives_an_inner_capture_writes_to_the_outer(gate):
    """Its output belongs to the block around, which started it as well."""
    ended = gate()

    def work():
        ended.pass_through()
        print("late")

    with capture() as outer:
        with capture() as inner:
            thread = threading.Thread(target=work)
            thread.start()
        ended.set()
        thread.join(60)
    assert (texts(inner), texts(outer)) == ([], ["late"])


def test_a_captured_thread_may_capture_for_itself(gate):
    """A capture in a captured thread takes its lines and gives the thread back."""
    inner = []

    def work():
        print("before")
        with capture() as output:
            print("its own")
        inner.extend(texts(output))
        print("after")

    with capture() as outer:
        run_thread(work)
    assert (inner, texts(outer)) == (["its own"], ["before", "after"])


def test_unended_lines_of_every_thread_are_kept():
    """At the end of the block each thread's begun line is a line, apart from the others'."""
    with capture() as output:
        print("main", end="")
        run_thread(lambda: print("one", end=""))
        run_thread(lambda: print("two", end=""))
        print("trouble", end="", file=sys.stderr)
    assert sorted(texts(output)) == ["main", "one", "trouble", "two"]


def test_a_new_thread_does_not_continue_the_line_of_a_dead_one():
    """Thread ids are used again; begun lines are not."""
    with capture() as output:
        for number in range(20):
            run_thread(lambda number=number: print(number, end=""))
    assert sorted(map(int, texts(output))) == list(range(20))


@pytest.mark.parametrize("attempt", range(10))
def test_one_print_is_one_line_with_many_threads(attempt):
    """Threads printing at once, in pieces, keep their lines whole and in their own order."""
    meeting = threading.Barrier(6)

    def work(name):
        meeting.wait(60)
        for number in range(100):
            print(name, end=" ")
            print(number)

    with capture() as output:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for name in "abcdef":
        mine = [text for text in texts(output) if text.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(100)]
    assert len(output.lines) == 600


def test_the_traceback_of_a_captured_thread_is_captured(monkeypatch):
    """An error that ends a captured thread is reported once, inside the capture."""
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)

    def work():
        raise RuntimeError("it broke")

    with capture() as output:
        run_thread(work)
    assert [text.partition(" ")[0] for text in texts(output)].count("Exception") == 1
    assert texts(output)[-1] == "RuntimeError: it broke"
    assert {line.stream for line in output.lines} == {"stderr"}


def test_sys_exit_in_a_captured_thread_is_silent(real_stderr, monkeypatch):
    """As in any thread, ``SystemExit`` ends it without a report."""
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    with capture() as output:
        run_thread(sys.exit)
    assert texts(output) == []
    assert real_stderr.getvalue() == ""


def test_a_context_given_to_a_thread_with_an_open_capture_wins():
    """Work that runs in a copied context belongs to that context's capture."""
    with capture() as first:
        context = contextvars.copy_context()
        with capture() as second:
            run_thread(lambda: context.run(print, "in the copied context"))
    assert (texts(first), texts(second)) == (["in the copied context"], [])


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Thread(context=) came with Python 3.14")
def test_a_thread_with_an_explicit_context_is_captured():
    """``Thread(context=...)`` changes nothing unless that context has an open capture."""
    with capture():
        ended = contextvars.copy_context()
    with capture() as first:
        opened = contextvars.copy_context()
        with capture() as second:
            for context in (contextvars.Context(), ended, opened):
                thread = threading.Thread(target=print, args=("line",), context=context)
                thread.start()
                thread.join(60)
    assert (texts(first), texts(second)) == (["line"], ["line", "line"])


def test_a_thread_that_cannot_start_is_left_as_it_was(monkeypatch):
    """When ``start`` fails the thread keeps its own ``run``, and starting it again works."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    thread = threading.Thread()
    thread.run = run = functools.partial(print, "its own run")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with capture(), pytest.raises(RuntimeError, match="can't start"):
            thread.start()
    assert thread.run is run
    with capture() as output:
        thread.start()
        thread.join(60)
    assert texts(output) == ["its own run"]


def test_starting_a_thread_twice_is_the_usual_error():
    """``RuntimeError``, as without a capture."""
    with capture():
        thread = run_thread(lambda: None)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()


def wrap_run(start):
    """What error-reporting tools do: wrap the function of the bound method ``run``."""

    @functools.wraps(start)
    def wrapped_start(thread):
        function = thread.run.__func__
        thread.run = lambda: (print("wrapped"), function(thread))
        start(thread)

    return wrapped_start


def test_other_tools_may_wrap_start_outside_the_capture(monkeypatch):
    """A tool that wrapped ``Thread.start`` before is beneath ours and works as ever."""
    wrapped = wrap_run(threading.Thread.start)
    monkeypatch.setattr(threading.Thread, "start", wrapped)
    with capture() as output:
        run_thread(lambda: print("line"))
    assert threading.Thread.start is wrapped
    assert texts(output)[-1] == "line"


def test_a_start_that_is_wrapped_inside_a_capture_stays_wrapped(monkeypatch, real_stdout):
    """A tool that wraps ``Thread.start`` in a captured block is not undone; captures go on."""
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)
    with capture():
        wrapped = wrap_run(threading.Thread.start)
        threading.Thread.start = wrapped
    assert threading.Thread.start is wrapped
    run_thread(lambda: print("after"))
    with capture() as output:
        run_thread(lambda: print("line"))
    assert threading.Thread.start is wrapped
    assert real_stdout.getvalue() == "wrapped\nafter\n"
    assert "line" in texts(output)
