"""``milo run --watch`` from end to end: real files, a process of its own, its lines as events."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from suite_tools import HANG, environment
from terminals import CTRL_C, Terminal
from watching import Watching

SITE = """
    from pathlib import Path

    from milo import Cache, Param, Phase, Pipeline

    def read(folder):
        texts = [path.read_text() for path in sorted(Path(folder).glob("[a-z].md"))]
        if "broken" in texts:
            raise ValueError("broken page")
        return texts

    def pages(limit):
        print(limit, *read("pages"))
        return read("pages")

    def style():
        return Path("style.css").read_text()

    def write(context):
        Path("pages/all.md.html").write_text("".join(context["pages"]))
        Path("pages/all.md").write_text("".join(context["pages"]))
        return context["pages"], context["style"]

    pipeline = Pipeline(
        "site",
        Phase("pages", pages, params=("limit",), cache=Cache(inputs=["pages/[a-z].md"])),
        Phase("style", style, cache=Cache(inputs=["style.css"])),
        Phase("write", write, depends_on=("pages", "style"), cache=Cache(outputs=["pages/all.*"])),
        Phase("other", lambda: "other"),
        params=[Param("limit", int, default=10)],
        capture_output=True,
    )
"""
ALL = ["ran other", "ran pages", "ran style", "ran write"]


@pytest.fixture
def site(folder, write):
    """The file above with what it reads."""
    (folder / "pages").mkdir()
    (folder / "pages/a.md").write_text("a")
    (folder / "style.css").write_text("s")
    return write("build.py", SITE)


@pytest.fixture
def watching():
    """Start ``milo run ... --watch --json`` and have it run for the first time."""
    open_ones = []

    def start(*words, first=None, **options):
        open_ones.append(Watching(*words, "--json", **options).__enter__())
        if first is not None:
            assert open_ones[-1].until_it_waits() == first
        return open_ones[-1]

    yield start
    for each in open_ones:
        each.__exit__(None, None, None)


def test_a_change_runs_what_reads_the_file_and_what_waits_for_that(site, watching, folder):
    """Everything else keeps its result of the last run and is not called."""
    watch = watching(site, "--cache", "cached", first=[*ALL, "waits after 0"])
    (folder / "style.css").write_text("new")
    assert watch.until_it_waits() == [
        "changed style.css",
        "kept other",
        "kept pages",
        "ran style",
        "ran write",
        "waits after 0",
    ]
    (folder / "pages/b.md").write_text("b")
    assert watch.until_it_waits() == [
        "changed pages/b.md",
        "kept other",
        "ran pages",
        "kept style",
        "ran write",
        "waits after 0",
    ]
    assert (folder / "pages/all.md").read_text() == "ab"


def test_nothing_that_a_run_writes_is_a_trigger(write, watching, folder):
    """Declared outputs, the cache, the checkpoint, reports, bytecode, .git, environments."""
    source = """
        from pathlib import Path
        from milo import Cache, Phase, Pipeline
        import helper

        def work():
            number = Path("count").read_text() + "i"
            for name in ("count", ".git/HEAD", "__pycache__/x.pyc", ".milo/x", "env/lib/x.py"):
                Path(name).write_text(number)
            Path("out/deep").mkdir(parents=True, exist_ok=True)
            Path("out/deep/x.md").write_text(number)
            Path("out/gone.tmp").write_text(number)
            Path("out/gone.tmp").unlink()

        pipeline = Pipeline(
            "p", Phase("work", work, cache=Cache(inputs=["."], outputs=["out/**", "count"]))
        )
    """
    write("whole.py", source)
    (folder / "helper.py").write_text("")
    (folder / "count").write_text("i")
    for name in (".git", "__pycache__", ".milo", "env/lib"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "env/pyvenv.cfg").write_text("")
    watch = watching(
        "whole.py",
        *("--checkpoint", "c.checkpoint", "--timeline", "t.json", "--trace", "trace.json"),
        *("--report", "report.html", "--cache", "cache"),
        first=["ran work", "waits after 0"],
    )
    for number in range(3):
        (folder / f"{number}.txt").write_text("")
        assert watch.until_it_waits() == [f"changed {number}.txt", "ran work", "waits after 0"]
    assert (folder / "count").read_text() == "iiiii"


def test_changed_code_is_loaded_afresh_and_everything_runs(folder, write, watching):
    """The pipeline's own file, and modules beside it, even if neither time nor length tells."""
    write("helper.py", "WORD = 'one'")
    build = write(
        "build.py",
        """
        import helper
        from milo import Phase, Pipeline

        def say():
            print(helper.WORD)

        pipeline = Pipeline("p", Phase("a", say), Phase("b", print), capture_output=True)
        """,
    )
    watch = watching(build, first=["ran a", "ran b", "waits after 0"])
    times = os.stat("helper.py")
    write("helper.new", "WORD = 'two'")
    os.utime("helper.new", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace("helper.new", "helper.py")
    lines = watch.until_it_says('"watching"')
    assert any('"line": "two"' in line for line in lines)
    write("build.py", build.read_text().replace('"b", print', '"c", print'))
    assert watch.until_it_waits() == ["changed build.py", "ran a", "ran c", "waits after 0"]


def test_code_that_changes_while_it_is_loaded(folder, write, watching):
    """Before anything was watched, and with its old compiled form beside it."""
    write("helper.py", "WORD = 'one'")
    build = write(
        "build.py",
        """
        from pathlib import Path
        import helper
        from milo import Phase, Pipeline

        Path("helper.py").write_text("WORD = 'two'")
        pipeline = Pipeline("p", Phase(helper.WORD, print))
        """,
    )
    watch = watching(build)
    watch.until_it_says('"phase": "one"')
    watch.until_it_says('"files": ["helper.py"]')
    assert watch.until_it_waits() == ["ran two", "waits after 0"]


def test_a_module_that_is_imported_from_the_current_folder(folder, write, watching):
    """A target given as a module, in a package without ``__init__.py``."""
    write("jobs/night.py", "from milo import Phase, Pipeline\nfrom jobs.more import PHASES\n")
    write("jobs/more.py", "from milo import Phase\nPHASES = [Phase('a', print)]\n")
    with open("jobs/night.py", "a", encoding="utf-8") as file:
        file.write("pipeline = Pipeline('p', *PHASES, Phase('z', print))\n")
    write("input.txt", "")
    watch = watching("jobs.night", first=["ran a", "ran z", "waits after 0"])
    write("jobs/more.py", "from milo import Phase\nPHASES = [Phase('b', print)]\n")
    assert watch.until_it_waits() == ["changed jobs/more.py", "ran b", "ran z", "waits after 0"]


def test_a_pipeline_that_no_longer_loads(site, watching, folder):
    """The error is shown as usual, and the next change of code is waited for."""
    watch = watching(site, "--cache", "cached", first=[*ALL, "waits after 0"])
    good = site.read_text()
    site.write_text(good + "\n)")
    assert watch.until_it_waits() == ["changed build.py", "waits after 2"]
    site.write_text(good)
    assert watch.until_it_waits()[0] == "changed build.py"
    watch.send(signal.SIGINT)
    assert watch.exit_code() == 0
    (error,) = watch.errors
    assert error.startswith("milo: error: ") and "build.py does not import: SyntaxError" in error


def test_what_is_missing_when_a_pipeline_loads_may_be_made(folder, write, watching):
    """An import that fails is tried again when anything in the folder changes."""
    build = write("build.py", "from milo import Phase, Pipeline\npipeline = Pipeline('p')\n")
    watch = watching(build, first=["waits after 0"])
    write("build.py", build.read_text() + "import extra_steps\n")
    assert watch.until_it_waits() == ["changed build.py", "waits after 2"]
    write("extra_steps.py", "")
    assert watch.until_it_waits() == ["changed extra_steps.py", "waits after 0"]


def test_without_declared_inputs_every_change_runs_everything(folder, write, watching):
    """In the folder of the target; a product that is the same again does not count."""
    build = write(
        "sub/build.py",
        """
        from milo import Phase, Pipeline

        def work():
            with open("sub/product", "w") as file:
                file.write("the same")

        pipeline = Pipeline("p", Phase("a", work), Phase("b", print))
        """,
    )
    watch = watching(build)
    watch.until_it_says('"files": ["sub/product"]')
    assert watch.until_it_waits() == ["ran a", "ran b", "waits after 0"]
    (folder / "outside").write_text("")
    (folder / "sub/input").write_text("1")
    assert watch.until_it_waits() == ["changed sub/input", "ran a", "ran b", "waits after 0"]
    (folder / "sub/input").write_text("2")
    assert watch.until_it_waits() == ["changed sub/input", "ran a", "ran b", "waits after 0"]


def test_what_failed_runs_again_at_the_next_change(site, watching, folder):
    """With what was never reached; what is done keeps its result."""
    (folder / "pages/a.md").write_text("broken")
    watch = watching(site, "--keep-going", "--cache", "cached")
    assert watch.until_it_waits() == ["ran other", "failed pages", "ran style", "waits after 1"]
    (folder / "style.css").write_text("new")
    assert watch.until_it_waits() == [
        "changed style.css",
        "kept other",
        "failed pages",
        "ran style",
        "waits after 1",
    ]
    (folder / "pages/a.md").write_text("a")
    assert watch.until_it_waits() == [
        "changed pages/a.md",
        "kept other",
        "ran pages",
        "kept style",
        "ran write",
        "waits after 0",
    ]


SLOW = """
    from pathlib import Path
    from milo import Cache, Phase, Pipeline

    def work():
        text = Path("input").read_text()
        print(text)
        if text.startswith("wait"):
            open("go").close()  # a FIFO: opens once the test opens the other end

    pipeline = Pipeline(
        "p", Phase("work", work, cache=Cache(inputs=["input"])), capture_output=True
    )
"""


@pytest.fixture
def slow(folder, write):
    """The file above, whose phase waits until ``go`` is opened if its input says so."""
    os.mkfifo(folder / "go")
    (folder / "input").write_text("first")
    return write("build.py", SLOW)


def test_a_change_that_arrives_while_a_run_is_in_progress(slow, watching, folder):
    """The run is finished, and the next one follows at once."""
    (folder / "input").write_text("wait")
    watch = watching(slow)
    watch.until_it_says('"line": "wait"')
    (folder / "input").write_text("second")
    (folder / "go").write_text("")
    watch.until_it_says('"files": ["input"]')
    watch.until_it_says('"line": "second"')
    assert watch.until_it_waits()[-1] == "waits after 0"


def test_code_that_changes_while_a_run_is_in_progress(slow, watching, folder):
    """Is loaded for the next one."""
    (folder / "input").write_text("wait")
    watch = watching(slow)
    watch.until_it_says('"line": "wait"')
    slow.write_text(slow.read_text().replace('"wait"', '"never"'))
    (folder / "go").write_text("")
    watch.until_it_says('"files": ["build.py"]')
    watch.until_it_says('"line": "wait"')
    assert watch.until_it_waits()[-1] == "waits after 0"


@pytest.mark.parametrize(("page", "code"), [("a", 0), ("broken", 1)])
def test_ctrl_c_while_it_waits_ends_with_the_exit_code_of_the_last_run(
    site, watching, folder, page, code
):
    """The person has ended the watch, not the run."""
    (folder / "pages/a.md").write_text(page)
    watch = watching(site)
    assert watch.until_it_waits()[-1] == f"waits after {code}"
    watch.send(signal.SIGINT)
    assert watch.exit_code() == code
    assert watch.errors == []


def test_another_signal_while_it_waits_is_the_exit_code(site, watching):
    """As for a run."""
    watch = watching(site)
    watch.until_it_waits()
    watch.send(signal.SIGTERM)
    assert watch.exit_code() == 143


def test_ctrl_c_during_a_run_ends_the_watch(slow, watching, folder):
    """That run is cancelled as without ``--watch``."""
    watch = watching(slow, first=["ran work", "waits after 0"])
    (folder / "input").write_text("wait")
    watch.until_it_says('"line": "wait"')
    watch.send(signal.SIGINT)
    watch.until_it_warns("interrupted, waiting for running phases to end")
    (folder / "go").write_text("")
    assert watch.exit_code() == 130
    assert '"event": "result"' in watch.lines[-1]


def test_files_come_and_go_in_every_way(site, watching, folder):
    """New, replaced as editors do it, deleted, in a folder that is moved away and back."""
    watch = watching(site, "--only", "pages", "--cache", "cached")
    watch.until_it_waits()

    (folder / "pages/b.md").write_text("b")
    assert {"changed pages/b.md", "ran pages"} < set(watch.until_it_waits())
    (folder / "new").write_text("c")
    os.replace("new", "pages/b.md")
    assert {"changed pages/b.md", "ran pages"} < set(watch.until_it_waits())
    os.remove("pages/b.md")
    assert watch.until_it_waits()[0] == "changed pages/b.md"
    os.rename("pages", "away")
    lost = {"changed pages/a.md", "failed pages", "waits after 1"}
    assert lost < set(watch.until_it_waits())
    (folder / "away/a.md").write_text("z")
    os.rename("away", "pages")
    assert {"changed pages/a.md", "ran pages"} < set(watch.until_it_waits())
    (folder / "pages/a.md").write_text("y")
    assert {"changed pages/a.md", "ran pages"} < set(watch.until_it_waits())


def test_an_input_that_is_not_there_yet(folder, write, watching):
    """Nor its folders: its phase fails until it is made."""
    build = write(
        "build.py",
        """
        from milo import Cache, Phase, Pipeline
        pipeline = Pipeline("p", Phase("a", print, cache=Cache(inputs=["gen/deep/x.json"])))
        """,
    )
    watch = watching(build)
    assert watch.until_it_waits()[-1] == "waits after 1"
    (folder / "gen/deep").mkdir(parents=True)
    (folder / "gen/deep/x.json").write_text("1")
    assert watch.until_it_waits() == ["changed gen/deep/x.json", "ran a", "waits after 0"]


def test_the_other_options_count_at_each_run(site, watching, folder):
    """Parameters and selections; ``--force`` only for the first run."""
    watch = watching(site, "-p", "limit=3", "--skip", "style")
    lines = watch.until_it_says('"watching"')
    assert any('"line": "3 a"' in line for line in lines)
    (folder / "pages/a.md").write_text("b")
    lines = watch.until_it_says('"watching"')
    assert any('"line": "3 b"' in line for line in lines)
    assert any('"error": "skipped on request"' in line for line in lines)


def test_force_is_for_the_first_run(site, watching, folder):
    """Later ones find in the cache what they had before."""
    watch = watching(site, "--force", first=[*ALL, "waits after 0"])
    (folder / "style.css").write_text("new")
    assert "ran style" in watch.until_it_waits()
    (folder / "style.css").write_text("s")
    assert "kept style" in watch.until_it_waits()


def test_events_for_machines(site, watching, folder):
    """What changed, before the run; the exit code of the run, when it waits."""
    watch = watching(site)
    assert json.loads(watch.until_it_says('"watching"')[-1]) == {
        "event": "watching",
        "at": 0.0,
        "exit_code": 0,
        "count": 3,
    }
    (folder / "style.css").write_text("new")
    assert json.loads(watch.until_it_says('"files_changed"')[-1]) == {
        "event": "files_changed",
        "at": 0.0,
        "files": ["style.css"],
    }
    assert '"pipeline_started"' in watch.until(bool)[0]


@pytest.mark.parametrize("env", [{}, {"GITHUB_ACTIONS": "true"}])
def test_lines_for_people(site, folder, env):
    """A summary after each run, what is watched, and what has changed, first few by name."""
    for name in "bcde":
        (folder / f"pages/{name}.md").write_text("")
    with Watching(site, env=env) as watch:
        *_, summary, waits = watch.until_it_says("watching")
        assert summary.startswith("site completed in ")
        assert waits == "watching 3 files and folders for changes, Ctrl-C to stop"
        os.mkdir("more")
        for name in "bcde":
            (folder / f"more/{name}.md").write_text("new")
        os.rename("pages", "old")
        os.rename("more", "pages")
        lines = watch.until_it_says("watching")
        assert any(line.startswith("changed: pages/") for line in lines)
        (folder / "style.css").write_text("new")
        assert watch.until_it_says("watching")[0] == "changed: style.css"


def test_the_example_in_the_readme(folder, write):
    """It prints what stands below it."""
    readme = (Path(__file__).parents[2] / "packages/milo-suite/README.md").read_text()
    section = readme.partition("\n## Running again when files change\n")[2]
    example = section.partition("```python\n")[2].partition("```")[0]
    printed = section.partition("```text\n")[2].partition("```")[0]
    (folder / "pages").mkdir()
    (folder / "style.css").write_text("old")
    with Watching(write("build.py", example)) as watch:
        lines = watch.until_it_says("watching")[-2:]
        (folder / "style.css").write_text("new")
        lines += watch.until_it_says("watching")
    assert without_times("\n".join(lines)) == without_times(printed)


def without_times(text):
    """Lines with every duration replaced by a dash."""
    return re.sub(r"\d+\.\d\d s", "- s", text).splitlines()


def test_on_a_terminal(site, folder):
    """Each run has a picture of its own; Ctrl-C leaves the terminal as it was."""
    command = ["-W", "error", "-m", "milo", "run", "build.py", "--watch"]
    surroundings = {**environment(), "TERM": "xterm-256color"}
    with Terminal(*command, env=surroundings, patience=HANG) as screen:
        screen.wait_for("watching 3 files and folders for changes, Ctrl-C to stop")
        (folder / "style.css").write_text("new")
        screen.wait_for("changed: style.css")
        screen.wait_for_another("Ctrl-C to stop")
        screen.type(CTRL_C)
        assert screen.exit_code() == 0
    assert screen.cursor_is_visible()
    assert "Traceback" not in screen.shown


def test_a_reader_that_goes_away_ends_the_watch(site, folder):
    """As soon as there is something to tell."""
    command = [sys.executable, "-m", "milo", "run", "build.py", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as watch:
        while not watch.stdout.readline().startswith(b"watching"):
            pass
        watch.stdout.close()
        (folder / "style.css").write_text("new")
        assert watch.wait(HANG) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build.py", "--dry-run"], "--dry-run runs nothing that --watch could run again"),
        (["missing.py"], "no such file: missing.py"),
        (["build.py", "--only", "pags"], "there is no phase 'pags'"),
        (["build.py", "--report", "nowhere/r.html"], "there is no folder 'nowhere'"),
    ],
)
def test_what_keeps_the_first_run_from_starting_ends_the_watch(site, milo, words, message):
    """One line, exit code 2."""
    ended = milo("run", *words, "--watch")
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
