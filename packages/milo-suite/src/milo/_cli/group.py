"""What ``milo`` knows: its own commands, and those other distributions add."""

from __future__ import annotations

from importlib import import_module

import click

from milo import __version__
from milo._cli.errors import Exit
from milo_core.errors import PluginError
from milo_core.plugins import PluginGroup, plugin_group
from milo_pipeline.text import one_line

PLUGINS = "milo.cli"
_OWN = {
    "doctor": "milo._cli.doctor",
    "graph": "milo._cli.graph",
    "mcp": "milo._cli.mcp",
    "plugins": "milo._cli.plugins",
    "replay": "milo._cli.replay",
    "report": "milo._cli.report",
    "run": "milo._cli.run",
}


class CommandGroup(click.Group):
    """A group whose commands are imported when they are asked for.

    Milo's own come first. Any other name is looked for among the plugins. A broken plugin
    costs nothing until it is asked for or all are listed; then it is one line on stderr.
    """

    plugins: PluginGroup | None = None
    """Where plugins are looked for; ``None`` means among what is installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Own commands and every plugin that loads, in alphabetical order."""
        added = [name for name in self._installed().names() if self._plugin(name) is not None]
        return sorted({*_OWN, *added})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or ``None``."""
        if cmd_name in _OWN:
            found: click.Command = getattr(import_module(_OWN[cmd_name]), cmd_name)
            return found
        return self._plugin(cmd_name) if cmd_name in self._installed().names() else None

    def _installed(self) -> PluginGroup:
        return plugin_group(PLUGINS) if self.plugins is None else self.plugins

    def _plugin(self, name: str) -> click.Command | None:
        installed = self._installed()
        try:
            if name in _OWN:
                raise installed.refuse(name, "named otherwise than Milo's own commands", name)
            found = installed.load(name)
            if not isinstance(found, click.Command):
                raise installed.refuse(name, "a click.Command", found)
        except PluginError as broken:
            click.echo(f"milo: warning: {one_line(broken)}", err=True)
            return None
        return found


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.version_option(__version__, prog_name="milo", message="%(prog)s %(version)s")
@click.pass_context
def milo(ctx: click.Context) -> int | None:
    """Run pipelines, and look at them.

    TARGET is FILE[:name] or module:name; the name is "pipeline" unless you say otherwise.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        return Exit.USAGE
    return None
