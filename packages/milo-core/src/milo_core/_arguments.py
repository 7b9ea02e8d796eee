"""What a ``Store`` may be made of: checked at once, with errors that say what to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any


def check_callable(name: str, given: object, parameters: str) -> None:
    """Refuse what cannot be called with ``parameters``, as far as that can be seen."""
    if not callable(given):
        raise TypeError(f"{name} must be a function of ({parameters}), was given {given!r}")


def check_pool(max_workers: object, on_pressure: object, threshold: object) -> None:
    """Refuse a pool that no runtime could make."""
    if max_workers is not None and not isinstance(max_workers, int):
        raise TypeError(f"max_workers takes an int or None, was given {max_workers!r}")
    if max_workers is not None and max_workers < 1:
        raise ValueError(f"max_workers must be at least 1 or None, was given {max_workers}")
    if on_pressure is not None:
        check_callable("on_pool_pressure", on_pressure, "active, max_workers")
    if not isinstance(threshold, int | float):
        raise TypeError(f"pool_pressure_threshold takes a number, was given {threshold!r}")
    if not threshold > 0:
        raise ValueError(f"pool_pressure_threshold must be above 0, was given {threshold}")


def middleware_layers(given: object) -> tuple[Callable[..., Any], ...]:
    """The middleware as a tuple of functions, from any iterable of them."""
    if not isinstance(given, Iterable):
        name = getattr(given, "__name__", "it")
        raise TypeError(
            f"middleware takes a tuple, was given {given!r}; write middleware=({name},)"
        )
    layers = tuple(given)
    for layer in layers:
        check_callable("middleware", layer, "next_dispatch, get_state")
    return layers


def apply_layer(
    layer: Callable[..., Any], next_dispatch: Callable[..., Any], get_state: Callable[[], Any]
) -> Callable[..., Any]:
    """The dispatch function that ``layer`` makes of ``next_dispatch``."""
    made: Callable[..., Any] = layer(next_dispatch, get_state)
    if not callable(made):
        raise TypeError(
            f"middleware {layer!r} must return its dispatch function, returned {made!r}"
        )
    return made


def recording_path(record: object) -> Path | None:
    """Where to stream the recording to, if ``record`` says."""
    if isinstance(record, bool):
        return None
    if isinstance(record, str | PathLike) and str(record):
        return Path(record)
    raise TypeError(f"record takes True, False or a path, was given {record!r}")
