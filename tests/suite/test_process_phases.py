"""Phases with ``executor=`` in a target: found, run, or refused with exit code 2."""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

TARGET = """
    import os
    from milo_pipeline import Phase, Pipeline

    class Page:
        def __init__(self, place):
            self.place = place

    def parse():
        print("parsing")
        return Page(os.getpid())

    def check(context):
        page = context["parse"]
        assert type(page) is Page
        print("elsewhere" if os.getpid() != page.place else "same process")

    pipeline = Pipeline(
        "site",
        Phase("parse", parse, executor={executor!r}),
        Phase("check", check, depends_on=["parse"]),
        capture_output=True,
    )
"""


@pytest.mark.parametrize("words", [["build.py"], ["build:pipeline"]])
def test_handlers_of_the_target_run_in_a_process(write, milo_process, words):
    """Of a file, which no import finds by its name, and of a module."""
    write("build.py", TARGET.format(executor="process"))
    ended = milo_process("run", *words)
    assert ended.err == ""
    assert ended.code == 0
    assert "parsing" in ended.out
    assert "elsewhere" in ended.out


def test_an_unknown_executor_is_a_definition_error(write, milo):
    """Nothing runs, and the command says what there is."""
    write("build.py", TARGET.format(executor="proces"))
    ended = milo("run", "build.py")
    assert ended.code == 2
    assert "phase 'parse': there is no executor 'proces'; found: " in ended.err
    assert "did you mean 'process'?" in ended.err
    assert "parsing" not in ended.out + ended.err


@pytest.fixture
def acme(tmp_path):
    """A distribution with an executor that works and one that does not; the folder it is in."""
    site = tmp_path / "site"
    about = site / "acme-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[milo.executors]\nloud = acme_executors:Loud\nbroken = acme_executors:missing\n"
    )
    (site / "acme_executors.py").write_text(
        "from milo_pipeline.executors import Executor\n"
        "class Loud(Executor):\n"
        "    def call(self, phase, arguments):\n"
        "        print('LOUD', phase.name)\n"
        "        return phase.handler(**arguments)\n"
    )
    return {"PYTHONPATH": str(site)}


def test_an_executor_of_a_plugin(write, milo_process, acme):
    """It is found by its name, and what it prints is the phase's."""
    write("build.py", TARGET.format(executor="loud"))
    ended = milo_process("run", "build.py", env=acme)
    assert ended.code == 0
    assert "LOUD parse" in ended.out
    assert "same process" in ended.out


def test_a_broken_plugin_is_named_with_its_distribution(write, milo_process, acme):
    """Before anything runs."""
    write("build.py", TARGET.format(executor="broken"))
    ended = milo_process("run", "build.py", env=acme)
    assert ended.code == 2
    assert "plugin 'broken' of milo.executors (from acme 1.0) does not load" in ended.err
    assert "parsing" not in ended.out


def test_executors_are_listed_as_plugins(milo_process, acme):
    """Ours, the plugin's, and what is broken."""
    ended = milo_process("plugins", env=acme)
    assert ended.code == 1
    rows = [line.split() for line in ended.out.splitlines() if line.startswith("milo.executors")]
    assert [row[1:4] for row in rows] == [
        ["broken", "broken", "acme"],
        ["loud", "ok", "acme"],
        ["process", "ok", "milo-pipeline"],
        ["thread", "ok", "milo-pipeline"],
    ]
