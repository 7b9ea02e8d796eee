"""Calling functions: ``Call``, ``TryCall``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milo_effects.effects._checks import check_call

_NO_KWARGS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, init=False)
class Call:
    """Run ``fn(*args, **kwargs)`` on a worker. Sends back what it returns.

    An ``async def`` runs on the runtime's event loop and holds no worker.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    # By hand: the generated one of a frozen class takes twice as long, and nearly every saga calls.
    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = _NO_KWARGS,
    ) -> None:
        if type(args) is not tuple or not callable(fn):
            check_call(self, fn, args)
        _set_fn(self, fn)
        _set_args(self, args)
        _set_kwargs(self, {} if kwargs is _NO_KWARGS else kwargs)


_set_fn = Call.__dict__["fn"].__set__
_set_args = Call.__dict__["args"].__set__
_set_kwargs = Call.__dict__["kwargs"].__set__


@dataclass(frozen=True, slots=True)
class TryCall:
    """As ``Call``. Sends back ``(result, None)``, or ``(None, error)`` when ``fn`` raises."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)
