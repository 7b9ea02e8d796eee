"""What a saga hands down to those it starts: ``SetContext``, ``GetContext``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from milo_effects.effects._checks import check_name, check_names


class Default(Enum):
    """What ``GetContext`` does without a default."""

    REQUIRED = "required"


REQUIRED: Final = Default.REQUIRED


@dataclass(frozen=True, slots=True)
class SetContext:
    """Set values by name, for this saga and those it starts from now on. Sends back ``None``.

    They are inherited by forks, attached or not, and by what ``Race``, ``All``, ``Timeout``,
    watchers, ``Debounce`` and the like start, each from the saga that yielded the effect as
    it was then. A saga that sets values anew changes neither the sagas above nor those
    already started.

        yield SetContext({"db": connect()})
    """

    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_names(self, self.values)


@dataclass(frozen=True, slots=True)
class GetContext:
    """Sends back the value that was set under ``name``, in this saga or above.

    Without one ``default`` is sent back, if it is given, and otherwise ``MissingValueError``
    is thrown.
    """

    name: str
    default: Any = REQUIRED

    def __post_init__(self) -> None:
        check_name(self, self.name)
