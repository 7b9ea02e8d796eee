"""What ``milo doctor`` looks at: this Python, this terminal, what is installed."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any, Final

from milo._cli.misfits import Misfit, misfits
from milo._cli.plugins import Plugin, inspect_plugins, is_gil_on
from milo_pipeline.text import one_line

PACKAGES: Final = (
    "milo-suite",
    "milo-core",
    "milo-effects",
    "milo-capture",
    "milo-pipeline",
    "milo-mcp",
    "milo-tui",
    "milo-durable",
)
"""Every package of Milo; those that are not installed are not needed."""

OPTIONAL: Final[Mapping[str, str]] = {
    "rich": "the live display",
    "click": "the milo command",
    "prompt_toolkit": "terminal applications (milo-tui)",
    "kida-templates": "kida templates (milo-tui, Python 3.14 or newer)",
    "watchfiles": "running again when files change",
    "opentelemetry-api": "traces of runs",
    "mcp": "the MCP server (milo-mcp)",
    "sqlalchemy": "durable sagas (milo-durable)",
    "aiosqlite": "durable sagas on SQLite",
    "asyncpg": "durable sagas on PostgreSQL",
    "uvloop": "a faster event loop for async handlers",
}
"""Distribution to what it is good for."""

VARIABLES: Final = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS")
"""What in the environment decides about the display."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found.

    Attributes:
        packages: Milo's packages and their versions; ``None`` for one that is not installed.
        optional: the same for what Milo's packages can make use of.
    """

    packages: Mapping[str, str | None]
    python: Mapping[str, Any]
    terminal: Mapping[str, Any]
    optional: Mapping[str, str | None]
    plugins: tuple[Plugin, ...]
    problems: tuple[Problem, ...]


def check_up() -> Checkup:
    """Look at everything. Plugins are loaded for it, after the GIL has been looked at."""
    gil_was_on = is_gil_on()
    plugins = inspect_plugins()
    packages = {name: version_of(name) for name in PACKAGES}
    problems = [
        *_misfitting(_owners(plugins)),
        *_in_the_way(),
        *_broken(plugins),
        *_gil(plugins, was_on=gil_was_on),
    ]
    return Checkup(
        packages=packages,
        python=_python(gil_was_on=gil_was_on),
        terminal=_terminal(),
        optional={name: version_of(name) for name in OPTIONAL},
        plugins=tuple(plugins),
        problems=tuple(problems),
    )


def version_of(name: str) -> str | None:
    """The installed version of a distribution; ``None`` without it, or without a version."""
    try:
        return distribution(name).version
    except (PackageNotFoundError, KeyError):  # KeyError: a leftover folder without metadata
        return None


def is_free_threaded() -> bool:
    """Whether this Python was built to run without the GIL."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


# What is the case


def _python(*, gil_was_on: bool) -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "executable": sys.executable,
        "free_threaded": is_free_threaded(),
        "gil": gil_was_on,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "usable_cpus": _usable_cpus(),
    }


def _usable_cpus() -> int | None:
    ask: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # not on macOS
    return os.cpu_count() if ask is None else len(ask(0))


def _terminal() -> dict[str, Any]:
    size = shutil.get_terminal_size()
    return {
        "isatty": sys.stdout.isatty(),
        "columns": size.columns,
        "lines": size.lines,
        "encoding": sys.stdout.encoding,
        "colour": _colour(),
        **{name: os.environ.get(name) for name in VARIABLES},
    }


def _colour() -> str | None:
    """As rich, which draws the live display, sees it: ``standard``, ``256``, ``truecolor``."""
    from rich.console import Console

    console = Console(file=sys.stdout)
    return None if console.no_color else console.color_system


# What is wrong


def _owners(plugins: list[Plugin]) -> list[Distribution]:
    """Milo's packages and those that bring plugins: who has to fit the others."""
    others = [origin.name for plugin in plugins for origin in plugin.origins]
    names = dict.fromkeys([*PACKAGES, *others])
    return [distribution(name) for name in names if version_of(name) is not None]


def _misfitting(owners: list[Distribution]) -> Iterator[Problem]:
    for misfit in misfits(owners, version_of):
        yield Problem(_told(misfit), f"pip install '{misfit.requirement}'")


def _told(misfit: Misfit) -> str:
    there = f"{misfit.installed} is installed" if misfit.installed else "it is not installed"
    return f"{misfit.owner} needs {misfit.requirement}, and {there}"


def _in_the_way() -> Iterator[Problem]:
    version = version_of("milo-cli")
    if version is not None:
        yield Problem(
            f"milo-cli {version}, another project, installs a package named milo too",
            "keep the two in different environments; pip uninstall milo-cli and install "
            "milo-suite again",
        )


def _broken(plugins: list[Plugin]) -> Iterator[Problem]:
    for plugin in plugins:
        if plugin.error:
            owners = " ".join(each.name for each in plugin.origins)
            yield Problem(plugin.error, f"update or uninstall {one_line(owners)}")


def _gil(plugins: list[Plugin], *, was_on: bool) -> Iterator[Problem]:
    """On a free-threaded Python, what switched the GIL on, as far as that can be known."""
    if not is_free_threaded() or not is_gil_on():
        return
    what = "the GIL is on in this free-threaded Python, so threads take turns"
    asked = _gil_asked_for()
    culprits = [f"{each.group} {each.name}" for each in plugins if each.switched_gil_on]
    if asked:
        yield Problem(f"{what}: {asked} asks for it", f"start Python without {asked}")
    elif was_on:
        suspects = ", ".join(foreign_extensions()) or "none can be seen"
        yield Problem(
            f"{what}: a module that is not made for free threading was imported; compiled "
            f"modules that were: {suspects}",
            "see which one Python names in a RuntimeWarning with python -W always -m milo "
            "doctor, and update or uninstall it",
        )
    else:
        yield Problem(
            f"{what}: loading {', '.join(culprits)} switched it on",
            "update or uninstall what provides it",
        )


def _gil_asked_for() -> str:
    """What told Python at its start to have a GIL; empty if nothing did."""
    if sys._xoptions.get("gil") == "1":
        return "-X gil=1"
    ignored = sys.flags.ignore_environment or "gil" in sys._xoptions
    return "PYTHON_GIL=1" if os.environ.get("PYTHON_GIL") == "1" and not ignored else ""


def foreign_extensions() -> list[str]:
    """The compiled modules that are loaded and do not belong to Python itself."""
    suffixes = tuple(EXTENSION_SUFFIXES)
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").endswith(suffixes)
        and name.partition(".")[0] not in sys.stdlib_module_names
    )
