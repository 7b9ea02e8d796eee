"""examples/durable: each program in a process of its own, and as its README shows it."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("aiosqlite", reason="milo-durable[sqlite] is not installed")

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples" / "durable"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^```\n\$ python (\S+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
HANG = 120


@cache
def run(name, *words):
    """What the example printed, without the times; each is run once with the same words."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *words],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    return masked(ended.stdout)


def masked(printed):
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", printed)


def history(printed):
    """The last history that was printed, as (phase, step, status)."""
    lines = printed[printed.rindex("\nsaga ") if "\nsaga " in printed else 0 :].splitlines()
    entries = [line.split() for line in lines if line.startswith("  HH:MM:SS")]
    return [(words[1], words[2], words[5]) for words in entries]


def programs():
    """The examples: what has a ``main`` to run."""
    files = sorted(EXAMPLES.glob("*.py"))
    return [each.name for each in files if "__main__" in each.read_text(encoding="utf-8")]


def test_the_readme_shows_every_example():
    """None is left out, and none is shown that is not there."""
    assert sorted(SHOWN) == [f"examples/durable/{name}" for name in programs()]


@pytest.mark.parametrize("name", programs())
def test_an_example_prints_what_its_readme_shows(name):
    """On the SQLite file of its own, apart from the times."""
    assert run(name) == masked(SHOWN[f"examples/durable/{name}"])


@pytest.mark.parametrize("name", programs())
def test_an_example_runs_on_the_database_that_it_is_given(name, tmp_path):
    """And leaves its saga there, which does not disturb a second run."""
    url = f"sqlite+aiosqlite:///{(tmp_path / 'given.db').as_posix()}"
    first = run.__wrapped__(name, url)
    with closing(sqlite3.connect(tmp_path / "given.db")) as database:
        assert database.execute("SELECT count(*) FROM milo_saga").fetchone() == (1,)
    assert first == run.__wrapped__(name, url) == masked(SHOWN[f"examples/durable/{name}"])


@pytest.mark.skipif("TEST_DATABASE_URL" not in os.environ, reason="TEST_DATABASE_URL is not set")
@pytest.mark.parametrize("name", programs())
def test_an_example_prints_the_same_on_postgresql(name):
    """The database makes no difference to what is printed."""
    printed = run.__wrapped__(name, os.environ["TEST_DATABASE_URL"])
    assert printed == masked(SHOWN[f"examples/durable/{name}"])


def test_a_deployment_goes_through():
    """Three steps, one attempt each."""
    printed = run("llm_deploy.py")
    assert "saga llm_deploy for llama-8b: COMPLETED" in printed
    steps = ("provision", "deploy", "check_health")
    assert history(printed) == [("execute", step, "SUCCESS") for step in steps]


def test_a_saga_outlives_a_failure_and_a_killed_process():
    """It is SUSPENDED, then RUNNING with nobody at it, then done; the first step ran once."""
    printed = run("retry_recovery.py")
    assert printed.count("downloading") == 1
    assert printed.count("deploying") == 3
    assert "it died with exit code 1" in printed
    stood = re.findall(r"the saga is (\w+)", printed)
    assert stood == ["SUSPENDED", "RUNNING"]
    assert history(printed) == [
        ("execute", "download", "SUCCESS"),
        ("execute", "deploy", "ERROR"),
        ("execute", "deploy", "SUCCESS"),
    ]


def test_completed_steps_are_undone_in_reverse():
    """The one that failed is not undone."""
    printed = run("compensation_flow.py")
    assert "COMPENSATED" in printed
    assert printed.index("stopped what ran") < printed.index("gave back")
    back = [step for phase, step, _ in history(printed) if phase == "compensate"]
    assert back == ["deploy", "provision"]


def test_what_an_operator_says_a_step_returned_is_what_the_next_gets():
    """After it was refused once, for it was none."""
    printed = run("admin_skip.py")
    assert "refused" in printed
    assert history(printed)[-2:] == [
        ("execute", "enter_in_catalog", "SKIPPED"),
        ("execute", "announce", "SUCCESS"),
    ]
    assert "text=new in the catalog: number 7" in printed


def test_a_message_that_comes_twice_is_delivered_once():
    """And the service is called once."""
    printed = run("http_and_queue.py")
    assert printed.count("service: ") == 1
    assert printed.count("training.finished is stored") == 1
    assert printed.count("training.finished is known already") == 1
    assert "delivered: 1" in printed
    assert history(printed)[-1] == ("execute", "wait", "SUCCESS")
