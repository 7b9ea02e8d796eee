"""Calling functions: ``Call``, ``TryCall``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milo_effects.effects._checks import check_call


@dataclass(frozen=True, slots=True)
class Call:
    """Run ``fn(*args, **kwargs)`` on a worker. Sends back what it returns.

    An ``async def`` runs on the runtime's event loop and holds no worker.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)


@dataclass(frozen=True, slots=True)
class TryCall:
    """As ``Call``. Sends back ``(result, None)``, or ``(None, error)`` when ``fn`` raises."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)
