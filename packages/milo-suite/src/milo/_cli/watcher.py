"""Files that change, told as they do. The one module that knows watchfiles."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from milo._cli.errors import CommandError

if TYPE_CHECKING:
    from watchfiles import Change

Batch: TypeAlias = "set[tuple[Change, str]]"
"""What happened within a moment, as watchfiles tells it."""

_DEBOUNCE: Final = 1600
"""Milliseconds that watchfiles waits at most for the end of a series of changes."""
_STEP: Final = 50
"""Milliseconds without a change that are the end of one."""
NEEDED: Final = "watchfiles>=1.0"


class Roots(NamedTuple):
    """What is watched: ``trees`` with everything below them, ``folders`` without."""

    trees: frozenset[str]
    folders: frozenset[str]


class Watcher:
    """Calls ``tell`` with every batch of changes, or with the error that ended the watching.

    ``tell`` is called on threads of the watcher, which end with the ``with`` block.
    """

    def __init__(self, tell: Callable[[Batch | Exception], None]) -> None:
        self._tell = tell
        self._watches: list[_Watch] = []
        self._retired: list[_Watch] = []

    def watch(self, roots: Roots) -> None:
        """Watch ``roots`` in place of what was watched; from when this returns.

        Whatever happens in folders that stay is told, some of it twice.

        Raises:
            CommandError: they cannot be watched; what was watched is so still.
        """
        kinds = ((roots.trees, True), (roots.folders, False))
        watches = [_Watch(paths, self._tell, recursive=deep) for paths, deep in kinds if paths]
        try:
            for watch in watches:
                watch.wait_until_it_watches()
        except BaseException:
            _end(watches)
            raise
        for watch in self._watches:
            watch.retire()
        self._retired = [each for each in [*self._retired, *self._watches] if each.is_alive]
        self._watches = watches

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _end([*self._watches, *self._retired])


def refuse_unless_installed() -> None:
    """Raise ``CommandError``, which says what to install, unless files can be watched."""
    try:
        import watchfiles  # noqa: F401 (only whether it is there)
    except ImportError as missing:
        raise CommandError(
            f"--watch needs watchfiles, which cannot be imported ({missing}); install it with "
            f"the extra milo-suite[watch], or as: pip install '{NEEDED}'"
        ) from missing


class _Watch:
    """A thread in watchfiles, and also the event by which that asks whether it is to stop.

    It asks for the first time when it has begun to watch, and nothing else says so. When it is
    told to stop it throws away what it was about to tell; so one that has been replaced goes on
    until everything that happened before has been told.
    """

    def __init__(
        self,
        paths: Collection[str],
        tell: Callable[[Batch | Exception], None],
        *,
        recursive: bool,
    ) -> None:
        self._paths = sorted(paths)
        self._tell = tell
        self._recursive = recursive
        self._watches = threading.Event()
        self._is_retired = False
        self._is_ended = False
        self._steps_left = _DEBOUNCE // _STEP + 2
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="milo-watch", daemon=True)
        self._thread.start()

    def wait_until_it_watches(self) -> None:
        self._watches.wait()
        if self._failure is not None:
            raise CommandError(
                f"cannot watch {', '.join(map(os.path.relpath, self._paths[:3]))}: {self._failure}"
            ) from self._failure

    def is_set(self) -> bool:
        """Asked by watchfiles, once in each of its steps."""
        self._watches.set()
        if self._is_retired:
            self._steps_left -= 1
        return self._is_ended or self._steps_left <= 0

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def retire(self) -> None:
        """End once all is told that has happened by now; does not wait for that."""
        self._is_retired = True

    def end(self) -> None:
        """End, whatever there is still to tell; ``join`` waits for that."""
        self._is_ended = True

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        import watchfiles

        try:
            for batch in watchfiles.watch(
                *self._paths,
                watch_filter=None,
                debounce=_DEBOUNCE,
                step=_STEP,
                stop_event=self,
                rust_timeout=0,
                recursive=self._recursive,
                ignore_permission_denied=False,  # it would ignore every error
            ):
                self._tell(batch)
        except Exception as failure:  # the system's; told to whoever waits
            self._failure = failure
            if self._watches.is_set() and not self._is_retired:
                self._tell(failure)
            self._watches.set()


def _end(watches: Collection[_Watch]) -> None:
    for watch in watches:
        watch.end()
    for watch in watches:
        watch.join()
