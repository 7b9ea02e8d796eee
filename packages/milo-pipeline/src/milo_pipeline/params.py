"""Parameters of a pipeline: declared with a type, given by name to a run, checked before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeAlias

from milo_pipeline._checks import refuse_unless
from milo_pipeline.errors import DefinitionError, ParameterError

_Complaint: TypeAlias = type[DefinitionError]

REQUIRED: Final[Any] = type("Required", (), {"__repr__": lambda self: "REQUIRED"})()
"""The default of a parameter that every run has to be given."""

_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_READ: Final[Mapping[type, Callable[[str], Any]]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda text: _WORDS[text.strip().lower()],
    Path: Path,
}


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter that runs of a pipeline can be given.

    ``type`` is ``str``, ``int``, ``float``, ``bool`` or ``Path``; a run's value must be of it
    (an ``int`` does for a ``float``), and one from the command line is read as it. With
    ``choices``, it must be one of these. Without a default every run has to give it.

    A phase names the parameters it uses, ``Phase(..., params=("limit",))``, and its handler
    is called with them by name.

    >>> Param("limit", int, default=10).read("25")
    25
    """

    name: str
    type: type = str
    default: Any = REQUIRED
    description: str = ""
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        named = str(self.name).isidentifier()
        refuse_unless(named, "Param", f"the name must be a Python name, not {self.name!r}")
        owner = f"parameter {self.name!r}"
        known = ", ".join(kind.__name__ for kind in _READ)
        refuse_unless(self.type in _READ, owner, f"type must be one of {known}, not {self.type!r}")
        object.__setattr__(self, "choices", tuple(self.choices))
        refuse_unless(
            all(self._fits(choice) for choice in self.choices),
            owner,
            f"choices must be of type {self.type.__name__}, not {self.choices!r}",
        )
        if self.default is not REQUIRED and self.default is not None:
            object.__setattr__(self, "default", self._checked(self.default, DefinitionError))

    @property
    def required(self) -> bool:
        """Whether every run has to give it."""
        return self.default is REQUIRED

    def read(self, text: str) -> Any:
        """The value that ``text``, from a command line, stands for.

        Raises:
            ParameterError: it stands for none of this type, or is none of the choices.
        """
        try:
            value = _READ[self.type](text)
        except (ValueError, KeyError):
            raise ParameterError(self._complaint(text)) from None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """``value`` as handlers get it.

        Raises:
            ParameterError: it is not of the type, or none of the choices.
        """
        return self._checked(value, ParameterError)

    def _checked(self, value: Any, kind: _Complaint) -> Any:
        if self.type is Path and isinstance(value, str):
            value = Path(value)
        if not self._fits(value) or (self.choices and value not in self.choices):
            raise kind(self._complaint(value))
        return float(value) if self.type is float else value

    def _fits(self, value: Any) -> bool:
        if self.type is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        if self.type is int and isinstance(value, bool):
            return False
        return isinstance(value, self.type)

    def _complaint(self, value: object) -> str:
        expected = (
            f"one of {', '.join(map(repr, self.choices))}"
            if self.choices
            else f"a value of type {self.type.__name__}"
        )
        return f"parameter {self.name!r} takes {expected}, not {value!r}"


def declared(owner: str, params: Iterable[object]) -> dict[str, Param]:
    """The parameters by name; two of the same name are refused."""
    by_name: dict[str, Param] = {}
    for param in params:
        if not isinstance(param, Param):
            raise DefinitionError(
                f"{owner}: params takes Param objects, not {param!r}; write Param('name', int)"
            )
        refuse_unless(param.name not in by_name, owner, f"two parameters are named {param.name!r}")
        by_name[param.name] = param
    return by_name


def bind(params: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter in a run that is given ``given``.

    Raises:
        ParameterError: an unknown name, a missing one, or a value that does not fit.
    """
    for name in given:
        if name not in params:
            raise _unknown(name, params)
    missing = [name for name, param in params.items() if param.required and name not in given]
    if missing:
        raise ParameterError(
            f"parameter {missing[0]!r} has no default and was not given; "
            f"give a value of type {params[missing[0]].type.__name__}"
        )
    return {
        name: param.check(given[name]) if name in given else param.default
        for name, param in params.items()
    }


def read(params: Mapping[str, Param], texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of parameters given as texts.

    Raises:
        ParameterError: an unknown name, or a text that does not fit.
    """
    for name in texts:
        if name not in params:
            raise _unknown(name, params)
    return {name: params[name].read(text) for name, text in texts.items()}


def _unknown(name: str, params: Mapping[str, Param]) -> ParameterError:
    near = get_close_matches(name, params, n=1)
    if near:
        advice = f"did you mean {near[0]!r}?"
    elif params:
        advice = f"there are {', '.join(params)}"
    else:
        advice = "this pipeline has none; declare it with params=(Param(...),)"
    return ParameterError(f"there is no parameter {name!r}; {advice}")
