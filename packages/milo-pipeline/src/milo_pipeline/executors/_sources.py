"""Modules that a fresh interpreter cannot import by name: the program's file, files run by path.

In a phase's process the program's file is imported as ``__mp_main__``, the name that
multiprocessing uses, so that its ``if __name__ == "__main__":`` blocks do not run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import Final

MAIN: Final = "__main__"
MAIN_THERE: Final = "__mp_main__"


@dataclass(frozen=True, slots=True)
class Source:
    """The file of a module, and for the program's own the package it is run in."""

    path: str
    package: str | None = None


def source_of(name: str) -> Source | None:
    """Where the code of module ``name`` of this process is; ``None`` if that is no file."""
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if path is None or path.endswith(tuple(EXTENSION_SUFFIXES)) or not os.path.isfile(path):
        return None
    package = getattr(module, "__package__", None) if name in (MAIN, MAIN_THERE) else None
    return Source(os.path.abspath(path), package or None)


def imported(name: str, sources: Mapping[str, Source]) -> ModuleType:
    """The module that is called ``name`` in the program which runs the pipeline.

    Raises:
        ModuleNotFoundError: neither its name nor ``sources`` leads to it.
    """
    if name in (MAIN, MAIN_THERE):
        return _main(sources.get(name))
    if name in sys.modules:
        return sys.modules[name]
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        outside = missing.name is None or not f"{name}.".startswith(f"{missing.name}.")
        if outside or name not in sources:
            raise
    return _load(name, sources[name])


def _main(source: Source | None) -> ModuleType:
    there = sys.modules.get(MAIN_THERE)
    # Not ours where a plugin of site has imported multiprocessing: it makes that an alias.
    if there is not None and there.__name__ == MAIN_THERE:
        return there
    if source is None:
        raise ModuleNotFoundError(
            "the program has no file: it is typed in, or given by -c", name=MAIN
        )
    sys.modules[MAIN] = main = _load(MAIN_THERE, source)
    return main


def _load(name: str, source: Source) -> ModuleType:
    spec = spec_from_loader(name, _FreshSource(name, source.path))
    assert spec is not None and spec.loader is not None  # a loader was given
    module = module_from_spec(spec)
    if source.package is not None:  # run by ``python -m``: its relative imports
        module.__package__, module.__spec__ = source.package, None
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _FreshSource(SourceFileLoader):
    """Compiles the file each time, like a script: reads and writes no bytecode cache."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)
