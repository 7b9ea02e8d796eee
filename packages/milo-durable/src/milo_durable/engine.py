"""The engine: drives sagas from step to step, one commit for each.

Everything happens on the event loop of the caller. A saga belongs to whoever holds its token;
each commit asks for it, so a worker that was taken for dead changes nothing when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from milo_durable import _crash, _work
from milo_durable._database import Database, Kept
from milo_durable._deciding.back import after_compensation
from milo_durable._deciding.branch_deadlines import due, put_off
from milo_durable._deciding.branch_outcomes import after_branch, begun
from milo_durable._deciding.branches import focused, is_held, step_in_view
from milo_durable._deciding.forward import after_execution
from milo_durable._deciding.outside import after_expiry
from milo_durable._deciding.transition import Failed, Moment, Outcome, Transition, Waits, applied
from milo_durable._hooks import HookCalls
from milo_durable._limits import Limits
from milo_durable._outbox import OutboxTable, read_outbox_events
from milo_durable._recording import (
    Recording,
    RecordingFailed,
    record,
    recording_of,
    refused_by_commit,
)
from milo_durable._table import SagaTable
from milo_durable._work import GRACE
from milo_durable.definition import SagaDefinition, StepDefinition, check_span, check_text
from milo_durable.errors import (
    ActiveSagaAlreadyExistsError,
    SagaDataError,
    SagaDefinitionError,
    SagaNotFoundError,
    UnknownSagaError,
)
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WORKING, SagaStatus

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Decide: TypeAlias = Callable[[SagaSnapshot], Transition | None]
Views: TypeAlias = tuple[SagaSnapshot, ...]
"""Sagas as they are to be driven; of one with branches, one view for each."""

LEASE = timedelta(minutes=5)
"""How long a worker has a saga before others may take it, unless it puts that off."""


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Definitions:
    """The sagas that are registered here, by name and version."""

    _all: dict[str, dict[int, SagaDefinition]] = field(default_factory=dict)

    def add(self, name: str, definition: SagaDefinition) -> None:
        """Raises: SagaDefinitionError: the name is none, or has that version already."""
        check_text("the name of a saga", name)
        if not isinstance(definition, SagaDefinition):
            raise SagaDefinitionError(
                f"saga {name!r}: register takes what SagaBuilder.build() returned, not "
                f"{definition!r:.200}"
            )
        versions = self._all.setdefault(name, {})
        if definition.version in versions:
            raise SagaDefinitionError(
                f"version {definition.version} of saga {name!r} is registered already; build "
                "the other with build(version=...)"
            )
        versions[definition.version] = definition

    def newest(self, name: str) -> SagaDefinition:
        """What a new saga of this name is. Raises: UnknownSagaError."""
        versions = self._all.get(name)
        if not versions:
            raise UnknownSagaError(name, self._all)
        return versions[max(versions)]

    def of(self, saga: SagaSnapshot) -> SagaDefinition:
        """What this saga is. Raises: UnknownSagaError."""
        found = self._all.get(saga.saga_name, {}).get(saga.definition_version)
        if found is None:
            raise UnknownSagaError(saga.saga_name, self._all, saga.definition_version)
        return found

    def known(self) -> list[tuple[str, int]]:
        """Every name with every version of it."""
        return [(name, version) for name, versions in self._all.items() for version in versions]


class _MovedMeanwhileError(Exception):
    """Somebody has moved the saga since it was read."""


class SagaEngine:
    """Drives the sagas of one table.

    Args:
        database: where they are.
        table: their table.
        clock: the time; one clock for all workers on a table is best.
        lease: see ``LEASE``.
        outbox: where steps put what is to be published, if anywhere.
        hooks: who is told what happens, if anybody.
    """

    def __init__(
        self,
        database: Database,
        table: SagaTable,
        *,
        clock: Clock = utc_now,
        lease: timedelta = LEASE,
        outbox: OutboxTable | None = None,
        hooks: HookCalls | None = None,
    ) -> None:
        check_span("lease", lease)
        self.database = database
        self.table = table
        self.definitions = Definitions()
        self.clock = clock
        self.lease = lease
        self.outbox = outbox
        self.hooks = hooks
        self.limits = Limits(self)

    def moment(self) -> Moment:
        """Now, with a fresh token."""
        return Moment(now=self.clock(), token=uuid4(), lease=self.lease, grace=GRACE)

    async def get(self, saga_id: UUID) -> SagaSnapshot:
        """The saga as it stands; nothing is locked. Raises: SagaNotFoundError."""
        async with self.database.reading() as connection:
            return await self.found(connection, saga_id)

    async def found(
        self, connection: AsyncConnection, saga_id: UUID, *, lock: bool = False
    ) -> SagaSnapshot:
        """The saga, read on this connection. Raises: SagaNotFoundError."""
        saga = await self.table.get(connection, saga_id, lock=lock)
        if saga is None:
            raise SagaNotFoundError(saga_id)
        return saga

    async def start(self, saga: SagaSnapshot) -> None:
        """Insert a new saga and drive it until it ends or waits.

        Raises:
            ActiveSagaAlreadyExistsError: another of its aggregation id is active.
        """
        async with self.kept() as kept:
            await self._drive(await self.begin(saga, kept), kept)

    async def begin(self, saga: SagaSnapshot, kept: Kept | None = None) -> Views:
        """Insert a new saga; what there is to drive.

        Raises:
            ActiveSagaAlreadyExistsError: another of its aggregation id is active.
        """
        definition = self.definitions.of(saga)
        needs_place = saga.saga_name in self.limits and saga.status in WORKING
        storing = self.database.transaction if needs_place else self.database.statement
        if kept is not None and definition.is_chain and not needs_place:
            storing = kept.statement
        try:
            async with storing("start") as connection:
                if needs_place:
                    saga = await self.limits.admitted(connection, saga)
                transition = Transition(saga)
                if not definition.is_chain:
                    transition = begun(saga, definition, self.moment())
                await self.table.add(connection, transition.after)
        except IntegrityError as cause:
            raise ActiveSagaAlreadyExistsError(saga.aggregation_id) from cause
        if self.hooks:
            await self.hooks.started(transition.after)
        return self._views(transition.after, transition)

    async def change(
        self,
        commit: str,
        saga_id: UUID,
        decide: Decide,
        *,
        resumes: bool = True,
        queues: bool = False,
    ) -> tuple[SagaSnapshot, Views]:
        """Change a saga as ``decide`` says: as it is then, and what there is to drive of it.

        On PostgreSQL the row is locked from the reading to the commit. Elsewhere, if somebody
        has moved the saga in between, ``decide`` is asked again. With ``queues`` it is set going
        only if its name has a place for it, else it waits for its turn.

        Raises:
            SagaNotFoundError: there is no such saga.
            ActiveSagaAlreadyExistsError: it would be active beside another.
        """
        while True:
            with suppress(_MovedMeanwhileError):
                return await self._change_once(commit, saga_id, decide, resumes, queues)

    async def _change_once(
        self, commit: str, saga_id: UUID, decide: Decide, resumes: bool, queues: bool
    ) -> tuple[SagaSnapshot, Views]:
        with refused_by_commit() as written:
            async with self.database.transaction(commit) as connection:
                saga = await self.found(connection, saga_id, lock=True)
                transition = decide(saga)
                if transition is None:
                    return saga, ()
                if queues:
                    transition = await self.limits.granted(connection, saga, transition)
                try:
                    moved = await self._store(connection, saga, transition, written)
                except IntegrityError as cause:
                    raise ActiveSagaAlreadyExistsError(saga.aggregation_id) from cause
                if not moved:
                    raise _MovedMeanwhileError  # rolls back
        following = await self.told(saga, transition, resumes=resumes)
        return applied(saga, transition), following

    async def told(
        self, saga: SagaSnapshot, transition: Transition, *, resumes: bool = True
    ) -> Views:
        """What there is to drive after ``transition``, of which the hooks are told.

        It has been committed. ``resumes`` is whether somebody outside has set the saga going.
        """
        if not self.hooks and transition.after.status not in WORKING and not transition.started:
            return ()  # as most often at the end, without a copy of the saga that nobody sees
        after = applied(saga, transition)
        if self.hooks:
            await self.hooks.moved(saga, after, transition, resumes=resumes)
        return self._views(after, transition)

    def _views(self, after: SagaSnapshot, transition: Transition) -> Views:
        """What there is to drive of a saga that is ``after`` this transition."""
        if transition.started:
            definition = self.definitions.of(after)
            return tuple(focused(after, definition, step_id) for step_id in transition.started)
        return (after,) if after.status in WORKING and not after.branches else ()

    # Driving

    def kept(self) -> Kept:
        """A block in which one saga is driven, with a connection that its commits share.

        Hooks are foreign code, which may wait for a connection; beside them none is kept.
        """
        return Kept(self.database, keeps=not self.hooks)

    async def drive(self, views: Views) -> None:
        """Go on with sagas, or branches, whose tokens the caller holds, until they end or wait.

        Several are driven at the same time. Of their errors, the database's mostly, the first
        is raised when all have come to an end; the lease has others try again.
        """
        async with self.kept() as kept:
            await self._drive(views, kept)

    async def _drive(self, views: Views, kept: Kept) -> None:
        while len(views) == 1:
            views = await self.advance(*views, kept)
        if not views:
            return
        driven = [self.drive((view,)) for view in views]
        for ended in await asyncio.gather(*driven, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def advance(self, view: SagaSnapshot, kept: Kept) -> Views:
        """Do one step and commit what follows; what there is to drive then.

        That is nothing if the saga ends or waits, or is somebody else's by now.
        """
        if not self.hooks:
            return await self._advance(view, kept)
        async with self.hooks.around(view, self.definitions.of(view)):
            return await self._advance(view, kept)

    async def _advance(self, view: SagaSnapshot, kept: Kept) -> Views:
        try:
            outcome, given = await self._outcome(view, kept)
            try:
                return await self._follow(view, outcome, given, kept)
            except RecordingFailed as failed:
                return await self._follow(view, failed.outcome, failed.given, kept)
        except _work.LeaseLost:
            _log_lost(view)
            return ()

    async def _follow(self, view: SagaSnapshot, outcome: Outcome, given: Any, kept: Kept) -> Views:
        """Commit what follows from doing or undoing a step; what there is to drive then.

        Raises:
            LeaseLost: the saga, or the branch, is somebody else's by now.
            RecordingFailed: what the step records could not be stored, so nothing was.
        """
        definition = self.definitions.of(view)
        if view.branches:
            step_id = step_in_view(view, definition)

            def decide(saga: SagaSnapshot) -> Transition:
                if not is_held(saga, step_id, view.step_execution_token):
                    raise _work.LeaseLost
                return after_branch(saga, definition, step_id, outcome, given, self.moment())

            return (await self.change("branch", view.id, decide))[1]
        is_forward = view.status == SagaStatus.RUNNING
        follows = after_execution if is_forward else after_compensation
        transition = follows(view, definition, outcome, given, self.moment())
        if not await self._commit(view, transition, kept):
            raise _work.LeaseLost
        return await self.told(view, transition)

    async def _commit(self, saga: SagaSnapshot, transition: Transition, kept: Kept) -> bool:
        """Carry ``transition`` out; in one statement, unless more is stored beside it."""
        recording = recording_of(self.definitions.of(saga), transition)
        if recording is None and not transition.outbox:
            async with kept.statement(_crash.commit_of(saga, transition.after)) as single:
                return await self.table.move(single, saga, transition)
        await kept.let_go()
        commit = _crash.commit_of(saga, transition.after) if recording is None else recording.name
        with refused_by_commit() as written:
            async with self.database.transaction(commit) as connection:
                return await self._store(connection, saga, transition, written)

    async def _store(
        self,
        connection: AsyncConnection,
        saga: SagaSnapshot,
        transition: Transition,
        written: list[Recording],
    ) -> bool:
        """Move the saga first, under its token: who has lost it stores nothing else."""
        if not await self.table.move(connection, saga, transition):
            return False
        if self.outbox is not None and transition.outbox:
            now = transition.after.updated_at
            await self.outbox.add(connection, saga, transition.outbox, now)
        recording = recording_of(self.definitions.of(saga), transition)
        if recording is not None:
            await record(recording, connection, self.database.sessions, self.lease)
            written.append(recording)
        return True

    async def hand_over(self, view: SagaSnapshot) -> None:
        """Leave a saga, or branch, whose token the caller holds to other workers, now."""
        if view.branches:
            await self._put_off("hand_over", view, self.clock())
            return
        async with self.database.statement("hand_over") as connection:
            await self.table.hand_over(connection, view, self.clock())

    async def _put_off(self, commit: str, view: SagaSnapshot, deadline: datetime) -> bool:
        """Move the deadline of a branch; ``False`` if it is somebody else's by now."""
        definition = self.definitions.of(view)
        step_id = step_in_view(view, definition)
        is_ours = True

        def decide(saga: SagaSnapshot) -> Transition | None:
            nonlocal is_ours
            is_ours = is_held(saga, step_id, view.step_execution_token)
            if not is_ours:
                return None
            return put_off(
                saga,
                definition,
                step_id,
                deadline,
                self.moment(),
                is_handed_over=commit == "hand_over",
            )

        await self.change(commit, view.id, decide, resumes=False)
        return is_ours

    async def drive_all(self, sagas: Iterable[SagaSnapshot]) -> None:
        """Drive several at the same time; one that cannot be driven is logged, and it alone."""
        await asyncio.gather(*map(self._drive_safely, sagas))

    async def _drive_safely(self, saga: SagaSnapshot) -> None:
        try:
            await self.drive((saga,))
        except Exception:  # the database's; its deadline has others try again
            _log.exception("saga %s could not be driven; it is taken up again later", saga.id)

    async def _outcome(self, view: SagaSnapshot, kept: Kept) -> tuple[Outcome, Any]:
        """Do the current step, or undo it: what came of it, and the input it had."""
        definition = self.definitions.of(view)
        upkeep = _work.Upkeep(self.lease, self._renewal(view), kept.let_go)
        step = definition.steps[view.current_step_index]
        if step.max_crashes is not None and view.crash_count >= step.max_crashes:
            return _has_killed(view, step), None
        if view.status == SagaStatus.RUNNING:
            outcome, given = await _work.execute(view, definition, upkeep)
            return self._publishable(outcome), given
        return await _work.compensate(view, definition, upkeep)

    def _publishable(self, outcome: Outcome) -> Outcome:
        """``outcome``, or that it failed if it has events which the outbox cannot take."""
        if not isinstance(outcome, Waits):
            return outcome
        try:
            events = read_outbox_events(outcome.event.outbox_events)
        except SagaDataError as error:
            return Failed(_work.told(error), retries=False)
        if events and self.outbox is None:
            return Failed(
                "SagaDefinitionError: the step has outbox_events, and this orchestrator has no "
                "outbox; give it outbox_model_class=, a model with OutboxMessageMixin",
                retries=False,
            )
        return outcome

    def _renewal(self, saga: SagaSnapshot) -> _work.Renew:
        async def renew() -> bool:
            now = self.clock()
            deadline = now + self.lease + GRACE
            if saga.branches:
                return await self._put_off("branch.renew", saga, deadline)
            async with self.database.statement("renew") as connection:
                return await self.table.renew(connection, saga, deadline, now)

        return renew

    # What is due

    async def run_due(self, limit: int) -> int:
        """Take up to ``limit`` sagas whose deadline has passed and drive them; how many."""
        views, count = await self.take_due(limit)
        await self.drive_all(views)
        return count

    async def take_due(self, limit: int) -> tuple[list[SagaSnapshot], int]:
        """What is to be driven of up to ``limit`` sagas whose deadline has passed; how many.

        How many includes those that waited for an event in vain, and are not to be driven.
        """
        if self.limits:
            return await self.limits.take(limit)
        return await self.take_free(self.definitions.known(), limit)

    async def take_free(
        self, known: Sequence[tuple[str, int]], limit: int
    ) -> tuple[list[SagaSnapshot], int]:
        """As ``take_due``, of these names and versions, whose names have no limit."""
        if not known or limit < 1:
            return [], 0
        now = self.clock()
        async with self.database.statement("claim") as connection:
            deadline = now + self.lease + GRACE
            views = await self.table.claim(connection, known, now, deadline, limit)
            rest = limit - len(views)
            late = await self.table.late(connection, known, now, rest) if rest else []
        ended, count = await self.take_late(late)
        return views + ended, len(views) + count

    async def take_late(self, late: Iterable[SagaSnapshot]) -> tuple[list[SagaSnapshot], int]:
        """As ``take_due``, of sagas that ``SagaTable.late`` has found."""
        views: list[SagaSnapshot] = []
        count = 0
        for saga in late:
            try:
                is_taken, following = await self._take_late(saga)
            except Exception:  # the database's, or of a saga that is broken; others go on
                _log.exception("saga %s could not be taken; that is tried again later", saga.id)
                continue
            count += is_taken
            views.extend(following)
        return views, count

    async def next_deadline(self, after: datetime, until: datetime) -> datetime | None:
        """The first moment ``after`` one and up to another at which a saga is due."""
        known = self.definitions.known()
        if not known:
            return None
        async with self.database.reading() as connection:
            return await self.table.next_deadline(connection, known, after, until)

    async def _take_late(self, saga: SagaSnapshot) -> tuple[bool, Views]:
        """End a wait that has come to nothing, or take the branches that are due."""
        definition = self.definitions.of(saga)
        if not saga.branches:
            transition = after_expiry(saga, definition, self.moment())
            transition = self.limits.deferred(saga, transition)
            async with self.database.statement("expire") as connection:
                moved = await self.table.move(connection, saga, transition)
            return moved, await self.told(saga, transition) if moved else ()
        views: Views = ()
        is_taken, goes_on = False, True

        def decide(found: SagaSnapshot) -> Transition | None:
            nonlocal goes_on
            transition = None
            if not self.limits.waits_for_place(found):
                transition = due(found, definition, self.moment())
            goes_on = transition is not None
            return transition

        while goes_on:
            _, following = await self.change("branch.claim", saga.id, decide, resumes=False)
            views += following
            is_taken |= goes_on
        return is_taken, views


def _has_killed(view: SagaSnapshot, step: StepDefinition) -> Failed:
    call = "retry_step" if view.status == SagaStatus.RUNNING else "compensate_step"
    return Failed(
        f"{view.crash_count} workers in a row died, or fell silent, while they had "
        f"{step.step_id}; {call} tries it again",
        halts=True,
    )


def _log_lost(saga: SagaSnapshot) -> None:
    _log.warning(
        "what came of step %d of saga %s is dropped: it has been moved on meanwhile",
        saga.current_step_index,
        saga.id,
        extra={"milo_saga_id": str(saga.id)},
    )


def read_id(given: Any) -> UUID:
    """A saga's id, also as text. Raises: TypeError: it is none."""
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given)
    except (ValueError, AttributeError, TypeError) as cause:
        raise TypeError(f"saga_id must be a UUID, not {given!r:.200}") from cause
