"""``run``: programs whose output is captured line by line, and which end when they are to."""

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from milo_capture import (
    CancelToken,
    CaptureError,
    CompletedRun,
    LineFeed,
    ProcessCancelled,
    ProcessFailed,
    ProcessNotStarted,
    ProcessTimeout,
    cancelled_by,
    capture,
    run,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

HANGS = 60.0
SLEEPS = "import time; time.sleep(600)"

# A child and a grandchild of their own that says its number; both hold the output open.
FAMILY = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", {grandchild!r}])
sys.stdout.write(f"{{other.pid}}\\n")
sys.stdout.flush()
{child}
"""


def python(code):
    return [sys.executable, "-c", code]


def family(grandchild=SLEEPS, child="other.wait()"):
    return python(FAMILY.format(grandchild=grandchild, child=child))


def texts(output):
    return [line.text for line in output.lines]


def assert_gone(pid):
    """Whoever adopted the orphan collects it in its own time; a zombie does not run."""
    pid = int(pid)
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        stat = Path(f"/proc/{pid}/stat")
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        os.sched_yield()
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} still runs")


@pytest.fixture
def watched():
    """A feed's lines, and an event that is set with the first of them."""

    class Watched(list):
        def __init__(self):
            super().__init__()
            self.first = threading.Event()

        def __call__(self, batch):
            self.extend(line.text for _, line in batch)
            self.first.set()

    return Watched()


def test_the_result_has_everything():
    """Exit code, command, both texts as they came, and the lines of both in order."""
    with capture() as output:
        done = run(python("import sys; print('out'); print('err', file=sys.stderr)"))
    assert isinstance(done, CompletedRun)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")
    assert done.args == tuple(python("import sys; print('out'); print('err', file=sys.stderr)"))
    assert sorted((line.text, line.stream) for line in done.lines) == [
        ("err", "stderr"),
        ("out", "stdout"),
    ]
    assert sorted(texts(output)) == ["err", "out"]
    assert done.elapsed > 0
    assert "lines=" not in repr(done)


def test_lines_arrive_while_the_program_runs(watched, tmp_path):
    """The program goes on only when its first line has been delivered."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = "import sys; print('ready', flush=True); print(open(sys.argv[1]).read())"

    def answer():
        assert watched.first.wait(HANGS)
        fifo.write_text("go on")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with LineFeed(watched) as feed, feed.capture("a"):
        run([*python(code), fifo])
    assert watched == ["ready", "go on"]


def test_without_a_capture_output_passes_through(real_stdout, real_stderr):
    """It goes to ``sys.stdout`` and ``sys.stderr`` as it came, without a line end of ours."""
    run(python("import sys; print('out', end=''); print('50%\\r100%', file=sys.stderr)"))
    assert real_stdout.getvalue() == "out"
    assert real_stderr.getvalue() == "50%\r100%\n"


def test_a_last_line_without_an_end_is_a_line_of_its_own():
    """What comes after the program begins a new line; what the caller had begun goes on."""
    with capture() as output:
        print("building: ", end="")
        done = run(python("print('one'); print('two', end='')"))
        print("after ", end="")
        run(python("pass"))
        print("that")
    assert texts(output) == ["building: one", "two", "after that"]
    assert [line.text for line in done.lines] == ["one", "two"]
    assert done.stdout == "one\ntwo"


def test_a_progress_bar_is_kept():
    """Carriage returns stay in the line, which ends where its newline is."""
    with capture() as output:
        run(python("print('10%', end='\\r'); print('100%'); print('win', end='\\r\\n')"))
    assert texts(output) == ["10%\r100%", "win"]


def test_bytes_that_are_no_text_are_replaced():
    """And a character that arrives in two parts is whole."""
    code = """
import os
os.write(1, b"\\xff|")
for byte in "\u20ac\\n".encode():
    os.write(1, bytes([byte]))
os.write(1, b"\\xe2\\x82")
"""
    with capture() as output:
        done = run(python(code))
    assert texts(output) == ["\ufffd|\u20ac", "\ufffd"]
    assert done.stdout == "\ufffd|\u20ac\n\ufffd"


def test_another_encoding_and_strict_errors():
    """``encoding`` is how output is read and input written; ``strict`` raises."""
    echo = python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")
    with capture():
        assert run(echo, input="\u00e4", encoding="latin-1").stdout == "\u00e4"
        with pytest.raises(UnicodeDecodeError):
            run(echo, input=b"\xe4", errors="strict")


def test_long_lines_and_much_output_are_whole():
    """Megabytes without a newline are one line; many lines are all there, through a small feed."""
    with capture() as output:
        run(python("print('x' * 3_000_000)"))
    assert [len(text) for text in texts(output)] == [3_000_000]
    received = []
    with LineFeed(received.extend, capacity=4) as feed, feed.capture("a"):
        run(python("for number in range(20_000): print(number)"))
    assert [line.text for _, line in received] == [str(number) for number in range(20_000)]


@pytest.mark.parametrize("size", [0, 3_000_000])
def test_input_is_written_while_output_is_read(size):
    """More than any pipe holds goes through without either side waiting for ever."""
    with capture():
        done = run(python("import sys; sys.stdout.write(sys.stdin.read())"), input="x" * size)
    assert done.stdout == "x" * size


def test_a_program_that_does_not_read_its_input_is_no_error():
    """It ends as it would have; without ``input`` there is nothing to read."""
    with capture():
        run(python("import os; os.close(0)"), input="x" * 3_000_000)
        assert run(python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"


def test_cwd_env_and_paths(tmp_path):
    """A folder, an environment and paths among the arguments are what they are elsewhere."""
    script = tmp_path / "script.py"
    script.write_text("import os; print(os.getcwd(), os.environ['WHO'])")
    with capture():
        done = run([sys.executable, script], cwd=tmp_path, env={"WHO": "me"})
    assert done.stdout == f"{os.path.realpath(tmp_path)} me\n"


def test_an_exit_code_is_an_error_that_shows_the_last_lines():
    """``ProcessFailed`` has the command, the code and the last twenty lines; it can be pickled."""
    code = "for number in range(30): print('line', number)\nraise SystemExit(3)"
    with capture(), pytest.raises(ProcessFailed) as caught:
        run(python(code))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.returncode, error.command) == (3, tuple(python(code)))
    message = str(error)
    assert "exit code 3" in message
    assert "line 29" in message
    assert "line 10" in message
    assert "line 9\n" not in message
    assert len(error.completed.lines) == 30
    assert isinstance(error, CaptureError)


def test_without_check_an_exit_code_is_a_result():
    """So is the signal that ended it, as a negative number."""
    assert run(python("raise SystemExit(3)"), check=False).returncode == 3
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run(python(kill), check=False).returncode == -signal.SIGKILL
    with pytest.raises(ProcessFailed, match="ended by signal 9, without any output"):
        run(python(kill))


def test_a_program_that_is_not_there_is_named(tmp_path):
    """So is a folder that is not there, and a file that may not be run."""
    with pytest.raises(ProcessNotStarted, match="'no-such-program' was not found"):
        run(["no-such-program", "argument"])
    with pytest.raises(ProcessNotStarted, match=r"in the folder '.*nowhere'"):
        run(python("pass"), cwd=tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProcessNotStarted, match="cannot be run: Permission denied") as caught:
        run([tmp_path / "file"])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("ls -l", TypeError, "shlex.split"),
        (b"ls", TypeError, "Pass a list"),
        (Path("ls"), TypeError, "Pass a list"),
        ([], ValueError, "empty"),
        (["sleep", 3], TypeError, "item 1 is a int"),
    ],
)
def test_a_command_that_is_no_list_of_strings_is_refused(given, error, says):
    """The message says what to pass instead."""
    with pytest.raises(error, match=says):
        run(given)


@pytest.mark.parametrize("attempt", range(3))
def test_a_timeout_ends_the_whole_family(attempt):
    """The grandchild ends too, and what was printed before is in the error."""
    with capture() as output, pytest.raises(ProcessTimeout, match="its timeout") as caught:
        run(family(), timeout=0.5)
    for pid in texts(output):  # none, where it took that long to begin
        assert_gone(pid)
    assert caught.value.seconds == 0.5
    assert caught.value.returncode == -signal.SIGTERM
    assert pickle.loads(pickle.dumps(caught.value)).completed == caught.value.completed


DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_who_does_not_listen_is_killed(watched):
    """A program that ignores SIGTERM gets SIGKILL after ``kill_after`` seconds."""
    token = CancelToken()
    with (
        cancelling_at_first_line(token, watched) as feed,
        pytest.raises(ProcessCancelled) as caught,
        feed.capture("a"),
    ):
        run(python(DEAF), cancel=token, kill_after=0.1)
    assert caught.value.returncode == -signal.SIGKILL


def test_a_grandchild_that_does_not_listen_is_killed(watched):
    """Also when the child itself did end at SIGTERM."""
    token = CancelToken()
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {DEAF!r}])"
    with (
        cancelling_at_first_line(token, watched) as feed,
        pytest.raises(ProcessCancelled) as caught,
        feed.capture("a"),
    ):
        run(python(child), cancel=token, kill_after=0.1)
    assert caught.value.returncode == -signal.SIGTERM
    assert_gone(watched[0])


def test_last_words_after_sigterm_are_captured(watched):
    """A program may clean up and say so."""
    token = CancelToken()
    code = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print("cleaned up", flush=True)
"""
    with (
        cancelling_at_first_line(token, watched) as feed,
        pytest.raises(ProcessCancelled),
        feed.capture("a"),
    ):
        run(python(code), cancel=token)
    assert watched == ["ready", "cleaned up"]


@contextlib.contextmanager
def cancelling_at_first_line(token, watched):
    """A feed; with its first line ``token`` is cancelled, from another thread."""

    def cancel():
        assert watched.first.wait(HANGS)
        token.cancel()

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    with LineFeed(watched) as feed:
        yield feed
    canceller.join(HANGS)


@pytest.mark.parametrize("by", ["argument", "context"])
@pytest.mark.parametrize("attempt", range(3))
def test_a_cancelled_token_ends_the_whole_family(attempt, by, watched):
    """Whether the token is given or stands around the call."""
    token = CancelToken()
    with (
        cancelling_at_first_line(token, watched) as feed,
        pytest.raises(ProcessCancelled) as caught,
        feed.capture("a"),
    ):
        if by == "argument":
            run(family(), cancel=token)
        else:
            with cancelled_by(token):
                run(family())
    assert_gone(watched[0])
    assert "cancelled" in str(caught.value)


def test_a_captured_thread_is_cancelled_with_its_starter(watched):
    """A program that a thread of the block runs ends as well."""
    token = CancelToken()
    caught = []

    def work():
        try:
            run(family())
        except ProcessCancelled as error:
            caught.append(error)

    with cancelling_at_first_line(token, watched) as feed, feed.capture("a"), cancelled_by(token):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(HANGS)
    assert len(caught) == 1
    assert_gone(watched[0])


def test_nothing_starts_when_the_token_is_cancelled_already(tmp_path):
    """``ProcessCancelled``, and the program has not run."""
    token = CancelToken()
    token.cancel()
    with pytest.raises(ProcessCancelled):
        run(python(f"open({str(tmp_path / 'ran')!r}, 'w')"), cancel=token)
    assert not (tmp_path / "ran").exists()


def test_a_token_keeps_nothing_of_a_program_that_has_ended():
    """Cancelling later is harmless."""
    token = CancelToken()
    run(python("pass"), cancel=token)
    assert not token._callbacks
    token.cancel()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_in_the_waiting_thread_ends_the_whole_family(error, monkeypatch):
    """Ctrl-C, or a stream that cannot be written to: raised when the family has ended."""
    shown = []

    class Breaks:
        def write(self, text):
            shown.append(text)
            raise error

    monkeypatch.setattr(sys, "stdout", Breaks())
    with pytest.raises(error):
        run(family())
    monkeypatch.undo()
    assert_gone(shown[0])


def test_a_second_interrupt_does_not_spare_them(monkeypatch):
    """Interrupted while the deaf one is waited for: it is killed at once."""
    shown = []

    class Breaks:
        def write(self, text):
            shown.append(text)
            raise KeyboardInterrupt

    code = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.write(1, b"%d\\n" % os.getpid())
signal.sigwait([signal.SIGTERM])
print("no", flush=True)
time.sleep(600)
"""
    monkeypatch.setattr(sys, "stdout", Breaks())
    with pytest.raises(KeyboardInterrupt):
        run(python(code), kill_after=HANGS * 10)
    monkeypatch.undo()
    assert "".join(shown[1:]).startswith("no")
    assert_gone(shown[0])


def test_a_process_left_behind_is_not_waited_for(watched):
    """It holds the output open and runs on; the call returns and all of the program is there."""
    with capture() as output:
        done = run(family(child="print('last words', flush=True)"))
    pid, *rest = texts(output)
    os.kill(int(pid), signal.SIGKILL)
    assert rest == ["last words"]
    assert done.returncode == 0


def test_a_process_that_prints_for_ever_is_not_waited_for_either():
    """However much it prints, what it prints later is not read."""
    with capture() as output:
        run(family("import os\nwhile True: os.write(1, b'noise\\n')", "pass"))
    assert_gone(next(text for text in texts(output) if text.isdigit()))  # of a broken pipe


def test_no_file_descriptor_and_no_thread_is_left():
    """However a run ends, it leaves nothing open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("no /proc to look at")

    def rounds():
        for _ in range(3):
            run(python("print('x')"), check=False)
            with contextlib.suppress(ProcessTimeout):
                run(python(SLEEPS), timeout=0.01)
            with contextlib.suppress(ProcessNotStarted):
                run(["no-such-program"])

    with capture():
        rounds()
        before = len(list(folder.iterdir())), threading.active_count()
        rounds()
        assert (len(list(folder.iterdir())), threading.active_count()) == before


@pytest.mark.parametrize("attempt", range(3))
def test_many_threads_run_programs_at_once(attempt):
    """Each has its own output and no other's."""
    outputs = {}

    def work(name):
        with capture() as output:
            run(python(f"for number in range(50): print({name!r}, number)"))
        outputs[name] = texts(output)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS)
    assert outputs == {name: [f"{name} {number}" for number in range(50)] for name in "abcd"}
