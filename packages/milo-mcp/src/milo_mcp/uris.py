"""The addresses of what is shown, as text and as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

ACTIVE: Final = "milo://pipeline/timeline"
TIMELINES: Final = "milo://pipeline/{run}/timeline"
LOGS: Final = "milo://pipeline/{run}/phases/{phase}/logs{?cursor}"

LAST_CURSOR: Final = 2**53
"""Beyond it, JSON numbers are not whole any more for every client."""

_TIMELINE: Final = re.compile(r"milo://pipeline/(?:([^/?#]+)/)?timeline")
_LOGS: Final = re.compile(r"milo://pipeline/([^/?#]+)/phases/([^/?#]+)/logs(?:\?cursor=([^#&]*))?")
_LONGEST: Final = 4096


class UriError(ValueError):
    """A URI that addresses nothing here; says what would."""


@dataclass(frozen=True, slots=True)
class TimelineOf:
    """The timeline of a run; without ``run_id`` that of the active pipeline."""

    run_id: str = ""


@dataclass(frozen=True, slots=True)
class LogsOf:
    """The lines of a phase from ``cursor`` on, its first line being number 0."""

    run_id: str
    phase: str
    cursor: int | None = None


Address: TypeAlias = TimelineOf | LogsOf


def parse(uri: str) -> Address:
    """What ``uri`` addresses.

    Raises:
        UriError: nothing.
    """
    if len(uri) <= _LONGEST:
        if found := _TIMELINE.fullmatch(uri):
            return TimelineOf(unquote(found[1] or ""))
        if found := _LOGS.fullmatch(uri):
            return LogsOf(unquote(found[1]), unquote(found[2]), _cursor(found[3]))
    raise UriError(
        f"{uri[:200]!r} is no resource of this server; there are {ACTIVE}, {TIMELINES} and {LOGS}"
    )


def timeline_uri(run_id: str) -> str:
    """The address of a run's timeline.

    >>> timeline_uri("run-1")
    'milo://pipeline/run-1/timeline'
    """
    return f"milo://pipeline/{quote(run_id, safe='')}/timeline"


def logs_uri(run_id: str, phase: str) -> str:
    """The address of a phase's logs.

    >>> logs_uri("run-1", "a/b c")
    'milo://pipeline/run-1/phases/a%2Fb%20c/logs'
    """
    return f"milo://pipeline/{quote(run_id, safe='')}/phases/{quote(phase, safe='')}/logs"


def _cursor(given: str | None) -> int | None:
    if given is None:
        return None
    if not re.fullmatch("[0-9]{1,16}", given) or int(given) > LAST_CURSOR:
        raise UriError(
            f"cursor={given[:50]!r} is no line number; leave it out for the first page, or take "
            "next_cursor of the page before"
        )
    return int(given)
