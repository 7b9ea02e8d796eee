"""What milo-core raises.

MiloError
├── StateError            a store or reducer was used in a way it cannot be
├── ReplayError           a recording does not hold what it should; names the entry
└── PluginError           an entry point cannot be used; names its distribution
    └── MissingPluginError   nothing installed provides what was asked for
"""

from __future__ import annotations


class MiloError(Exception):
    """Base of every error that a Milo package raises on purpose."""


class StateError(MiloError):
    """A reducer failed, a reducer dispatched, or a store was used after its end.

    The state is what it was before the call that raised. A failing reducer's own
    exception is the ``__cause__``.
    """


class ReplayError(MiloError):
    """A recording cannot be read or replayed from entry ``index`` (counted from 0) on."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(index, problem)  # both, so that the error can be pickled
        self.index = index

    def __str__(self) -> str:
        return f"entry {self.index} of the recording {self.args[1]}"


class PluginError(MiloError):
    """An entry point was found and cannot be used: it does not import, or has the wrong type.

    Attributes:
        group: the entry-point group, for instance ``milo.effects``.
        plugin: the entry point's name.
        distribution: the distribution that declares it, as ``name version``.
    """

    def __init__(
        self, message: str, *, group: str = "", plugin: str = "", distribution: str = ""
    ) -> None:
        super().__init__(message)
        self.group = group
        self.plugin = plugin
        self.distribution = distribution


class MissingPluginError(PluginError):
    """Something needs a package that is not installed; the message says which to install."""
