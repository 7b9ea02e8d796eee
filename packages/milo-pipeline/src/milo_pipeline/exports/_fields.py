"""Reading an object of somebody's JSON: each field as what it must be, or where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_SECONDS = 1e12


class Problem(Exception):
    """A field is missing or not what it must be; the message names it by its path."""


class Fields:
    """The fields of one object, each asked for by its kind.

    Raises (from all of its methods):
        Problem: the field is missing or of another kind.

    >>> Fields({"phases": [{"weight": "much"}]}, "").objects("phases")[0].whole("weight")
    Traceback (most recent call last):
    milo_pipeline.exports._fields.Problem: phases[0].weight must be a whole number, not 'much'
    """

    def __init__(self, given: Mapping[str, Any], path: str) -> None:
        self._given = given
        self._path = path

    def has(self, key: str) -> bool:
        """Whether there is such a field, of whatever kind."""
        return key in self._given

    def text(self, key: str) -> str:
        """A text."""
        value = self._value(key)
        if not isinstance(value, str):
            raise self._problem(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A text, or nothing."""
        return None if self._value(key) is None else self.text(key)

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self._list(key)
        if not all(isinstance(each, str) for each in value):
            raise self._problem(key, "a list of texts")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value(key)
        if not isinstance(value, bool):
            raise self._problem(key, "true or false")
        return value

    def whole(self, key: str) -> int:
        """A whole number of at least 0."""
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._problem(key, "a whole number")
        return value

    def seconds(self, key: str) -> float:
        """A number within reason; a little below 0 is one."""
        value = self._value(key)
        if not _is_time(value):
            raise self._problem(key, "a number")
        return float(value)

    def seconds_or_none(self, key: str) -> float | None:
        """A number, or nothing."""
        return None if self._value(key) is None else self.seconds(key)

    def one_of(self, key: str, words: tuple[str, ...]) -> Any:
        """One of ``words``."""
        value = self._value(key)
        if value not in words:
            raise self._problem(key, f"one of {', '.join(words)}")
        return value

    def objects(self, key: str) -> list[Fields]:
        """A list of objects."""
        value = self._list(key)
        if not all(isinstance(each, dict) for each in value):
            raise self._problem(key, "a list of objects")
        return [Fields(each, f"{self._path}{key}[{i}].") for i, each in enumerate(value)]

    def length(self, key: str) -> int:
        """How many items a list has."""
        return len(self._list(key))

    def log(self, i: int) -> tuple[str, str, float]:
        """Number ``i`` of the list ``logs``: a line, a stream, a time."""
        value = self._list("logs")[i]
        match value:
            case [str(line), str(stream), at] if _is_time(at):
                return line, stream, float(at)
        raise Problem(f"{self._path}logs[{i}] must be [line, stream, time], not {_short(value)}")

    def _list(self, key: str) -> list[Any]:
        value = self._value(key)
        if not isinstance(value, list):
            raise self._problem(key, "a list")
        return value

    def _value(self, key: str) -> Any:
        try:
            return self._given[key]
        except KeyError:
            raise Problem(f"{self._path}{key} is missing") from None

    def _problem(self, key: str, expected: str) -> Problem:
        given = _short(self._given[key])
        return Problem(f"{self._path}{key} must be {expected}, not {given}")


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _MOST_SECONDS


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"
