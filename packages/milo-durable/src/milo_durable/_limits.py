"""Concurrency limits: of some names, only so many sagas run at the same time.

A saga has a place while it is RUNNING or COMPENSATING. Places are given under a lock, one of each
name; whoever finds none is due at once, and waits for its turn. Names without a limit know
nothing of all this.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from milo_durable._deciding.branch_deadlines import due
from milo_durable._deciding.queueing import queued, taken
from milo_durable._deciding.transition import Transition, applied
from milo_durable._places import Known, Places
from milo_durable.definition import check_text
from milo_durable.errors import SagaDefinitionError
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WORKING

if TYPE_CHECKING:
    from milo_durable.engine import SagaEngine

_log = logging.getLogger(__name__)

Taken: TypeAlias = tuple[list[SagaSnapshot], int]
"""What is to be driven, and of how many sagas."""
Move: TypeAlias = tuple[SagaSnapshot, Transition]
"""A saga, and what follows for it."""


class Limits:
    """How many sagas of each name may run at the same time, and whose turn it is."""

    def __init__(self, engine: SagaEngine) -> None:
        self._engine = engine
        self._places = Places(engine.table)
        self._of: dict[str, int] = {}
        self._broken: set[UUID] = set()
        self._limited_first = False

    def __bool__(self) -> bool:
        """Whether any name has a limit."""
        return bool(self._of)

    def __contains__(self, name: str) -> bool:
        """Whether this name has one."""
        return name in self._of

    def check(self, name: str, limit: object) -> None:
        """Raises: SagaDefinitionError: it is no limit, or the name has another."""
        check_text("the name of a saga", name)
        if limit is None:
            return
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise SagaDefinitionError(
                f"saga {name!r}: concurrency_limit must be a whole number from 1, not "
                f"{limit!r:.200}; leave it out to have no limit"
            )
        if self._of.get(name, limit) != limit:
            raise SagaDefinitionError(
                f"saga {name!r} is registered with concurrency_limit={self._of[name]} already, "
                f"which all its versions share, so it cannot be {limit} too; give the same, or "
                "leave it out"
            )

    def add(self, name: str, limit: int | None) -> None:
        """Have this limit for a name, as ``check`` allows it."""
        if limit is not None:
            self._of[name] = limit
            self._engine.table.woken_for.add(name)

    # A place for one saga

    async def admitted(self, connection: AsyncConnection, saga: SagaSnapshot) -> SagaSnapshot:
        """A new saga as it begins: running if there is a place, else due at once."""
        return (await self._given_a_place(connection, saga, Transition(saga))).after

    async def granted(
        self, connection: AsyncConnection, saga: SagaSnapshot, transition: Transition
    ) -> Transition:
        """``transition``, or when there is no place for what it sets going, that waits."""
        if not self._needs_place(saga, transition):
            return transition
        return await self._given_a_place(connection, saga, transition)

    def deferred(self, saga: SagaSnapshot, transition: Transition) -> Transition:
        """``transition``, but what it sets going waits for its turn, if it needs a place."""
        if not self._needs_place(saga, transition):
            return transition
        return queued(self._engine.definitions.of(saga), transition, self._engine.moment())

    def waits_for_place(self, saga: SagaSnapshot) -> bool:
        """Whether this saga, if it is to go on, has to wait for its turn."""
        return saga.saga_name in self._of and saga.status not in WORKING

    def _needs_place(self, saga: SagaSnapshot, transition: Transition) -> bool:
        return self.waits_for_place(saga) and transition.after.status in WORKING

    async def _given_a_place(
        self, connection: AsyncConnection, saga: SagaSnapshot, transition: Transition
    ) -> Transition:
        limit, known = self._of[saga.saga_name], self._engine.definitions.known()
        await self._places.lock(connection, saga.saga_name)
        moment = self._engine.moment()
        if await self._places.ahead(connection, saga, known, moment.now, limit) < limit:
            return transition
        return queued(self._engine.definitions.of(saga), transition, moment)

    # What is due

    async def take(self, limit: int) -> Taken:
        """As ``SagaEngine.take_due``: those with a limit first, and next time the others."""
        known = self._engine.definitions.known()
        parts = [
            (self._engine.take_free, [each for each in known if each[0] not in self._of]),
            (self._take_limited, [each for each in known if each[0] in self._of]),
        ]
        self._limited_first = not self._limited_first
        if self._limited_first:
            parts.reverse()
        views, count = [], 0
        for take, names in parts:
            more, others = await take(names, limit - count)
            views += more
            count += others
        return views, count

    async def _take_limited(self, known: Known, limit: int) -> Taken:
        """Waits that have come to nothing first, which needs no place; then whose turn it is."""
        if limit < 1:
            return [], 0
        now = self._engine.clock()
        async with self._engine.database.reading() as connection:
            late = await self._places.late(connection, known, now, limit)
        views, count = await self._engine.take_late(late)
        async with self._engine.database.reading() as connection:
            names = await self._places.names(connection, known, now)
        for name in names:
            if count < limit:
                more, others = await self._take_of(name, known, limit - count)
                views += more
                count += others
        return views, count

    async def _take_of(self, name: str, known: Known, limit: int) -> Taken:
        """Those of one name that have waited longest, as many as there are places."""
        done: list[Move] = []
        count = 0
        async with self._engine.database.transaction("claim") as connection:
            await self._places.lock(connection, name)
            now = self._engine.clock()
            room = min(self._of[name] - await self._places.running(connection, name, now), limit)
            if room > 0:
                broken = len(self._broken)  # they stand in nobody's way
                due_now = await self._places.waiting(connection, name, known, now, room + broken)
                for moves in self._moves_of_first(due_now, room):
                    for saga, transition in moves:
                        await self._engine.table.move(connection, saga, transition)
                    done += moves
                    count += 1
        views: list[SagaSnapshot] = []
        for saga, transition in done:
            views += await self._engine.told(saga, transition, resumes=False)
        return views, count

    def _moves_of_first(self, sagas: list[SagaSnapshot], room: int) -> list[list[Move]]:
        """How the first of ``sagas`` go on, ``room`` of them at most."""
        found: list[list[Move]] = []
        for saga in sagas:
            if len(found) < room and (moves := self._moves_of(saga)):
                found.append(moves)
        return found

    def _moves_of(self, saga: SagaSnapshot) -> list[Move]:
        """How this saga goes on, none if that cannot be said; only branches may need several."""
        moment, moves = self._engine.moment(), list[Move]()
        if not saga.branches:
            return [(saga, taken(saga, moment))]
        try:
            definition = self._engine.definitions.of(saga)
            while (transition := due(saga, definition, moment)) is not None:
                moves.append((saga, transition))
                saga = applied(saga, transition)
        except Exception:  # of a saga that is broken; others have their turn
            _log.exception("saga %s could not be taken; that is tried again later", saga.id)
            self._broken.add(saga.id)
            return []
        self._broken.discard(saga.id)
        return moves
