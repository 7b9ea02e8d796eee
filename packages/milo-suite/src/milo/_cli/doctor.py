"""``milo doctor``: what Milo finds here, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, Final

import click

from milo._cli.checkup import OPTIONAL, VARIABLES, Checkup, check_up
from milo._cli.plan_text import table_lines
from milo._cli.plugins import plugins_object
from milo._cli.streams import LineWriter, stdout_kept_apart
from milo_pipeline.text import counted, one_line
from milo_tui.symbols import symbols_for

UNWELL: Final = 1
"""The exit code when something is wrong."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, as_json: bool) -> int:
    """Show what Milo finds on this machine, and what is wrong with it.

    Plugins are loaded to see whether they work. Exits with 0, or with 1 when there is a
    problem.
    """
    with stdout_kept_apart() if as_json else nullcontext(sys.stdout) as stream:
        found = check_up()
        writer = LineWriter(stream)
        writer.write_lines(*([json.dumps(doctor_object(found))] if as_json else lines_of(found)))
        writer.close()
    return UNWELL if found.problems else 0


def doctor_object(found: Checkup) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "packages": dict(found.packages),
        "python": dict(found.python),
        "terminal": dict(found.terminal),
        "optional": dict(found.optional),
        **plugins_object(found.plugins),
        "problems": [asdict(problem) for problem in found.problems],
    }


def lines_of(found: Checkup) -> list[str]:
    """What people read: a section for each part, the problems last."""
    broken = sum(bool(plugin.error) for plugin in found.plugins)
    count = counted(len(found.plugins), "plugin") + (f", {broken} broken" if broken else "")
    return [
        *_section(
            "Packages", {name: each or "not installed" for name, each in found.packages.items()}
        ),
        *_section("Python", _python(found.python)),
        *_section("Terminal", _terminal(found.terminal)),
        *_section(
            "Optional", {name: _optional(name, each) for name, each in found.optional.items()}
        ),
        *_section("Plugins", {"installed": f"{count} (see milo plugins)"}),
        *_problems(found),
    ]


def _section(title: str, facts: Mapping[str, str]) -> list[str]:
    rows = [(one_line(key), one_line(value)) for key, value in facts.items()]
    return [title, *(f"  {line}" for line in table_lines(rows)), ""]


def _python(facts: Mapping[str, Any]) -> dict[str, str]:
    threads = "free-threaded" if facts["free_threaded"] else "not free-threaded"
    return {
        "version": f"{facts['implementation']} {facts['version']} ({facts['build']})",
        "executable": facts["executable"],
        "threads": f"{threads}, the GIL is {'on' if facts['gil'] else 'off'}",
        "platform": facts["platform"],
        "cpus": f"{facts['usable_cpus']} of {facts['cpus']} may be used",
    }


def _terminal(facts: Mapping[str, Any]) -> dict[str, str]:
    given = {name: facts[name] for name in VARIABLES if facts[name] is not None}
    return {
        "stdout": "a terminal" if facts["isatty"] else "not a terminal",
        "size": f"{facts['columns']} by {facts['lines']}",
        "encoding": str(facts["encoding"]),
        "colour": facts["colour"] or "none",
        **{name: value or "(set, and empty)" for name, value in given.items()},
    }


def _optional(name: str, version: str | None) -> str:
    return version or f"not installed; for {OPTIONAL[name]}: pip install {name}"


def _problems(found: Checkup) -> list[str]:
    if not found.problems:
        return ["no problem found"]
    arrow = symbols_for(sys.stdout.encoding).arrow
    lines = [f"{counted(len(found.problems), 'problem')} found:"]
    for problem in found.problems:
        lines += [f"  {one_line(problem.what)}", f"    {arrow} {one_line(problem.todo)}"]
    return lines
