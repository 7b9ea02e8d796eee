"""What a reducer may return besides the next state: work to start, a view, the wish to quit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, final


@dataclass(frozen=True, slots=True)
class ViewState:
    """How the terminal should look; ``None`` leaves a setting as it is."""

    alt_screen: bool | None = None
    cursor_visible: bool | None = None
    window_title: str | None = None
    mouse_mode: bool | None = None


def merge_views(earlier: ViewState | None, later: ViewState | None) -> ViewState | None:
    """Every field that ``later`` sets, over those of ``earlier``."""
    if earlier is None or later is None:
        return later if earlier is None else earlier
    given = {f.name: getattr(later, f.name) for f in fields(later)}
    return replace(earlier, **{name: value for name, value in given.items() if value is not None})


@final
@dataclass(frozen=True, slots=True)
class ReducerResult:
    """The next state, and what the store should do once it holds.

    ``sagas`` are generators, or functions without parameters that return one;
    ``cmds`` are commands. Listeners hear of the state before either starts. Not for
    subclassing: the store tells answers from states by their exact type.
    """

    state: Any
    sagas: tuple[Any, ...] = ()
    cmds: tuple[Any, ...] = ()
    view: ViewState | None = None

    def __post_init__(self) -> None:
        _freeze(self, "sagas", self.sagas)
        _freeze(self, "cmds", self.cmds)

    def __init_subclass__(cls) -> None:
        raise TypeError("ReducerResult cannot be subclassed; put your data into its state")


@final
@dataclass(frozen=True, slots=True)
class Quit:
    """A last state and an exit code; the store goes on working, its owner should stop.

    ``Quit(ReducerResult(...))`` keeps the inner sagas and commands behind its own, and
    the inner view (SEMANTICS, Store).
    """

    state: Any
    code: int = 0
    sagas: tuple[Any, ...] = ()
    cmds: tuple[Any, ...] = ()
    view: ViewState | None = None

    def __post_init__(self) -> None:
        _freeze(self, "sagas", self.sagas)
        _freeze(self, "cmds", self.cmds)
        if not isinstance(self.code, int):
            raise TypeError(f"Quit(code=...) takes an int, was given {self.code!r}")

    def __init_subclass__(cls) -> None:
        raise TypeError("Quit cannot be subclassed; put your data into its state")


def _freeze(result: ReducerResult | Quit, name: str, given: object) -> None:
    """Accept any iterable; a lone saga or command in place of one is a common slip."""
    if type(given) is tuple:
        return
    if callable(given) or not isinstance(given, Iterable) or hasattr(given, "send"):
        raise TypeError(
            f"{type(result).__name__}({name}=...) takes a tuple, was given {given!r}; "
            f"write {name}=({getattr(given, '__name__', 'it')},)"
        )
    object.__setattr__(result, name, tuple(given))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reducer's answer with its wrappings taken off, whichever they were."""

    state: Any
    sagas: tuple[Any, ...] = ()
    cmds: tuple[Any, ...] = ()
    view: ViewState | None = None
    quit_code: int | None = None


def unwrap(answer: Any) -> Outcome:
    """Take ``ReducerResult`` and ``Quit`` off ``answer``, joining what nested ones carry.

    Outer sagas and commands come first, the innermost view and the outermost code win.
    """
    sagas: tuple[Any, ...] = ()
    cmds: tuple[Any, ...] = ()
    view: ViewState | None = None
    code: int | None = None
    while isinstance(answer, ReducerResult | Quit):
        sagas += answer.sagas
        cmds += answer.cmds
        view = view if answer.view is None else answer.view
        if isinstance(answer, Quit) and code is None:
            code = answer.code
        answer = answer.state
    return Outcome(answer, sagas, cmds, view, code)


def wrap(outcome: Outcome) -> Any:
    """The plainest reducer answer that says the same as ``outcome``."""
    if outcome.quit_code is not None:
        return Quit(outcome.state, outcome.quit_code, outcome.sagas, outcome.cmds, outcome.view)
    if outcome.sagas or outcome.cmds or outcome.view is not None:
        return ReducerResult(outcome.state, outcome.sagas, outcome.cmds, outcome.view)
    return outcome.state
