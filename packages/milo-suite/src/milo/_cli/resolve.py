"""From TARGET and ARGS to the one pipeline they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from milo._cli.blame import describe
from milo._cli.errors import CommandError
from milo._cli.loading import folder_of, load_source
from milo._cli.target import Target, parse_target
from milo_pipeline import Pipeline

_MOST_LISTED = 8


def resolve_pipeline(text: str, args: tuple[str, ...]) -> Pipeline:
    """The pipeline that ``text`` names, made by its factory with ``args`` if it names one.

    Raises:
        CommandError: anything that keeps it from being one, from a missing file to a cycle.
    """
    target = parse_target(text)
    return _resolved(load_source(target.source), target, args)


def resolve_pipelines(text: str, args: tuple[str, ...]) -> list[Pipeline]:
    """The pipelines that ``text`` means: without a name, all that its file or module holds.

    What the name stands for that is taken without one comes first; ``args`` are for it.

    Raises:
        CommandError: as ``resolve_pipeline``, or there are two of one name.
    """
    target = parse_target(text)
    module = load_source(target.source)
    others = [] if target.is_named else _pipelines_of(module)
    has_default = hasattr(module, target.name)
    if target.is_named or has_default or args or not others:
        others = [_resolved(module, target, args), *others]
    found = list(dict.fromkeys(others))
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise CommandError(
                f"{target.source} has {names.count(name)} pipelines called {name!r}; give them "
                f"different names, or choose one of them: {target.source}:NAME"
            )
    return found


def _resolved(module: ModuleType, target: Target, args: tuple[str, ...]) -> Pipeline:
    found = _look_up(module, target)
    if isinstance(found, Pipeline):
        return _without_arguments(found, target, args)
    if callable(found):
        return _made_by(found, target, args)
    raise CommandError(f"{target} is {_kind(found)}, expected a Pipeline or a function making one")


def _look_up(module: ModuleType, target: Target) -> Any:
    found: Any = module
    for part in target.name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as missing:
            raise CommandError(_nothing_there(module, target)) from missing
    return found


def _pipelines_of(module: ModuleType) -> list[Pipeline]:
    return [value for value in vars(module).values() if isinstance(value, Pipeline)]


def _nothing_there(module: ModuleType, target: Target) -> str:
    """Name what the user may have meant: the pipelines that are there, or a close name."""
    problem = f"{target.source} has no {target.name!r}"
    pipelines = [name for name, value in vars(module).items() if isinstance(value, Pipeline)]
    if pipelines:
        meant = (get_close_matches(target.name, pipelines, n=1) or pipelines)[0]
        return f"{problem} but {_listed(pipelines)}; say {target.source}:{meant}"
    public = [name for name in vars(module) if not name.startswith("_")]
    close = get_close_matches(target.name, public, n=1)
    if close:
        return f"{problem}; did you mean {target.source}:{close[0]}?"
    return f"{problem} and no Pipeline; define one: {target.name} = Pipeline(...)"


def _listed(names: list[str]) -> str:
    """The first few names in quotes."""
    few = ", ".join(repr(name) for name in names[:_MOST_LISTED])
    return f"{few} and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else few


def _without_arguments(pipeline: Pipeline, target: Target, args: tuple[str, ...]) -> Pipeline:
    if args:
        raise CommandError(
            f"{target} is a Pipeline and takes no arguments, was given {' '.join(args)!r}; "
            "name a function that makes one"
        )
    return pipeline


def _made_by(factory: Callable[..., Any], target: Target, args: tuple[str, ...]) -> Pipeline:
    _check_arguments(factory, target, args)
    try:
        made = factory(*args)
    except (Exception, SystemExit) as cause:  # foreign code; reported in one line
        raise CommandError(f"{target}: {describe(cause, folder_of(target.source))}") from cause
    if not isinstance(made, Pipeline):
        raise CommandError(f"{target} returned {_kind(made)}, expected a Pipeline")
    return made


def _check_arguments(factory: Callable[..., Any], target: Target, args: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(factory)
    except ValueError:  # some builtins have none; the call itself will tell
        return
    try:
        signature.bind(*args)
    except TypeError as mismatch:
        plain = signature.replace(return_annotation=inspect.Signature.empty)
        raise CommandError(
            f"{target}{plain} cannot be called with {len(args)} "
            f"{'argument' if len(args) == 1 else 'arguments'}: {mismatch}"
        ) from mismatch


def _kind(value: object) -> str:
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return "None" if value is None else f"{article} {kind}"
