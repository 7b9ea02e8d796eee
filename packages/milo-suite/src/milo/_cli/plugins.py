"""``milo plugins``: everything that installed distributions add to Milo, and what is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from typing import Any, Final

import click

from milo._cli.plan_text import table_lines
from milo._cli.streams import LineWriter, stdout_kept_apart
from milo_core.errors import MiloError, PluginError
from milo_core.plugins import PluginGroup, plugin_group
from milo_pipeline.text import counted, one_line

BROKEN: Final = 1
"""The exit code when something is broken."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A distribution that declares a plugin."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point, tried.

    Attributes:
        origins: who declares it; more than one is a reason to refuse it.
        error: why it cannot be used; empty if it can.
        switched_gil_on: whether loading it switched the GIL on, on a free-threaded Python.
    """

    group: str
    name: str
    origins: tuple[Origin, ...]
    error: str = ""
    switched_gil_on: bool = False


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plugins(*, as_json: bool) -> int:
    """List what is installed for Milo; each plugin is loaded to see whether it works.

    Exits with 0, or with 1 when one is broken.
    """
    with stdout_kept_apart() if as_json else nullcontext(sys.stdout) as stream:
        found = inspect_plugins()
        writer = LineWriter(stream)
        writer.write_lines(*([json.dumps(plugins_object(found))] if as_json else _lines(found)))
        writer.close()
    return BROKEN if any(plugin.error for plugin in found) else 0


def inspect_plugins(groups: Iterable[PluginGroup] | None = None) -> list[Plugin]:
    """Every plugin of ``groups``, loaded and looked at; by default, of all that are installed.

    Nothing that a plugin raises gets out, but what its import prints or changes stays.
    """
    if groups is None:
        groups = map(plugin_group, group_names())
    return [_inspect(group, name) for group in groups for name in group.names()]


def group_names() -> list[str]:
    """Milo's own groups, then whatever else installed distributions call ``milo.something``."""
    others = {name for name in _declared_groups() if name.startswith("milo.")}
    return [*_EXPECTED, *sorted(others - _EXPECTED.keys())]


def is_gil_on() -> bool:
    """Whether threads of this process take turns."""
    ask: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return True if ask is None else ask()


def plugins_object(found: Sequence[Plugin]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "plugins": [asdict(plugin) for plugin in found],
        "broken": sum(bool(plugin.error) for plugin in found),
    }


def _inspect(group: PluginGroup, name: str) -> Plugin:
    gil_was_on, error = is_gil_on(), ""
    try:
        loaded = group.load(name)
        _check(group, name, loaded)
    except PluginError as broken:
        error = one_line(broken)
    switched = is_gil_on() and not gil_was_on
    return Plugin(group.group, name, tuple(_origins(group, name)), error, switched)


def _check(group: PluginGroup, name: str, loaded: object) -> None:
    """Refuse what its host would refuse.

    Raises:
        PluginError: it is the wrong kind of thing, or has a name that is taken.
    """
    expected, is_it = _EXPECTED.get(group.group, ("anything", lambda _: True))
    if not is_it(loaded):
        raise group.refuse(name, expected, loaded)
    if group.group == "milo.cli":
        from milo._cli.group import _OWN

        if name in _OWN:
            raise group.refuse(name, "named otherwise than Milo's own commands", name)


def _is_table(loaded: Any) -> bool:
    from milo_effects.registry import table_of

    try:
        table_of(loaded)
    except MiloError:
        return False
    return True


_EXPECTED: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "milo.runtime": ("a callable that makes a runtime", callable),
    "milo.effects": ("a handler marked with @handles, or a table", _is_table),
    "milo.executors": ("a callable that makes an executor", callable),
    "milo.observers": ("a callable that takes a Pipeline and makes an observer", callable),
    "milo.cli": ("a click.Command", lambda loaded: isinstance(loaded, click.Command)),
    "milo.mcp": ("a callable", callable),
}
"""Group to what its host takes."""


def _declared_groups() -> Iterator[str]:
    for distribution in distributions():
        try:
            yield from distribution.entry_points.groups
        except Exception:  # foreign metadata; the scan of each group logs whose it is
            continue


def _origins(group: PluginGroup, name: str) -> Iterator[Origin]:
    for label in group.distribution(name).split(", "):
        owner, _, version = label.partition(" ")
        yield Origin(owner, version)


def _lines(found: Sequence[Plugin]) -> list[str]:
    """A table, the reasons below it, the count."""
    if not found:
        return ["no plugins are installed"]
    rows = [("GROUP", "NAME", "STATUS", "FROM"), *map(_row, found)]
    broken = [plugin.error for plugin in found if plugin.error]
    reasons = ["", *broken] if broken else []
    count = counted(len(found), "plugin") + (f", {len(broken)} broken" if broken else "")
    return [*table_lines(rows), *reasons, "", count]


def _row(plugin: Plugin) -> tuple[str, ...]:
    origins = ", ".join(f"{each.name} {each.version}".rstrip() for each in plugin.origins)
    status = "broken" if plugin.error else "ok"
    return one_line(plugin.group), one_line(plugin.name), status, one_line(origins)
