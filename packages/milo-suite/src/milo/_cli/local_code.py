"""The code that belongs to a target: where it is, and how to have it imported afresh."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from milo._cli.loading import folder_of
from milo_pipeline.patterns import place_of

# In a clone of Milo its own packages lie below the current folder too.
_OURS = frozenset(
    {"milo", "milo_core", "milo_capture", "milo_effects", "milo_pipeline", "milo_durable"}
)


class LocalCode:
    """The target's file and the modules that were imported from its folder or the current one.

    To be made before the target is loaded: what is imported by then belongs to the command,
    as does everything in ``site-packages``.
    """

    def __init__(self, source: Path | str) -> None:
        self._folders = {os.path.realpath(folder_of(source)), os.path.realpath(os.curdir)}
        self._packages = _OURS | {name.partition(".")[0] for name in sys.modules}
        self._path = list(sys.path)
        self._files = {place_of(source)} if isinstance(source, Path) else set()

    def files(self) -> frozenset[str]:
        """The files that the target was made from, now or when it was loaded before.

        A target that does not load may have met its error before its other imports.
        """
        self._files.update(file for _, module in self._modules() for file in _sources(module))
        return frozenset(self._files)

    def forget(self, changed: Iterable[str]) -> None:
        """Undo what loading the target has done, so that it is imported anew.

        Compiled forms of the files ``changed`` are removed: they count as up to date if their
        source was changed within a second and kept its length.
        """
        for file in changed:
            if file.endswith(".py"):
                with suppress(OSError, NotImplementedError):
                    os.unlink(cache_from_source(file))
        for name in [name for name, _ in self._modules()]:
            del sys.modules[name]
        sys.path[:] = self._path
        importlib.invalidate_caches()

    def _modules(self) -> Iterator[tuple[str, ModuleType]]:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in self._packages or not isinstance(module, ModuleType):
                continue
            if any(self._is_local(place) for place in [*_sources(module), *_namespace(module)]):
                yield name, module

    def _is_local(self, place: str) -> bool:
        return any(_is_below(place, folder) for folder in self._folders) and not any(
            _is_below(place, installed) for installed in _installed()
        )


def _sources(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    return [place_of(file)] if isinstance(file, str) and file.endswith(".py") else []


def _namespace(module: ModuleType) -> list[str]:
    """The folders of a package without a file of its own."""
    if getattr(module, "__file__", None) is not None:
        return []
    return [place_of(folder) for folder in getattr(module, "__path__", ())]


def _installed() -> set[str]:
    paths = sysconfig.get_paths()
    return {os.path.realpath(paths[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib")}


def _is_below(place: str, folder: str) -> bool:
    return place.startswith(os.path.join(folder, ""))
