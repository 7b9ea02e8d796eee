"""``capture()`` collects what one block writes."""

import asyncio
import contextvars
import sys
import threading
import time

import pytest

from milo_capture import capture


def texts(output):
    return [line.text for line in output.lines]


def test_printed_lines_are_collected_with_stream_and_time(real_stdout, real_stderr):
    """Each line has its text, its stream and the monotonic time at which it was written."""
    begun = time.monotonic()
    with capture() as output:
        print("hello", "world")
        print("trouble", file=sys.stderr)
    ended = time.monotonic()
    assert [(line.text, line.stream) for line in output.lines] == [
        ("hello world", "stdout"),
        ("trouble", "stderr"),
    ]
    first, second = (line.timestamp for line in output.lines)
    assert begun <= first <= second <= ended
    assert output.text == "hello world\ntrouble\n"
    assert real_stdout.getvalue() == real_stderr.getvalue() == ""


def test_pieces_printed_without_an_end_are_one_line():
    """``print(end="")`` begins a line that a later print completes, flushed or not."""
    with capture() as output:
        print("one ", end="")
        print("two ", end="", flush=True)
        print("three")
    assert texts(output) == ["one two three"]


def test_lines_can_be_read_while_the_block_runs():
    """``lines`` holds what is complete so far, and the list is the reader's own."""
    with capture() as output:
        print("first")
        seen = output.lines
        print("second, ", end="")
        assert texts(output) == ["first"]
        print("completed")
    assert [line.text for line in seen] == ["first"]
    seen.clear()
    assert texts(output) == ["first", "second, completed"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_ends_the_block_like_any_other_end(real_stdout, error):
    """Whatever is raised inside: lines and last words are kept, and everything is put back."""
    start = threading.Thread.start
    with pytest.raises(error), capture() as output:
        print("line")
        print("last words", end="")
        raise error
    print("after")
    assert texts(output) == ["line", "last words"]
    assert sys.stdout is real_stdout
    assert real_stdout.getvalue() == "after\n"
    assert threading.Thread.start is start


def test_the_inner_of_nested_captures_gets_the_lines():
    """A capture inside a capture takes the lines, and the outer one is back after it."""
    with capture() as outer:
        print("before")
        with capture() as inner:
            print("within")
        print("after")
    assert texts(inner) == ["within"]
    assert texts(outer) == ["before", "after"]


def test_a_line_begun_outside_goes_on_after_a_nested_capture():
    """What the outer capture has of a line is not completed by the inner one."""
    with capture() as outer:
        print("be", end="")
        with capture() as inner:
            print("within")
        print("gun")
    assert (texts(outer), texts(inner)) == (["begun"], ["within"])


@pytest.mark.parametrize("attempt", range(10))
def test_captures_of_different_threads_do_not_mix(attempt, running, real_stdout):
    """Captures that are open at once in several threads each have their own thread's lines."""
    meeting = threading.Barrier(4)
    outputs = {}

    def work(name):
        with capture() as outputs[name]:
            meeting.wait(60)
            for number in range(50):
                print(name, number)
            meeting.wait(60)

    def a():
        work("a")

    def b():
        work("b")

    def bystander():
        meeting.wait(60)
        for number in range(50):
            sys.stdout.write(f"bystander {number}\n")
        meeting.wait(60)

    with running(a), running(b), running(bystander), capture() as here:
        meeting.wait(60)
        print("here")
        meeting.wait(60)
    assert texts(here) == ["here"]
    for name in "ab":
        assert texts(outputs[name]) == [f"{name} {number}" for number in range(50)]
    passed = real_stdout.getvalue().splitlines()
    assert passed == [f"bystander {number}" for number in range(50)]


def test_captures_of_different_async_tasks_do_not_mix(real_stdout):
    """Tasks that take turns on one thread each capture their own lines."""

    async def work(name, turns):
        with capture() as output:
            for number in range(turns):
                print(name, number)
                await asyncio.sleep(0)
        return texts(output)

    async def both():
        return await asyncio.gather(work("a", 3), work("b", 5))

    a, b = asyncio.run(both())
    assert a == ["a 0", "a 1", "a 2"]
    assert b == [f"b {number}" for number in range(5)]
    assert real_stdout.getvalue() == ""


def test_work_handed_to_a_thread_with_its_context_is_captured():
    """``asyncio.to_thread`` takes the context along, and with it the capture."""

    async def work():
        with capture() as output:
            await asyncio.to_thread(print, "from the pool")
        return texts(output)

    assert asyncio.run(work()) == ["from the pool"]


def test_a_context_that_still_names_an_ended_capture_passes_through(real_stdout):
    """Nothing is added once the block has ended, whoever still runs in its context."""
    with capture() as output:
        context = contextvars.copy_context()
        print("within")
    context.run(print, "later")
    assert texts(output) == ["within"]
    assert real_stdout.getvalue() == "later\n"


def test_a_context_of_an_ended_inner_capture_writes_to_the_outer_one():
    """A context copied in the inner block belongs to the outer block once the inner has ended."""
    with capture() as outer:
        with capture() as inner:
            context = contextvars.copy_context()
        context.run(print, "later")
    assert (texts(inner), texts(outer)) == ([], ["later"])


def test_a_block_may_end_in_another_context_than_it_began(real_stdout):
    """A generator that is closed by another context ends its capture there."""

    def generator():
        with capture() as output:
            yield output

    steps = generator()
    context = contextvars.Context()
    output = context.run(next, steps)
    context.run(print, "within")
    print("elsewhere")
    steps.close()
    context.run(print, "later")
    assert texts(output) == ["within"]
    assert real_stdout.getvalue() == "elsewhere\nlater\n"
    assert sys.stdout is real_stdout


def test_captures_may_end_in_the_wrong_order(real_stdout):
    """Ending the outer block first leaves the inner one at work, and all is put back after it."""
    outer, inner = capture(), capture()
    outside, inside = outer.__enter__(), inner.__enter__()
    outer.__exit__(None, None, None)
    print("still within")
    inner.__exit__(None, None, None)
    print("after")
    assert (texts(outside), texts(inside)) == ([], ["still within"])
    assert real_stdout.getvalue() == "after\n"
    assert sys.stdout is real_stdout


def write_interrupted(at_step):
    """The lines of a write that a print interrupts, or ``None`` if it has fewer steps."""
    steps = []

    def interrupt(frame, event, argument):
        if "milo_capture" in frame.f_globals["__name__"]:
            steps.append(frame)
            if len(steps) == at_step:
                print("interrupting")
        return interrupt

    tracer = sys.gettrace()
    with capture() as output:
        sys.stdout.write("a ")
        sys.settrace(interrupt)
        try:
            sys.stdout.write("line\n")
        finally:
            sys.settrace(tracer)
    return texts(output) if len(steps) >= at_step else None


def test_a_signal_handler_may_print_while_its_thread_is_writing():
    """At whatever step a print interrupts a write, neither hangs and no text is lost."""
    at_step = 1
    while (lines := write_interrupted(at_step)) is not None:
        assert sorted("".join(lines)) == sorted("a line" + "interrupting"), at_step
        at_step += 1
    assert at_step > 10
