"""Options that name something in a module, ``module:attribute``: what it is, or why it is not."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from milo_durable.cli.text import one_line


class BadOption(click.ClickException):
    """An option leads to nothing that will do; what was given and what is expected."""


@dataclass(frozen=True, slots=True)
class Naming:
    """An option of the command line that names something in a module.

    Attributes:
        fits: whether something is surely meant; its name is suggested, however unlike it is.
    """

    option: str
    example: str
    expected: str
    fits: Callable[[Any], bool] = lambda _: False

    def load(self, given: str) -> Any:
        """What ``given`` names; its module is also looked for in the current folder.

        Raises:
            BadOption: it names nothing.
        """
        name, _, attribute = given.partition(":")
        is_file = name.endswith(".py") or os.sep in name
        if is_file or not all(part.isidentifier() for part in f"{name}.{attribute}".split(".")):
            hint = "; a file is named as a module, without .py" if is_file else ""
            raise BadOption(
                f"{self.option} must be module:attribute, such as {self.example}, not "
                f"{given!r}{hint}"
            )
        found: Any = self._import(given, name)
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise self.refused(given, self._nothing_there(found, part))
            found = getattr(found, part)
        return found

    def check_call(self, given: str, found: Any, *arguments: object) -> None:
        """Raises: BadOption: what was given cannot be called with these."""
        try:
            inspect.signature(found).bind(*arguments)
        except TypeError as mismatch:
            problem = f"{one_line(mismatch)}; it must be {self.expected}"
            raise self.refused(given, problem) from mismatch
        except ValueError:  # some builtins have no signature; the call itself will tell
            pass

    def refused(self, given: str, problem: str) -> BadOption:
        """Says what is wrong with what was given."""
        return BadOption(f"{self.option} {given}: {problem}")

    def raised(self, given: str, cause: BaseException) -> BadOption:
        """Names the error, and the deepest line that is neither Python's nor of a package."""
        frames = [
            frame
            for frame in traceback.extract_tb(cause.__traceback__)
            if not frame.filename.startswith("<") and _is_own(Path(frame.filename))
        ]
        last = frames[-1] if frames else None
        where = f" ({os.path.relpath(last.filename)}:{last.lineno})" if last else ""
        return self.refused(given, f"{type(cause).__name__}: {one_line(cause)}{where}")

    def _import(self, given: str, name: str) -> ModuleType:
        sys.path.insert(0, os.getcwd())
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
                raise self.raised(given, missing) from missing
            raise self.refused(
                given,
                f"no module named {missing.name!r} (looked in {os.getcwd()} and among the "
                "installed packages)",
            ) from missing
        except (Exception, SystemExit) as cause:  # foreign code; reported in one line
            raise self.raised(given, cause) from cause

    def _nothing_there(self, found: Any, name: str) -> str:
        where = getattr(found, "__name__", type(found).__name__)
        public = [each for each in dir(found) if not each.startswith("_")]
        fitting = [each for each in public if self.fits(getattr(found, each))]
        close = fitting or get_close_matches(name, public, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; it must be {self.expected}"
        return f"{where} has no {name!r}{hint}"


def _is_own(file: Path) -> bool:
    installed = (Path(os.__file__).parent, Path(__file__).parents[1])
    return "site-packages" not in file.parts and not any(map(file.is_relative_to, installed))
