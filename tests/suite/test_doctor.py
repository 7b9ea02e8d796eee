"""``milo doctor``: what it finds, and which problems it names."""

import json
import os
import sys
from importlib.metadata import Distribution

import pytest

from milo._cli import checkup, doctor
from milo._cli.checkup import Problem, check_up, foreign_extensions, version_of
from milo._cli.misfits import Misfit, misfits
from milo._cli.plugins import Origin, Plugin

WORKING = Plugin("milo.observers", "trace", (Origin("acme", "1.0"),))


class Owner(Distribution):
    """A distribution with these requirements."""

    def __init__(self, *requires, extras=()):
        self._lines = [
            "Metadata-Version: 2.1",
            "Name: milo-mcp",
            "Version: 0.1.0",
            *(f"Requires-Dist: {each}" for each in requires),
            *(f"Provides-Extra: {each}" for each in extras),
        ]

    def read_text(self, filename):
        return "\n".join(self._lines) + "\n" if filename == "METADATA" else None

    def locate_file(self, path):
        raise NotImplementedError


@pytest.fixture
def healthy(monkeypatch):
    """A machine without any problem, whatever this one is like."""
    monkeypatch.setattr(checkup, "inspect_plugins", lambda: [WORKING])
    monkeypatch.setattr(checkup, "misfits", lambda owners, version_of: [])
    monkeypatch.setattr(checkup, "is_free_threaded", lambda: False)
    versions = {"milo-core": "0.1.0", "rich": "15.0.0"}
    monkeypatch.setattr(checkup, "version_of", versions.get)
    monkeypatch.setattr(checkup, "distribution", lambda name: Owner())
    return monkeypatch


@pytest.fixture
def examined(capsys):
    """Run the command: its exit code and what it printed."""

    def run(*words):
        code = doctor.doctor.main(list(words), standalone_mode=False)
        return code, capsys.readouterr().out

    return run


def problem(monkeypatch, **changes):
    """The only problem that a healthy machine has with these changes."""
    for name, value in changes.items():
        monkeypatch.setattr(checkup, name, value)
    (found,) = check_up().problems
    return found


def test_a_healthy_machine(healthy, examined):
    """Versions, what is missing and how to get it; exit code 0."""
    healthy.setenv("NO_COLOR", "")
    healthy.setenv("TERM", "xterm-256color")
    code, printed = examined()
    lines = printed.splitlines()
    assert code == 0
    assert "  milo-core      0.1.0" in lines
    assert "  milo-mcp       not installed" in lines
    assert "  rich               15.0.0" in lines
    assert "  uvloop             not installed; for a faster event loop for async handlers: " in (
        printed.replace("pip install uvloop", "")
    )
    assert "  NO_COLOR  (set, and empty)" in lines
    assert "  TERM      xterm-256color" in lines
    assert "  stdout    not a terminal" in lines
    assert "  installed  1 plugin (see milo plugins)" in lines
    assert lines[-1] == "no problem found"


def test_json(healthy, examined):
    """One object with everything in it."""
    healthy.delenv("NO_COLOR", raising=False)
    code, printed = examined("--json")
    found = json.loads(printed)
    assert code == 0
    assert found["packages"]["milo-core"] == "0.1.0" and found["packages"]["milo-tui"] is None
    assert found["python"]["free_threaded"] is False
    assert found["python"]["usable_cpus"] <= found["python"]["cpus"] == os.cpu_count()
    assert found["terminal"]["NO_COLOR"] is None and found["terminal"]["isatty"] is False
    assert (found["broken"], found["problems"]) == (0, [])


def test_a_problem_is_named_with_what_to_do(healthy, examined):
    """It stands last, and the exit code is 1; in JSON as well."""
    misfit = Misfit("milo-mcp 0.1.0", "mcp<3,>=2.3", "1.9")
    healthy.setattr(checkup, "misfits", lambda owners, version_of: [misfit])
    code, printed = examined()
    assert code == 1
    first, what, todo = printed.splitlines()[-3:]
    assert first == "1 problem found:"
    assert what == "  milo-mcp 0.1.0 needs mcp<3,>=2.3, and 1.9 is installed"
    assert todo.endswith(" pip install 'mcp<3,>=2.3'")
    code, printed = examined("--json")
    assert (code, len(json.loads(printed)["problems"])) == (1, 1)


def test_what_is_missing_is_a_problem(healthy):
    """A requirement that nothing meets."""
    missing = Misfit("milo-mcp 0.1.0", "mcp>=2.3", "")
    found = problem(healthy, misfits=lambda owners, version_of: [missing])
    assert found == Problem(
        "milo-mcp 0.1.0 needs mcp>=2.3, and it is not installed", "pip install 'mcp>=2.3'"
    )


def test_who_has_to_fit(healthy):
    """What Milo's packages ask for is looked at, and what those that bring plugins ask for."""
    asked = []
    healthy.setattr(checkup, "version_of", {"milo-core": "0.1.0", "acme": "1.0"}.get)
    healthy.setattr(checkup, "distribution", lambda name: name)
    healthy.setattr(checkup, "misfits", lambda owners, version_of: asked.extend(owners) or [])
    assert check_up().problems == ()
    assert asked == ["milo-core", "acme"]


def test_a_broken_plugin_is_a_problem(healthy):
    """Its error is shown, and who provides it."""
    broken = Plugin("milo.cli", "odd", (Origin("acme", "1.0"),), "it does not load")
    found = problem(healthy, inspect_plugins=lambda: [broken])
    assert found == Problem("it does not load", "update or uninstall acme")


def test_another_package_of_the_same_name_is_a_problem(healthy):
    """Two distributions that write into one folder cannot both work."""
    found = problem(healthy, version_of={"milo-cli": "0.4.3"}.get)
    assert found.what.startswith("milo-cli 0.4.3, another project, installs a package named milo")


@pytest.mark.parametrize(
    ("environ", "options", "culprit"),
    [({"PYTHON_GIL": "1"}, {}, "PYTHON_GIL=1"), ({}, {"gil": "1"}, "-X gil=1")],
)
def test_a_gil_that_was_asked_for(healthy, environ, options, culprit):
    """What asks for it is named."""
    healthy.delenv("PYTHON_GIL", raising=False)
    for name, value in environ.items():
        healthy.setenv(name, value)
    healthy.setattr(sys, "_xoptions", options)
    found = problem(healthy, is_free_threaded=lambda: True, is_gil_on=lambda: True)
    assert found.what.endswith(f"{culprit} asks for it")
    assert found.todo == f"start Python without {culprit}"


def test_a_gil_that_some_module_switched_on(healthy):
    """What was imported and may have done it is listed."""
    healthy.delenv("PYTHON_GIL", raising=False)
    healthy.setattr(checkup, "foreign_extensions", lambda: ["fast._speedups"])
    found = problem(healthy, is_free_threaded=lambda: True, is_gil_on=lambda: True)
    assert found.what.endswith("compiled modules that were: fast._speedups")
    assert "python -W always -m milo doctor" in found.todo


def test_a_gil_that_a_plugin_switched_on(healthy):
    """The plugin is known, for the GIL was off before it was loaded."""
    healthy.delenv("PYTHON_GIL", raising=False)
    slow = Plugin("milo.observers", "trace", (Origin("acme", "1.0"),), switched_gil_on=True)
    answers = iter([False, True])
    found = problem(
        healthy,
        is_free_threaded=lambda: True,
        is_gil_on=lambda: next(answers),
        inspect_plugins=lambda: [slow],
    )
    assert found.what.endswith("loading milo.observers trace switched it on")


def test_a_free_threaded_python_without_a_gil_is_fine(healthy):
    """As is a usual one with it."""
    healthy.setattr(checkup, "is_free_threaded", lambda: True)
    healthy.setattr(checkup, "is_gil_on", lambda: False)
    assert check_up().problems == ()


def test_compiled_modules_of_others(monkeypatch, tmp_path):
    """Those that Python brings along do not count."""
    suffix = checkup.EXTENSION_SUFFIXES[0]
    fake = type(sys)("fast")
    fake.__file__ = str(tmp_path / f"fast{suffix}")
    monkeypatch.setitem(sys.modules, "fast", fake)
    assert "fast" in foreign_extensions()
    assert not {"math", "_json", "json"} & set(foreign_extensions())


def misfits_of(*requires, extras=(), **installed):
    owner = Owner(*requires, extras=extras)
    return [(each.requirement, each.installed) for each in misfits([owner], installed.get)]


def test_what_fits_is_no_misfit():
    """A version within the range, also a pre-release of it."""
    assert misfits_of("mcp<3,>=2.3", mcp="2.4") == []
    assert misfits_of("mcp<3,>=2.3", mcp="2.4rc1") == []


def test_what_does_not_fit():
    """Too old, too new, or not there."""
    asked = "mcp<3,>=2.3"
    assert misfits_of(asked, mcp="2.2") == [(asked, "2.2")]
    assert misfits_of(asked, mcp="3.0") == [(asked, "3.0")]
    assert misfits_of(asked) == [(asked, "")]


def test_what_only_an_extra_asks_for_may_be_absent():
    """But if it is there, it has to fit."""
    optional = "mcp>=2.3; extra == 'server'"
    assert misfits_of(optional, extras=["server"]) == []
    assert misfits_of(optional, extras=["server"], mcp="2.2") == [("mcp>=2.3", "2.2")]


def test_conditions_that_do_not_hold_are_left_alone():
    """A requirement for another Python is none here."""
    assert misfits_of("mcp>=2.3; python_version < '3'") == []


def test_what_cannot_be_read_is_left_alone():
    """Neither a requirement nor a version that is none gets in the way of the rest."""
    assert misfits_of("mcp>>2", "mcp>=2", mcp="someday") == []


def test_versions_of_what_is_not_there():
    """A name that nobody has installed has no version."""
    assert version_of("milo-core") is not None
    assert version_of("no-such-distribution") is None


def test_this_machine():
    """The command looks at the real one without falling over."""
    found = check_up()
    assert found.packages["milo-core"] == version_of("milo-core")
    assert doctor.lines_of(found)[0] == "Packages"
