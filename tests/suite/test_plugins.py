"""Commands that other distributions add to ``milo``."""

from importlib.metadata import EntryPoint

import click
import pytest

from milo._cli.group import CommandGroup
from milo._cli.group import milo as command
from milo_core.plugins import PluginGroup


@click.command()
def notify():
    """Notify people."""
    click.echo("told")


not_a_command = "notify"


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these entry points are installed: ``installed(notify="module:name")``."""

    def install(**plugins):
        found = [EntryPoint(name, value, "milo.cli") for name, value in plugins.items()]
        group = PluginGroup("milo.cli", entry_points=found)
        monkeypatch.setattr(CommandGroup, "plugins", group)

    return install


def test_a_plugin_adds_a_command(installed, milo):
    """It is listed, and runs."""
    installed(notify=f"{__name__}:notify")
    assert "Notify people." in milo("--help").out
    ended = milo("notify")
    assert (ended.code, ended.out, ended.err) == (0, "told\n", "")


def test_a_broken_plugin_is_one_line(installed, milo):
    """It is named with its distribution and breaks neither the list nor its neighbours."""
    installed(notify=f"{__name__}:notify", broken="no_such_module:command")
    ended = milo("--help")
    assert ended.code == 0
    assert "Notify people." in ended.out
    (line,) = ended.err.splitlines()
    assert line.startswith(
        "milo: warning: plugin 'broken' of milo.cli (from unknown) does not load"
    )
    assert milo("notify").err == ""


def test_a_broken_plugin_that_is_asked_for(installed, milo):
    """Its problem is shown, then that there is no such command."""
    installed(broken="no_such_module:command")
    ended = milo("broken")
    assert ended.code == 2
    warning, error = ended.err.splitlines()
    assert "ModuleNotFoundError: No module named 'no_such_module'" in warning
    assert error.startswith("milo: error: No such command 'broken'")


def test_a_plugin_that_is_no_command(installed, milo):
    """What was found is quoted."""
    installed(wrong=f"{__name__}:not_a_command")
    (line,) = milo("--help").err.splitlines()
    assert line.endswith("should be a click.Command, is 'notify'")


def test_a_plugin_cannot_replace_a_command(installed, milo):
    """Milo's own commands stay what they are, and the attempt is reported."""
    installed(run=f"{__name__}:notify")
    ended = milo("--help")
    assert "Run the pipeline TARGET" in ended.out
    (line,) = ended.err.splitlines()
    assert line.startswith("milo: warning: plugin 'run' of milo.cli")
    assert "Missing argument 'TARGET'" in milo("run").err


def test_own_commands_look_for_no_plugins(monkeypatch, milo):
    """``milo run`` starts without scanning what is installed."""
    monkeypatch.setattr(CommandGroup, "_installed", None)
    assert "Missing argument 'TARGET'" in milo("run").err


def test_the_bare_command_shows_its_help(milo):
    """Without a subcommand nothing was asked for: help on stderr, exit code 2."""
    ended = milo()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: milo ")


def test_version(milo):
    """``milo --version`` is the version of milo-suite."""
    from milo import __version__

    assert milo("--version").out == f"milo {__version__}\n"


def test_plugins_are_looked_for_among_what_is_installed():
    """Without a group of its own, the command uses the entry points of the environment."""
    assert command.plugins is None
    assert isinstance(command, CommandGroup)
    assert command._installed().group == "milo.cli"
