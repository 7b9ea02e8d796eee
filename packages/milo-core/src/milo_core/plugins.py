"""The entry-point loader: finds plugins by metadata, imports one when it is first asked for.

>>> group = PluginGroup("milo.effects", entry_points=[])
>>> group.names()
()
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any

from milo_core.errors import MissingPluginError, PluginError

_log = logging.getLogger(__name__)


class PluginGroup:
    """The plugins of one entry-point group, each imported at most once and only on demand.

    The scan reads metadata only. What a plugin loads to, or why it cannot be loaded, is
    remembered. A name that two distributions claim is refused for both, so that the order
    of installation never decides what runs. Safe from any thread; nothing is locked while
    a plugin is imported, and of two simultaneous first loads one result is kept.
    """

    def __init__(self, group: str, *, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self.group = group
        found = _installed(group) if entry_points is None else entry_points
        self._found: dict[str, list[EntryPoint]] = {}
        for entry in found:
            self._found.setdefault(entry.name, []).append(entry)
        self._loaded: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """The declared names in alphabetical order, whether or not they can be loaded."""
        return tuple(sorted(self._found))

    def distribution(self, name: str) -> str:
        """Who declares ``name``: ``"milo-effects 0.1.0"``, joined by commas if several do."""
        return ", ".join(_distribution(entry) for entry in self._found.get(name, ()))

    def load(self, name: str) -> Any:
        """The object that plugin ``name`` points to.

        Raises:
            MissingPluginError: no installed distribution declares it.
            PluginError: it does not import, or two distributions declare it.
        """
        if name not in self._loaded:
            self._loaded.setdefault(name, self._attempt(name))
        loaded = self._loaded[name]
        if isinstance(loaded, PluginError):
            raise loaded.with_traceback(None)  # else it grows with every raise
        return loaded

    def load_all(self) -> tuple[dict[str, Any], tuple[PluginError, ...]]:
        """Everything that loads, by name, and an error for each plugin that does not."""
        loaded: dict[str, Any] = {}
        broken: list[PluginError] = []
        for name in self.names():
            try:
                loaded[name] = self.load(name)
            except PluginError as error:
                broken.append(error)
        return loaded, tuple(broken)

    def refuse(self, name: str, expected: str, given: object) -> PluginError:
        """An error for a plugin that loaded to the wrong kind of thing; it is kept as broken."""
        error = self._error(name, f"should be {expected}, is {given!r}")
        self._loaded[name] = error
        return error

    def _attempt(self, name: str) -> Any:
        entries = self._found.get(name, [])
        if not entries:
            known = ", ".join(self.names()) or "none"
            return MissingPluginError(
                f"no installed package provides {name!r} in {self.group} (found: {known})",
                group=self.group,
                plugin=name,
            )
        if len(entries) > 1:
            return self._error(name, "is declared more than once; uninstall all but one")
        try:
            return entries[0].load()
        except (
            Exception,
            SystemExit,
        ) as cause:  # foreign import; becomes the plugin's remembered error
            error = self._error(name, f"does not load: {type(cause).__name__}: {cause}")
            error.__cause__ = cause
            return error

    def _error(self, name: str, problem: str) -> PluginError:
        owner = self.distribution(name)
        return PluginError(
            f"plugin {name!r} of {self.group} (from {owner}) {problem}",
            group=self.group,
            plugin=name,
            distribution=owner,
        )


@cache
def plugin_group(group: str) -> PluginGroup:
    """The installed plugins of ``group``, scanned once per process."""
    return PluginGroup(group)


def load_group(group: str) -> tuple[dict[str, Any], tuple[PluginError, ...]]:
    """``plugin_group(group).load_all()``: what a host that wants every plugin asks for."""
    return plugin_group(group).load_all()


def _installed(group: str) -> Iterable[EntryPoint]:
    try:
        return entry_points(group=group)
    except Exception:  # some distribution's metadata; which one, the careful scan finds out
        return _scan(group)


def _scan(group: str) -> Iterable[EntryPoint]:
    """Like ``entry_points``, but a distribution that cannot be read is only logged."""
    seen: set[str] = set()
    for distribution in distributions():
        label = _label(distribution)
        name = re.sub("[-_.]+", "-", label.partition(" ")[0]).lower()
        if name in seen and label != _UNKNOWN:
            continue  # hidden by one earlier on the path
        seen.add(name)
        try:
            found = distribution.entry_points.select(group=group)
        except Exception as cause:  # foreign metadata; the others are read all the same
            _log.warning("the entry points of %s cannot be read: %s", label, cause)
        else:
            yield from found


_UNKNOWN = "unknown"


def _distribution(entry: EntryPoint) -> str:
    return _UNKNOWN if entry.dist is None else _label(entry.dist)


def _label(distribution: Distribution) -> str:
    about = distribution.metadata
    if "Name" not in about or "Version" not in about:
        return _UNKNOWN
    return f"{about['Name']} {about['Version']}"
