"""What happens in a run, as the displays tell it: one event for each pipeline action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from milo._cli.items import NO_ITEMS, ItemCount
from milo_core import Action
from milo_pipeline import PipelineState, actions

KINDS: Final[Mapping[str, str]] = {
    actions.PIPELINE_START: "pipeline_started",
    actions.PHASE_START: "phase_started",
    actions.PHASE_LOG: "phase_log",
    actions.PHASE_RETRY: "phase_retrying",
    actions.PHASE_MAPPED: "phase_mapped",
    actions.PHASE_ITEM: "phase_item",
    actions.PHASE_COMPLETE: "phase_completed",
    actions.PHASE_SKIPPED: "phase_skipped",
    actions.PHASE_FAILED: "phase_failed",
    actions.PIPELINE_COMPLETE: "pipeline_completed",
    actions.PIPELINE_CANCELLED: "pipeline_cancelled",
}
"""Action type to event kind."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; which fields mean something depends on ``kind``.

    Attributes:
        at: seconds since the pipeline started.
        elapsed: seconds since the phase's first attempt began.
        attempt: the attempt that began, failed or succeeded, from 1.
        source: where the result of a completed phase came from, if not from its handler.
        item: the number of the item that an event is about, from 0.
        status: what has become of that item.
        items: how many items the phase has, and what has come of them so far.
    """

    kind: str
    at: float
    pipeline: str
    phase: str = ""
    attempt: int = 0
    elapsed: float = 0.0
    stream: str = ""
    line: str = ""
    error: str = ""
    max_retries: int = 0
    source: str = ""
    item: int = 0
    status: str = ""
    items: ItemCount = NO_ITEMS

    @property
    def count(self) -> int:
        """How many items the phase has."""
        return self.items.total


class EventReader:
    """Reads actions in the order of their commit, remembering when each phase began.

    Beside that it counts attempts and items, so that an event costs the same with 10 phases
    or items and with 10,000. Not thread-safe: pipelines tell one action at a time.
    """

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._attempt: dict[tuple[str, int], int] = {}
        self._items: dict[str, ItemCount] = {}

    def read(self, action: Action, state: PipelineState) -> Event | None:
        """The event ``action`` stands for; ``state`` is the one it led to."""
        kind = KINDS.get(action.type)
        if kind is None:
            return None
        facts = _facts(action)
        at = facts.get("at", facts.get("timestamp", state.started_at))
        since_start = max(0.0, at - state.started_at)
        name = facts.get("name", "")
        if not name:
            return Event(kind, since_start, state.name)
        self._note(action, name, at, facts)
        return Event(
            kind,
            since_start,
            state.name,
            phase=name,
            attempt=self._attempt.get(_subject(action, facts), facts.get("attempt", 1)),
            elapsed=max(0.0, at - self._began.get(name, at)),
            stream=facts.get("stream", ""),
            line=facts.get("line", ""),
            error=facts.get("error", ""),
            max_retries=facts.get("max_retries", 0),
            source=str(facts.get("source", "")),
            item=facts.get("item", 0),
            status=facts.get("status", ""),
            items=self._items.get(name, NO_ITEMS),
        )

    def _note(self, action: Action, name: str, at: float, facts: Mapping[str, Any]) -> None:
        if action.type == actions.PHASE_START:
            self._began.setdefault(name, at)
        elif action.type == actions.PHASE_MAPPED:
            self._items[name] = ItemCount(facts["count"])
        elif action.type == actions.PHASE_ITEM:
            count = self._items.get(name, NO_ITEMS)
            self._items[name] = count.after(facts["status"], facts.get("error", ""))
        if action.type == actions.PHASE_START or "attempt" in facts:
            self._attempt[_subject(action, facts)] = facts.get("attempt", 1)


def _subject(action: Action, facts: Mapping[str, Any]) -> tuple[str, int]:
    """Whose attempts are counted: a phase's, or those of one of its items."""
    return facts["name"], facts["item"] if action.type == actions.PHASE_ITEM else -1


def _facts(action: Action) -> Mapping[str, Any]:
    """The payload as a mapping, whichever of the accepted shorter forms it has."""
    if isinstance(action.payload, Mapping):
        return action.payload
    if isinstance(action.payload, str):
        return {"name": action.payload}
    return {} if action.payload is None else {"at": action.payload}
