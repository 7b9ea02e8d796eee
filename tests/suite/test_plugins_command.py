"""``milo plugins``: everything installed distributions add, and what is broken."""

import json
from importlib.metadata import Distribution, EntryPoint

import click
import pytest

from milo._cli import plugins as module
from milo._cli.plugins import Origin, Plugin, group_names, inspect_plugins
from milo_core.plugins import PluginGroup


class FromAcme(Distribution):
    """A distribution that is not on disk."""

    def __init__(self, version="1.0"):
        self._version = version

    def read_text(self, filename):
        return f"Metadata-Version: 2.1\nName: acme\nVersion: {self._version}\n"

    def locate_file(self, path):
        raise NotImplementedError


@click.command()
def notify():
    """A command that works."""


def make_observer(pipeline):
    """A factory that works."""


not_a_plugin = "broken"


def group_of(name, *plugins):
    """A group as if ``(name, target)`` were installed with acme 1.0."""
    found = [EntryPoint(each, target, name)._for(FromAcme()) for each, target in plugins]
    return PluginGroup(name, entry_points=found)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these groups are all there are."""

    def install(*groups):
        by_name = {group.group: group for group in groups}
        monkeypatch.setattr(module, "group_names", lambda: list(by_name))
        monkeypatch.setattr(module, "plugin_group", by_name.__getitem__)

    return install


@pytest.fixture
def plugins(capsys):
    """Run the command: its exit code and what it printed."""

    def run(*words):
        code = module.plugins.main(list(words), standalone_mode=False)
        return code, capsys.readouterr().out

    return run


def test_what_works_is_a_table(installed, plugins):
    """Group, name, status and distribution stand in columns; the exit code is 0."""
    installed(
        group_of("milo.observers", ("trace", f"{__name__}:make_observer")),
        group_of("milo.cli", ("notify", f"{__name__}:notify")),
    )
    code, printed = plugins()
    assert code == 0
    assert printed.splitlines() == [
        "GROUP           NAME    STATUS  FROM",
        "milo.observers  trace   ok      acme 1.0",
        "milo.cli        notify  ok      acme 1.0",
        "",
        "2 plugins",
    ]


def test_what_is_broken_is_named_with_its_reason(installed, plugins):
    """The exit code is 1, and those that work are listed all the same."""
    installed(group_of("milo.cli", ("notify", f"{__name__}:notify"), ("worse", "no_such_module:x")))
    code, printed = plugins()
    assert code == 1
    assert "milo.cli  notify  ok      acme 1.0" in printed
    reason, _, count = printed.splitlines()[-3:]
    assert reason == (
        "plugin 'worse' of milo.cli (from acme 1.0) does not load: "
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert count == "2 plugins, 1 broken"


def test_nothing_installed(installed, plugins):
    """There is no empty table."""
    installed()
    assert plugins() == (0, "no plugins are installed\n")


def test_json(installed, plugins):
    """One object, with a distribution's name and version apart."""
    installed(group_of("milo.observers", ("trace", f"{__name__}:make_observer")))
    code, printed = plugins("--json")
    assert (code, json.loads(printed)) == (
        0,
        {
            "plugins": [
                {
                    "group": "milo.observers",
                    "name": "trace",
                    "origins": [{"name": "acme", "version": "1.0"}],
                    "error": "",
                    "switched_gil_on": False,
                }
            ],
            "broken": 0,
        },
    )


def test_json_is_not_disturbed_by_what_plugins_print(installed, capfd, tmp_path, monkeypatch):
    """A plugin that prints while it is imported prints to standard error."""
    (tmp_path / "chatty_plugin.py").write_text("print('hello')\ndef make(pipeline): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed(group_of("milo.observers", ("chatty", "chatty_plugin:make")))
    module.plugins.main(["--json"], standalone_mode=False)
    printed = capfd.readouterr()
    assert json.loads(printed.out)["broken"] == 0
    assert printed.err == "hello\n"


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("milo.runtime", "a callable that makes a runtime"),
        ("milo.effects", "a handler marked with @handles, or a table"),
        ("milo.executors", "a callable that makes an executor"),
        ("milo.observers", "a callable that takes a Pipeline and makes an observer"),
        ("milo.cli", "a click.Command"),
        ("milo.mcp", "a callable"),
    ],
)
def test_the_wrong_kind_of_thing_is_broken(group, expected):
    """Each group says what it takes, as its host would."""
    (plugin,) = inspect_plugins([group_of(group, ("odd", f"{__name__}:not_a_plugin"))])
    assert plugin.error.endswith(f"should be {expected}, is 'broken'")


def test_an_unknown_group_takes_anything():
    """Of a group that Milo does not know, only the import is tried."""
    group = group_of("milo.weather", ("odd", f"{__name__}:not_a_plugin"))
    assert inspect_plugins([group]) == [Plugin("milo.weather", "odd", (Origin("acme", "1.0"),), "")]


def test_a_command_that_takes_a_name_of_milos_is_broken():
    """The command would never be reached."""
    (plugin,) = inspect_plugins([group_of("milo.cli", ("run", f"{__name__}:notify"))])
    assert plugin.error.endswith("should be named otherwise than Milo's own commands, is 'run'")


def test_two_that_claim_one_name():
    """Both distributions are named."""
    target = f"{__name__}:make_observer"
    found = [
        EntryPoint("trace", target, "milo.observers")._for(FromAcme(version))
        for version in ("1.0", "2.0")
    ]
    (plugin,) = inspect_plugins([PluginGroup("milo.observers", entry_points=found)])
    assert plugin.origins == (Origin("acme", "1.0"), Origin("acme", "2.0"))
    assert "is declared more than once" in plugin.error


def test_the_installed_ones_are_found():
    """Milo's own packages are plugins too; groups of others appear behind the known ones."""
    assert group_names()[:5] == [
        "milo.runtime", "milo.effects", "milo.executors", "milo.observers", "milo.cli",
    ]  # fmt: skip
    found = {(each.group, each.name): each for each in inspect_plugins()}
    assert found["milo.runtime", "sagas"].error == ""
    assert found["milo.effects", "pipeline"].origins[0].name == "milo-pipeline"


def test_metadata_that_cannot_be_read_hides_nobody(monkeypatch):
    """One distribution with a broken file leaves the others' groups."""

    class Broken:
        @property
        def entry_points(self):
            raise ValueError("not an entry point")

    class Good:
        @property
        def entry_points(self):
            return type("Found", (), {"groups": {"milo.weather", "console_scripts"}})

    monkeypatch.setattr(module, "distributions", lambda: [Broken(), Good()])
    assert group_names()[-1] == "milo.weather"


def test_a_plugin_that_switches_the_gil_on_is_noted(monkeypatch):
    """Whether the GIL is on is asked before and after each plugin."""
    answers = iter([False, True, True, True])
    monkeypatch.setattr(module, "is_gil_on", lambda: next(answers))
    target = f"{__name__}:make_observer"
    found = inspect_plugins([group_of("milo.observers", ("a", target), ("b", target))])
    assert [each.switched_gil_on for each in found] == [True, False]
