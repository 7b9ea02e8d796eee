"""examples/data and examples/release, through ``milo run`` as their READMEs say."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HANG = 300


def milo(folder, *words):
    steering = {"CI", "GITHUB_ACTIONS"}
    environment = {key: value for key, value in os.environ.items() if key not in steering}
    return subprocess.run(
        [sys.executable, "-m", "milo", "run", *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def events(ended):
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_data_job_writes_its_table(tmp_path):
    """Twelve months, the lines that make no sense left out, and the total of the table."""
    ended = milo(tmp_path, EXAMPLES / "data" / "orders.py")
    assert ended.returncode == 0, ended.stderr
    with open(tmp_path / "months.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["month"] for row in table] == [f"2025-{month:02}" for month in range(1, 13)]
    assert sum(int(row["orders"]) for row in table) == 240 - 3
    total = sum(round(float(row["total"]) * 100) for row in table)
    assert f"12 months, {total / 100:.2f} in all" in ended.stdout
    assert ended.stdout.count("is left out") == 3


def test_the_data_job_runs_no_more_than_it_has_to(tmp_path):
    """The second time only the table is written; another region changes what depends on it."""
    script = EXAMPLES / "data" / "orders.py"
    assert milo(tmp_path, script).returncode == 0
    started = [
        event["phase"]
        for event in events(milo(tmp_path, script, "--json"))
        if event["event"] == "phase_started"
    ]
    assert started == ["write"]
    started = [
        event["phase"]
        for event in events(milo(tmp_path, script, "--json", "-p", "region=north"))
        if event["event"] == "phase_started"
    ]
    assert started == ["clean", "months", "write"]


@pytest.mark.parametrize("region", ["nowhere", "North"])
def test_a_region_that_is_none_is_refused(tmp_path, region):
    """With those there are; exit code 2."""
    ended = milo(tmp_path, EXAMPLES / "data" / "orders.py", "-p", f"region={region}")
    assert ended.returncode == 2
    assert "parameter 'region' takes one of 'all', 'north'" in ended.stderr


def test_the_release_check_checks_this_repository(tmp_path):
    """Its versions and changelogs agree, and the tests that it is given pass."""
    ended = milo(
        tmp_path,
        EXAMPLES / "release" / "check.py",
        *("--skip", "lint", "--skip", "types", "-p", "tests=tests/core/test_keys.py"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "release check completed" in ended.stdout
    assert "versions" in ended.stdout
    assert " passed" in ended.stdout
