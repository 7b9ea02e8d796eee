"""The executor of a phase: the object it was given, or that of the plugin it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from milo_core.errors import MissingPluginError, PluginError
from milo_core.plugins import PluginGroup, plugin_group
from milo_pipeline.errors import DefinitionError
from milo_pipeline.executors.executor import THREAD, Executor

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase

EXECUTORS_GROUP: Final = "milo.executors"


class Executors:
    """The executors of plugins, by name. Safe from any thread; no lock is held meanwhile."""

    def __init__(self, group: PluginGroup) -> None:
        self._group = group
        self._made: dict[str, Executor] = {}

    def named(self, name: str) -> Executor:
        """The executor that plugin ``name`` makes, made once.

        Raises:
            DefinitionError: there is none, it is broken, or it makes none; the message names
                the distribution it comes from.
        """
        made = self._made.get(name)
        # Of two that are made at the same time, one is kept.
        return made or self._made.setdefault(name, self._make(name))

    def _make(self, name: str) -> Executor:
        factory = self._factory(name)
        try:
            made = factory()
        except (Exception, SystemExit) as cause:  # foreign code; it may do better next time
            raise self._made_none(name, f"raised {type(cause).__name__}: {cause}") from cause
        if not isinstance(made, Executor):
            raise self._made_none(name, f"made {made!r:.200}, which is no Executor")
        return made

    def _factory(self, name: str) -> Callable[[], Any]:
        try:
            factory: Callable[[], Any] = self._group.load(name)
            if not callable(factory):
                raise self._group.refuse(name, "a callable that makes an executor", factory)
        except MissingPluginError:
            raise self._unknown(name) from None
        except PluginError as broken:
            raise DefinitionError(str(broken)) from broken
        return factory

    def _unknown(self, name: str) -> DefinitionError:
        names = self._group.names()
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "install the package that brings it"
        found = ", ".join(names) or "none"
        return DefinitionError(f"there is no executor {name!r}; found: {found}; {hint}")

    def _made_none(self, name: str, what: str) -> DefinitionError:
        owner = self._group.distribution(name)
        return DefinitionError(f"plugin {name!r} of {EXECUTORS_GROUP} (from {owner}) {what}")


def refuse_unless_executable(phases: Iterable[Phase], executors: Executors | None = None) -> None:
    """Refuse phases whose executor is not there, or cannot take them.

    Raises:
        DefinitionError: the first such phase, and why.
    """
    for phase in phases:
        if phase.executor != THREAD:
            executor_of(phase, executors).check(phase)


def executor_of(phase: Phase, executors: Executors | None = None) -> Executor:
    """The executor of ``phase``; a name is looked up in ``executors``, else among plugins.

    Raises:
        DefinitionError: see ``Executors.named``.
    """
    if isinstance(phase.executor, Executor):
        return phase.executor
    try:
        return (executors or installed_executors()).named(phase.executor)
    except DefinitionError as error:
        raise DefinitionError(f"phase {phase.name!r}: {error}") from error.__cause__


@cache
def installed_executors() -> Executors:
    """Those of the installed plugins, which are looked for once per process."""
    return Executors(plugin_group(EXECUTORS_GROUP))


def called_elsewhere(phase: Phase) -> Callable[..., Any]:
    """A function that calls the handler of ``phase`` by way of its executor."""
    executor = executor_of(phase)
    return lambda **arguments: executor.call(phase, arguments)
