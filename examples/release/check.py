"""Is this repository ready to be released? Its own versions, lint, types and tests, as phases.

    milo run examples/release/check.py
    milo run examples/release/check.py -p tests=tests/core --keep-going

Tools that are not installed are left out, and the summary says so.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from milo import Param, Phase, PhasePolicy, Pipeline
from milo_capture import run

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def has_ruff() -> bool:
    return find_spec("ruff") is not None


def has_mypy() -> bool:
    return find_spec("mypy") is not None


def versions() -> dict[str, str]:
    """The version that each package gives itself."""
    found = {}
    for package in sorted((ROOT / "packages").iterdir()):
        (source,) = package.glob("src/*/__init__.py")
        match = VERSION.search(source.read_text(encoding="utf-8"))
        if match is None:
            raise LookupError(f'{source} has no line __version__ = "..."')
        found[package.name] = match.group(1)
        print(package.name, match.group(1))
    return found


def changelogs(context: dict[str, Any]) -> None:
    """Every changelog begins with the version that its package has."""
    for name, version in context["versions"].items():
        text = (ROOT / "packages" / name / "CHANGELOG.md").read_text(encoding="utf-8")
        latest = re.search(r"^## (\S+)", text, re.MULTILINE)
        if latest is None or latest.group(1) != version:
            top = latest.group(1) if latest else "nothing"
            raise ValueError(f"{name} is {version}, but its changelog begins with {top}")


def lint() -> None:
    run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT)


def types() -> None:
    run([sys.executable, "-m", "mypy"], cwd=ROOT)


def tests(tests: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--no-header"]
    run([sys.executable, "-m", "pytest", *options, str(tests)], cwd=ROOT)


pipeline = Pipeline(
    "release check",
    Phase("versions", versions),
    Phase("changelogs", changelogs, depends_on=("versions",)),
    Phase("lint", lint, parallel=True, when=has_ruff, timeout=300),
    Phase("types", types, parallel=True, when=has_mypy, timeout=600, resources={"memory": 1}),
    Phase(
        "tests",
        tests,
        parallel=True,
        params=("tests",),
        timeout=1800,
        resources={"memory": 1},
        policy=PhasePolicy("stop"),
    ),
    capture_output=True,
    params=[Param("tests", Path, default=Path("tests/core"), description="which tests to run")],
    resources={"memory": 2},
)
