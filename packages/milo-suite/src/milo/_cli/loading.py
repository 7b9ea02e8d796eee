"""Importing the code a target names, and saying in one line why it does not import."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

from milo._cli.blame import describe
from milo._cli.errors import CommandError


def load_source(source: Path | str) -> ModuleType:
    """Import a file, as ``python FILE`` finds it, or a module, as ``python -m`` does.

    Raises:
        CommandError: there is no such file or module, or its code raised; the message
            names the error and the line.
    """
    return _load_file(source) if isinstance(source, Path) else _load_module(source)


def folder_of(source: Path | str) -> Path:
    """The folder whose code belongs to the target: the file's, else the current one."""
    return source.resolve().parent if isinstance(source, Path) else Path.cwd()


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise CommandError(f"{path} is a folder; give the Python file in it")
    if not path.exists():
        raise CommandError(f"no such file: {path}{_nearest(path)}")
    name = _private_name(path)
    spec = spec_from_loader(name, _FreshSource(name, os.path.abspath(path)))
    assert spec is not None and spec.loader is not None  # a loader was given
    module = module_from_spec(spec)
    sys.path.insert(0, str(folder_of(path)))
    # Registered before it runs: dataclasses and pickle look their module up by name.
    sys.modules[name] = module
    try:
        with _import_errors_of(path):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str) -> ModuleType:
    with _import_errors_of(name):
        sys.path.insert(0, os.getcwd())
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
                raise  # something the module imports is missing, not the module
            raise CommandError(
                f"no module named {missing.name!r} (looked in {Path.cwd()} and among the "
                f"installed packages); for a file, give its path"
            ) from missing


@contextmanager
def _import_errors_of(source: Path | str) -> Iterator[None]:
    try:
        yield
    except CommandError:
        raise
    except (Exception, SystemExit) as cause:  # foreign code; reported in one line
        described = describe(cause, folder_of(source))
        raise CommandError(f"{source} does not import: {described}") from cause


class _FreshSource(SourceFileLoader):
    """Compiles the file each time, like a script: reads and writes no bytecode cache."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _private_name(path: Path) -> str:
    """A module name of its own for each file, so that no import meets it by accident."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    return f"_milo_target_{digest}_{path.stem}"


def _nearest(path: Path) -> str:
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return ""
    close = get_close_matches(path.name, beside, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""
