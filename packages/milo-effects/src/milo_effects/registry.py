"""Which handler carries out which effect.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Ping:
...     word: str
>>> @handles(Ping)
... def ping(effect, context, store):
...     return EffectResult.send(effect.word + "!")
>>> EffectRegistry(ping).knows(Ping("hello"))
True
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from milo_core import PluginError
from milo_core._sharing import share
from milo_core.plugins import PluginGroup, plugin_group
from milo_effects.errors import HandlerError, RegistrationError, UnknownEffectError
from milo_effects.results import Reply
from milo_effects.task import SagaTask

_log = logging.getLogger(__name__)

EFFECTS_GROUP: Final = "milo.effects"

Handler: TypeAlias = Callable[[Any, Any, Any], Any]
"""``(effect, context, store) -> EffectResult``, called on a worker; see ``answers``, too."""
Table: TypeAlias = Mapping[type, Handler]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Reply])
AnswerT = TypeVar("AnswerT", bound=Callable[..., Any])

_TYPE = "milo_effect_type"
_ANSWERS = "milo_answers"
_KEEPS_MARK = "milo_keeps_mark"


def handles(effect_type: type) -> Callable[[HandlerT], HandlerT]:
    """Mark a function as the handler of one effect type, for registries and entry points."""

    def mark(handler: HandlerT) -> HandlerT:
        setattr(handler, _TYPE, effect_type)
        return handler

    _refuse_other(effect_type, "handles")
    return mark


def answers(effect_type: type, *, keeps_mark: bool = False) -> Callable[[AnswerT], AnswerT]:
    """As ``handles``, for a handler whose return value is itself what the saga is sent.

    For effects that are answered at once: no ``EffectResult`` is made for each.
    ``return context.follow(reply)`` does anything else than send. ``keeps_mark`` is for an
    effect that opens the saga's mark for the effect that follows it, as ``Put`` does.

    >>> @answers(complex)
    ... def length(effect, context, store):
    ...     return abs(effect)
    """

    def mark(handler: AnswerT) -> AnswerT:
        setattr(handler, _TYPE, effect_type)
        setattr(handler, _ANSWERS, True)
        setattr(handler, _KEEPS_MARK, keeps_mark)
        return handler

    _refuse_other(effect_type, "answers")
    return mark


def _refuse_other(given: object, decorator: str) -> None:
    if not isinstance(given, type):
        raise RegistrationError(
            f"{decorator}(...) takes the effect's class, was given {given!r}; "
            f"write @{decorator}(MyEffect)"
        )


def table_of(*handlers: Handler | Table) -> dict[type, Handler]:
    """One table of marked handlers and tables.

    Raises:
        RegistrationError: a handler is not marked, or two are for the same type.
    """
    table: dict[type, Handler] = {}
    for given in handlers:
        for effect_type, handler in _entries(given):
            if table.setdefault(effect_type, handler) is not handler:
                raise RegistrationError(
                    f"{effect_type.__name__} has two handlers: {table[effect_type]!r} and "
                    f"{handler!r}; register one"
                )
    return table


def _entries(given: Handler | Table) -> Iterable[tuple[type, Handler]]:
    if isinstance(given, Mapping):
        return given.items()
    effect_type = getattr(given, _TYPE, None)
    if effect_type is None or not callable(given):
        raise RegistrationError(
            f"{given!r} is neither a handler marked with @handles(EffectType) nor a table of "
            "effect types and handlers"
        )
    return [(effect_type, given)]


def _answering(handler: Handler) -> Handler:
    """``handler`` as the runner calls it: one that returns a value, or leaves a reply."""
    if getattr(handler, _ANSWERS, False):
        return handler

    def leave_reply(effect: Any, context: SagaTask, store: Any) -> object:
        reply = handler(effect, context, store)
        if not isinstance(reply, Reply):
            raise HandlerError(effect, reply)
        return context.follow(reply)

    return leave_reply


def _keeps_mark(handler: Handler) -> bool:
    return getattr(handler, _KEEPS_MARK, False)


class EffectRegistry:
    """The handlers a runner uses: ours, those given, and those of installed plugins.

    Plugins are imported when a saga yields an effect that is not known otherwise, so they
    cost nothing until then. A plugin that is broken, or claims an effect that has a handler,
    is logged once and left out; the error for the unknown effect names it.

    Args:
        handlers: marked handlers or tables, on top of the built-in ones.
        plugins: where to find more; the installed ones by default.

    Raises:
        RegistrationError: two handlers are for the same effect type.
    """

    def __init__(self, *handlers: Handler | Table, plugins: PluginGroup | None = None) -> None:
        from milo_effects.handlers import BUILT_IN

        self._given = table_of(BUILT_IN, *handlers)
        self.table = {kind: _answering(handler) for kind, handler in self._given.items()}
        """Effect type to what the runner calls, see ``answers``."""
        self.keepers = frozenset(each for each in self._given.values() if _keeps_mark(each))
        """The handlers whose effects leave the saga's mark open."""
        share(self.table)
        self._plugins = plugins
        self._problems: tuple[Exception, ...] | None = None

    def find(self, effect: object) -> Handler:
        """The handler for ``effect``: of its class, of a base of it, or of a plugin.

        Raises:
            UnknownEffectError: there is none.
        """
        handler = self._find(type(effect))
        if handler is None:
            if self._problems is None:
                self._load_plugins()
            handler = self._find(type(effect))  # perhaps loaded by another worker meanwhile
        if handler is None:
            raise UnknownEffectError(effect, self.table, self._problems or ())
        return handler

    def knows(self, target: object) -> bool:
        """Whether there is a handler for ``target``, so that it is an effect."""
        try:
            self.find(target)
        except UnknownEffectError:
            return False
        return True

    def _find(self, effect_type: type) -> Handler | None:
        return next((self.table[k] for k in effect_type.__mro__ if k in self.table), None)

    def _load_plugins(self) -> None:
        group = self._plugins or plugin_group(EFFECTS_GROUP)
        loaded, broken = group.load_all()
        problems: list[Exception] = list(broken)
        for name, given in loaded.items():
            try:
                self._admit(name, given, group)
            except (RegistrationError, PluginError) as refusal:
                problems.append(refusal)
        for problem in problems:
            _log.warning("%s", problem)
        self._problems = tuple(problems)

    def _admit(self, name: str, given: Handler | Table, group: PluginGroup) -> None:
        try:
            found = table_of(given)
        except RegistrationError as cause:
            raise group.refuse(name, "a handler marked with @handles, or a table", given) from cause
        # Two workers may load at once; the second finds the first one's handlers, the same ones.
        taken = [kind for kind in found if self._given.get(kind, found[kind]) is not found[kind]]
        if taken:
            raise RegistrationError(
                f"plugin {name!r} of {group.group} (from {group.distribution(name)}) is left out: "
                f"{', '.join(kind.__name__ for kind in taken)} has a handler already"
            )
        self._given.update(found)
        self.keepers |= {each for each in found.values() if _keeps_mark(each)}
        self.table.update((kind, _answering(handler)) for kind, handler in found.items())
