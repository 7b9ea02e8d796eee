"""The seam between a store and the runtime that runs its sagas and commands.

A store knows no generator and no thread. It asks a factory, found by entry point or given
as ``Store(runtime=...)``, for a ``Runtime`` the first time one is needed, and hands it a
``RuntimeHost``. milo-effects provides the usual one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from milo_core.actions import Action
from milo_core.errors import MissingPluginError, PluginError
from milo_core.journal import Journal, Mark
from milo_core.plugins import plugin_group

RUNTIME_GROUP: Final = "milo.runtime"

PressureCallback: TypeAlias = Callable[[int, int], None]
"""Called with the number of active tasks and the number of workers."""


class StorePort(Protocol):
    """What effect handlers and runtimes may ask of a store."""

    @property
    def state(self) -> Any:
        """The current state, read without a lock."""

    @property
    def quit_requested(self) -> bool:
        """Whether a reducer has answered ``Quit``."""

    def dispatch(self, action: Action) -> None:
        """Send ``action`` through middleware and reducer."""


class Awaited(Protocol):
    """The types of action that somebody waits for."""

    def __contains__(self, action_type: str, /) -> bool:
        """Asked under the store's lock, for every action."""


@dataclass(frozen=True, slots=True)
class RuntimeHost:
    """What a store gives its runtime.

    Attributes:
        store: reading and dispatching.
        lock: the store's own lock, re-entrant; ``Runtime.on_action`` is called with it held,
            so whatever else touches the same data holds it too.
        put: dispatch an action and open ``mark`` behind it, under the lock: behind the first
            one, if middleware passes on several actions for it, and where the put began, if
            it passes on none.
        journal: where marks are opened.
        listen_for: say for which types of action ``Runtime.on_action`` is to be called. The
            container is asked at every dispatch, under the lock, and may change.
        max_workers: how many threads may run sagas; ``None`` leaves it to the runtime.
        on_pool_pressure: see ``Store``.
        pool_pressure_threshold: see ``Store``.
    """

    store: StorePort
    lock: threading.RLock
    put: Callable[[Action, Mark], None]
    journal: Journal
    listen_for: Callable[[Awaited], None]
    max_workers: int | None
    on_pool_pressure: PressureCallback | None
    pool_pressure_threshold: float


class Runtime(Protocol):
    """What a store needs of the thing that runs its sagas and commands."""

    @property
    def active(self) -> int:
        """How many pieces of work run or are queued; waiting sagas are not counted."""

    def on_action(self, action: Action) -> Callable[[], None] | None:
        """Wake what waits for ``action``; called under the store's lock, in order of dispatch.

        What is returned is called once the lock is released.
        """

    def start(self, sagas: tuple[Any, ...], cmds: tuple[Any, ...]) -> None:
        """Start what a reducer asked for. Called without the lock."""

    def run_saga(self, saga: Any, cancel: threading.Event | None, context: Any) -> Any:
        """Start one saga and return its context."""

    def wait_idle(self, timeout: float | None) -> bool:
        """Block until nothing runs or is queued, or until ``timeout`` seconds have passed."""

    def shutdown(self) -> None:
        """Cancel everything and give the threads back."""


RuntimeFactory: TypeAlias = Callable[[RuntimeHost], Runtime]


def installed_runtime() -> RuntimeFactory:
    """The runtime factory that an installed package declares.

    Raises:
        MissingPluginError: none is installed.
        PluginError: it cannot be loaded, or there are several.
    """
    group = plugin_group(RUNTIME_GROUP)
    names = group.names()
    if not names:
        raise MissingPluginError(
            "this store was asked to run sagas or commands, which needs the package "
            "milo-effects; install it (pip install milo-effects), or give the store a "
            "runtime of your own: Store(..., runtime=...)",
            group=RUNTIME_GROUP,
        )
    if len(names) > 1:
        found = " and ".join(f"{name} (from {group.distribution(name)})" for name in names)
        raise PluginError(
            f"a store needs one runtime, but {found} are installed; uninstall all but one, or "
            "choose: Store(..., runtime=...)",
            group=RUNTIME_GROUP,
        )
    factory = group.load(names[0])
    if not callable(factory):
        raise group.refuse(names[0], "a callable that makes a runtime", factory)
    return factory  # type: ignore[no-any-return]  # an entry point is untyped
