"""The report in a browser: it takes the page as it is, and its policy lets the script run."""

import os
import shutil
import subprocess

import pytest
from export_runs import crowd, told

from milo_pipeline.exports import write_report

HANG = 120
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to open the report in")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What a browser makes of the report of 300 phases, at the place of one: page and log."""
    folder = tmp_path_factory.mktemp("browser")
    pipeline, happened = crowd(300, 20)
    write_report(folder / "report.html", pipeline, *told(pipeline, *happened))
    ended = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--disable-gpu",
            "--no-sandbox",  # what it opens is ours
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            f"{(folder / 'report.html').as_uri()}#p17",
        ],
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        timeout=HANG,
        check=True,
    )
    return ended.stdout.decode(), ended.stderr.decode(errors="replace")


def test_the_console_stays_empty(opened):
    """No error, and nothing the policy had to refuse."""
    _, log = opened
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []


def test_the_script_runs(opened):
    """It shows the filter, and opens the phase that the address names."""
    page, _ = opened
    assert '<form class="filter">' in page
    assert '<details class="phase" data-name="phase 17" data-status="completed" open="">' in page
    assert '<details class="phase" data-name="phase 18" data-status="completed">' in page
