"""``milo run`` from end to end, in a process of its own, without a terminal."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from suite_tools import HANG, environment
from terminals import python_ready_for_signals

SITE = """
    import os
    import subprocess
    import sys

    from milo import Phase, PhasePolicy, Pipeline

    print("importing")

    def parse():
        print("3 pages → ✓")
        print("old syntax", file=sys.stderr)
        return ["a", "b", "c"]

    def write(context):
        print(f"writing {len(context['parse'])}")

    def health():
        raise LookupError("a.md: no such page")

    def summary():
        print("site: /x/index.html")

    def child():
        subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
        os.write(1, b"raw\\n")
        print("printed")

    PHASES = (
        Phase("parse", parse),
        Phase("write", write, depends_on=("parse",)),
        Phase("health", health, depends_on=("write",), policy=PhasePolicy("skip")),
        Phase("summary", summary, depends_on=("health",)),
    )
    pipeline = Pipeline("site", *PHASES, capture_output=True)
    aloud = Pipeline("aloud", Phase("child", child))
    strict = Pipeline(
        "strict",
        Phase("parse", parse),
        Phase("check", health, depends_on=("parse",)),
        Phase("write", write, depends_on=("check", "parse")),
        Phase("deploy", print, depends_on=("write",)),
    )
"""


@pytest.fixture
def site(write):
    """The file above."""
    return write("build.py", SITE)


def without_times(text):
    """Lines with every duration replaced by a dash."""
    return re.sub(r"\d+\.\d\d s", "- s", text).splitlines()


def test_plain_lines(site, milo_process):
    """A completed run: exit code 0, a line an event, the last phase's last word at the end."""
    ended = milo_process("run", site)
    assert (ended.code, ended.err) == (0, "")
    lines = without_times(ended.out)
    assert lines[:2] == ["importing", "site started (4 phases)"]
    assert "parse    started" in lines
    assert "parse   | 3 pages → ✓" in lines
    assert "parse   | old syntax" in lines
    assert "write   | writing 3" in lines
    assert "health   skipped: a.md: no such page" in lines
    assert lines[-3:] == [
        "site completed in - s (4 phases, 1 skipped)",
        "skipped: health: LookupError: a.md: no such page",
        "site: /x/index.html",
    ]


def test_a_failed_phase(site, milo_process):
    """Exit code 1; the error, and what never began because of it; no traceback."""
    ended = milo_process("run", f"{site}:strict")
    assert (ended.code, ended.err) == (1, "old syntax\n")
    assert without_times(ended.out)[-3:] == [
        "check   failed: a.md: no such page",
        "strict failed in - s: check: LookupError: a.md: no such page",
        "never began: write (blocked by check), deploy (blocked by check)",
    ]


def test_debug_shows_the_traceback_of_a_failed_phase(site, milo_process):
    """With ``--debug`` the traceback follows on stderr, down to the handler's line."""
    ended = milo_process("run", "--debug", f"{site}:strict")
    assert ended.code == 1
    assert 'raise LookupError("a.md: no such page")' in ended.err
    assert ended.err.rstrip().endswith("LookupError: a.md: no such page")


def test_json(site, milo_process):
    """Every line of stdout is an object; what is printed at import goes to stderr."""
    ended = milo_process("run", "--json", site)
    assert (ended.code, ended.err) == (0, "importing\n")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["event"] for event in events[:3]] == [
        "pipeline_started",
        "phase_started",
        "phase_log",
    ]
    assert events[2]["line"] == "3 pages → ✓"
    result = events[-1]
    assert (result["event"], result["exit_code"]) == ("result", 0)
    assert [phase["status"] for phase in result["timeline"]["phases"]] == [
        "completed",
        "completed",
        "skipped",
        "completed",
    ]


def test_json_keeps_stdout_to_itself(site, milo_process):
    """Prints, raw writes and child processes of a pipeline without capture go to stderr."""
    ended = milo_process("run", "--json", f"{site}:aloud")
    assert ended.code == 0
    assert all(json.loads(line)["event"] for line in ended.out.splitlines())
    assert ended.err.splitlines() == ["importing", "of a child", "raw", "printed"]


def test_json_of_a_failed_run(site, milo_process):
    """The result names what was in the way of each phase that never began."""
    ended = milo_process("run", "--json", f"{site}:strict")
    assert ended.code == 1
    result = json.loads(ended.out.splitlines()[-1])
    assert result["exit_code"] == 1
    assert result["blocked"] == {"write": ["check"], "deploy": ["check"]}


def test_json_of_a_target_that_does_not_import(write, milo_process):
    """stdout stays empty; the error is on stderr."""
    ended = milo_process("run", "--json", write("build.py", "print('x')\n1 / 0\n"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[0] == "x"
    assert ended.err.splitlines()[1].startswith("milo: error: ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [("run",), ("run", "--json"), ("graph",)])
def test_any_encoding(site, milo_process, encoding, words):
    """What an output cannot write is written as an escape, and signs become ASCII."""
    ended = milo_process(*words, site, env={"PYTHONIOENCODING": encoding})
    assert ended.code == 0
    if words == ("graph",):
        assert ("parse → write" in ended.out) == (encoding == "utf-8")
    if words == ("run",):
        assert (r"3 pages \u2192 \u2713" in ended.out) == (encoding != "utf-8")


WAITING = """
    from milo import Phase, Pipeline

    def work():
        print("at work")
        open("go").close()  # a FIFO: opens once the test opens the other end
        for number in range(1000):
            print("line", number)

    pipeline = Pipeline(
        "waiting",
        Phase("work", work),
        Phase("done", lambda: open("done", "w").close(), depends_on=("work",)),
        capture_output=True,
    )
"""


@pytest.fixture
def waiting(write, folder):
    """A pipeline whose first phase runs until the test says go."""
    os.mkfifo(folder / "go")
    return write("waiting.py", WAITING)


def start(*words, **options):
    return subprocess.Popen(
        python_ready_for_signals("-W", "error", "-m", "milo", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        **options,
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves(waiting, folder, options):
    """``milo run ... | head -1``: the run goes on to its end and says nothing about it."""
    with start("run", *options, str(waiting)) as process:
        for line in process.stdout:
            if "at work" in line:
                break
        process.stdout.close()
        (folder / "go").write_text("")
        assert process.stderr.read() == ""
        assert process.wait(HANG) == 0
    assert (folder / "done").exists()


def test_an_interrupt_in_json(waiting, folder):
    """SIGINT in the middle of a phase: it ends, nothing new starts, the result says 130."""
    with start("run", "--json", str(waiting)) as process:
        for line in process.stdout:
            if "at work" in line:
                break
        process.send_signal(signal.SIGINT)
        assert "interrupted, waiting for running phases" in process.stderr.readline()
        (folder / "go").write_text("")
        *_, cancelled, result = [json.loads(line) for line in process.stdout]
        assert process.wait(HANG) == 130
    assert cancelled["event"] == "pipeline_cancelled"
    assert result["exit_code"] == 130
    assert result["timeline"]["status"] == "failed"
    assert not (folder / "done").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_is_lost(write):
    """A run whose output could not be written is not reported as fine."""
    quiet = "from milo import Phase, Pipeline\npipeline = Pipeline('quiet', Phase('a', list))\n"
    build = write("build.py", quiet)
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "milo", "run", str(build)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=HANG,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("milo: error: cannot write the output: ")


def test_max_workers(write, milo_process):
    """``--max-workers`` bounds how many phases run at once."""
    build = write(
        "build.py",
        """
        import threading

        from milo import Phase, Pipeline

        running, most, lock = 0, 0, threading.Lock()

        def work():
            global running, most
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.01)
            with lock:
                running -= 1

        phases = [Phase(f"p{i}", work, parallel=True) for i in range(6)]
        pipeline = Pipeline(
            "narrow",
            *phases,
            Phase("last", lambda: print("most:", most), depends_on=[p.name for p in phases]),
            capture_output=True,
        )
        """,
    )
    assert milo_process("run", "--max-workers", "2", build).out.splitlines()[-1] == "most: 2"


def test_markup_and_escapes_in_output(write, milo_process):
    """Captured lines are shown as text: no markup, no escape sequence."""
    build = write(
        "build.py",
        r"""
        from milo import Phase, Pipeline

        def speak():
            print("[bold]b[/] [/x] \x1b[31mred\x1b[0m \x1b]0;title\x07end")

        pipeline = Pipeline("loud", Phase("speak", speak), capture_output=True)
        """,
    )
    ended = milo_process("run", build)
    assert "speak | [bold]b[/] [/x] red end" in ended.out.splitlines()
    assert "\x1b" not in ended.out


CACHED = """
    from milo import Cache, Phase, Pipeline

    def parse():
        print("parsing")
        return 3

    pipeline = Pipeline("site", Phase("parse", parse, cache=Cache()), capture_output=True)
"""


def test_a_damaged_cache_entry_is_bad_input(write, milo_process, tmp_path):
    """Exit code 2, the file is named and kept, and --force replaces it."""
    site, cache = write("build.py", CACHED), tmp_path / "kept"
    assert milo_process("run", site, "--cache", str(cache)).code == 0
    (entry,) = cache.glob("*.milo.json")
    entry.write_bytes(b"damaged")
    ended = milo_process("run", site, "--cache", str(cache))
    assert ended.code == 2
    assert f"CacheError: the cache entry {str(entry)!r} is damaged" in ended.out
    assert "was left as it is; delete it, or run with --force to replace it" in ended.out
    assert "parsing" not in ended.out
    assert entry.read_bytes() == b"damaged"
    assert milo_process("run", site, "--cache", str(cache), "--force").code == 0
    again = milo_process("run", site, "--cache", str(cache))
    assert (again.code, "parse  completed from cache" in again.out) == (0, True)


def test_a_cache_folder_that_is_a_file_is_bad_input(write, milo_process, tmp_path):
    """Nothing runs, and the file stays."""
    (tmp_path / "kept").write_text("mine")
    ended = milo_process("run", write("build.py", CACHED), "--cache", str(tmp_path / "kept"))
    assert ended.code == 2
    assert "cannot be used: Not a directory" in ended.err
    assert ended.out == ""
    assert (tmp_path / "kept").read_text() == "mine"


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["plain", "json"])
def test_a_phase_that_captures_file_descriptors(write, milo_process, options):
    """What the command shows of it is not captured again."""
    write(
        "build.py",
        """
        import os
        from milo import Phase, Pipeline
        pipeline = Pipeline(
            "p",
            Phase("a", lambda: os.write(1, b"raw\\n"), capture_fds=True),
            capture_output=True,
        )
        """,
    )
    ended = milo_process("run", "build.py", *options)
    assert ended.code == 0
    shown = [line for line in ended.out.splitlines() if "raw" in line and "result" not in line]
    assert len(shown) == (1 if options else 2)  # the last line is said again at the end
