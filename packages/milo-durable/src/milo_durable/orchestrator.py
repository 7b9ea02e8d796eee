"""What applications call: registering, starting and notifying sagas, and running what is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import async_sessionmaker

from milo_durable._database import Database
from milo_durable._deciding.branch_calls import accept, expecting_branch
from milo_durable._deciding.choosing import chosen_step
from milo_durable._deciding.outside import expecting
from milo_durable._deciding.resuming import resumed
from milo_durable._deciding.transition import Transition
from milo_durable._hooks import HookCalls
from milo_durable._inbox import Inbox
from milo_durable._json import check_json
from milo_durable._outbox import OutboxTable
from milo_durable._table import SagaTable
from milo_durable.definition import SagaDefinition, check_span, check_text
from milo_durable.engine import LEASE, Clock, SagaEngine, read_id, utc_now
from milo_durable.errors import (
    InvalidEventError,
    SagaDataError,
    SagaDefinitionError,
    SagaStateError,
)
from milo_durable.events import (
    AwaitingEvent,
    NotifyEvent,
    NotifyResult,
    deadline_of,
    read_event,
)
from milo_durable.hooks import SagaHooks
from milo_durable.models import (
    InboxMessageMixin,
    OutboxMessageMixin,
    SagaStateMixin,
    built_in_inbox,
)
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus

Model = TypeVar("Model", bound=SagaStateMixin)


class SagaOrchestrator(Generic[Model]):
    """Runs sagas whose state is kept in the table of ``model_class``.

    Args:
        model_class: a mapped class with ``SagaStateMixin``.
        session_maker: bound to the ``AsyncEngine`` of the database.
        inbox_model_class: a mapped class with ``InboxMessageMixin``, where ``ingest_event``
            stores events. By default the table ``{saga table}_inbox`` that is in the metadata
            of ``model_class``, unless an inbox model is.
        outbox_model_class: a mapped class with ``OutboxMessageMixin``; needed for steps with
            ``outbox_events``, which an ``OutboxDispatcher`` publishes.
        clock: the time, aware; UTC by default.
        lease: how long a worker may be silent before others take its saga over.
        hooks: who is told what happens to sagas, when this orchestrator makes it happen.

    Raises:
        SagaDefinitionError: an argument that cannot be meant.
    """

    def __init__(
        self,
        model_class: type[Model],
        session_maker: async_sessionmaker[Any],
        inbox_model_class: type[InboxMessageMixin] | None = None,
        outbox_model_class: type[OutboxMessageMixin] | None = None,
        *,
        clock: Clock = utc_now,
        lease: timedelta = LEASE,
        hooks: Sequence[SagaHooks] = (),
    ) -> None:
        table = SagaTable(_table_of(model_class, SagaStateMixin))
        outbox: OutboxTable | None = None
        if outbox_model_class is not None:
            outbox = OutboxTable(_table_of(outbox_model_class, OutboxMessageMixin))
        database = Database(session_maker)
        self.engine = SagaEngine(
            database,
            table,
            clock=clock,
            lease=lease,
            outbox=outbox,
            hooks=HookCalls(hooks) if hooks else None,
        )
        self.inbox = self._inbox_in(inbox_model_class)

    def register(
        self,
        saga_name: str,
        definition: SagaDefinition,
        *,
        concurrency_limit: int | None = None,
    ) -> None:
        """Make a saga known by a name; of several versions new sagas are the newest.

        Of a name with a ``concurrency_limit`` at most so many sagas are RUNNING or COMPENSATING
        at the same time: of all its versions together, and in all processes on these tables, if
        all register the same limit. Others, which start, go on after an event or are due for
        another attempt, are stored, and ``run_due`` or a ``Worker`` takes them in their turn, the
        one first that has been due longest. Calls of ``SagaAdmin``, and ``resume``, do not wait.

        Raises:
            SagaDefinitionError: this version of the name is registered already, or the limit
                cannot be meant.
        """
        self.engine.limits.check(saga_name, concurrency_limit)
        self.engine.definitions.add(saga_name, definition)
        self.engine.limits.add(saga_name, concurrency_limit)

    async def start(
        self,
        saga_name: str,
        initial_data: Mapping[str, Any],
        aggregation_id: str,
        *,
        at: datetime | None = None,
        after: timedelta | None = None,
    ) -> UUID:
        """Start a saga, drive it until it ends or waits, and return its id.

        What becomes of it is in ``get_snapshot``; a failing step does not raise here.

        With ``at``, a moment, or ``after``, a length of time from now, it is stored now, and
        ``run_due`` or a ``Worker`` begins it then; this version of it, also if there is a newer
        one by then. Until then it is ``SUSPENDED``: it is the active saga of its aggregation,
        takes no event, ``SagaAdmin.retry_step`` begins it at once and ``abort`` calls it off.
        So it is, and due at once, where ``register`` has set a limit that is reached.

        Raises:
            UnknownSagaError: no saga of that name is registered.
            SagaDefinitionError: ``aggregation_id``, ``at`` or ``after`` cannot be meant.
            SagaDataError: ``initial_data`` cannot be stored as JSON.
            ActiveSagaAlreadyExistsError: a saga of this aggregation is active.
        """
        definition = self.engine.definitions.newest(saga_name)
        check_text("aggregation_id, which names what the saga is about,", aggregation_id)
        data = check_json(_mapping("initial_data", initial_data), "initial_data")
        _check_beginning(at, after)
        saga = self._new(saga_name, definition, data, aggregation_id)
        if at is not None or after is not None:
            due = saga.created_at + after if after is not None else at
            saga = replace(saga, status=SagaStatus.SUSPENDED, deadline_at=due)
        await self.engine.start(saga)
        return saga.id

    async def notify(
        self, saga_id: UUID, token: UUID, event: NotifyEvent | Mapping[str, Any]
    ) -> bool:
        """As ``notify_detailed``: whether the event was accepted."""
        return bool(await self.notify_detailed(saga_id=saga_id, token=token, event=event))

    async def notify_detailed(
        self, saga_id: UUID, token: UUID, event: NotifyEvent | Mapping[str, Any]
    ) -> NotifyResult:
        """Send an event to a suspended saga and drive it; what became of the event.

        ``token`` is the saga's ``step_execution_token``; each is good for one event. The order
        in which it is judged: status, token, duplicate, event type, correlation id, expiry.

        Raises:
            SagaNotFoundError: there is no such saga.
            InvalidEventError: ``event`` is none.
            SagaDataError: its payload cannot be stored as JSON.
        """
        given, expected = read_event(event), _read_token(token)
        result = NotifyResult.NOT_WAITING

        def decide(saga: SagaSnapshot) -> Transition | None:
            nonlocal result
            known = self.engine.definitions.of
            result, transition = accept(saga, known, expected, given, self.engine.moment())
            return transition

        _, following = await self.engine.change("notify", read_id(saga_id), decide, queues=True)
        await self.engine.drive(following)
        return result

    async def await_event(
        self, saga_id: UUID, event: AwaitingEvent, *, step_id: str | None = None
    ) -> UUID:
        """Have a suspended saga wait for this event from now on; the token to send it with.

        ``step_id`` says which step waits, where several are in flight. When the event's time
        passes first, that follows which the step's ``on_timeout`` says.

        Raises:
            SagaNotFoundError: there is no such saga.
            SagaStateError: it is not suspended, or it is not clear which step is meant.
        """
        if not isinstance(event, AwaitingEvent):
            raise InvalidEventError(f"await_event takes an AwaitingEvent, not {event!r:.200}")
        types = None if event.event_type is None else [event.event_type]
        chosen = ""

        def decide(saga: SagaSnapshot) -> Transition:
            nonlocal chosen
            moment = self.engine.moment()
            what = types, event.correlation_id, deadline_of(event, moment.now)
            asked, suspended = "wait for an event", (SagaStatus.SUSPENDED,)
            if saga.branches or step_id is not None:
                definition = self.engine.definitions.of(saga)
                chosen = chosen_step(saga, definition, step_id, suspended, asked)
                if saga.branches:
                    return expecting_branch(saga, definition, chosen, *what, moment)
            if saga.status not in suspended:
                hint = "only a suspended saga waits for events"
                raise SagaStateError(saga.id, saga.status, asked, hint)
            return expecting(saga, *what, moment)

        saga, _ = await self.engine.change("await_event", read_id(saga_id), decide)
        return saga.branches[chosen].token if saga.branches else saga.step_execution_token

    async def ingest_event(
        self,
        event: NotifyEvent | Mapping[str, Any],
        saga_id: UUID | None = None,
        aggregation_id: str | None = None,
    ) -> bool:
        """Store an event for a saga, or for the active saga of an aggregation; once.

        ``run_inbox_due`` delivers it when the saga waits for it, however early it came.

        Returns:
            ``False`` if an event of this id has been stored before.

        Raises:
            InvalidEventError: it has no ``event_id``, or it is not said who it is for.
        """
        return await self._need_inbox().store(read_event(event), saga_id, aggregation_id)

    async def run_due(self, limit: int = 100) -> int:
        """Take up to ``limit`` sagas whose deadline has passed and drive them; how many.

        That is recovery: sagas of workers that died, those whose next attempt is due, and
        those whose event did not come. They are driven at the same time.
        """
        return await self.engine.run_due(limit)

    async def resume(self, saga_id: UUID) -> SagaSnapshot:
        """Go on with one saga now, drive it until it ends or waits, and return it.

        It is as ``run_due`` for this saga alone, and a wait for its next attempt is cut short.
        A saga that a worker has is left to it, until its lease is over.

        Raises:
            SagaNotFoundError: there is no such saga.
            UnknownSagaError: its definition is not registered here.
            SagaStateError: it has ended, waits for an event that may still come, or a worker
                has it; the message says which.
        """
        engine = self.engine

        def decide(saga: SagaSnapshot) -> Transition:
            return resumed(saga, engine.definitions.of(saga), engine.moment())

        saga, following = await engine.change("resume", read_id(saga_id), decide)
        if not following:
            return saga
        await engine.drive(following)
        return await engine.get(saga.id)

    async def run_inbox_due(self, limit: int = 100) -> int:
        """Deliver up to ``limit`` stored events whose sagas wait for them; how many."""
        return await self._need_inbox().deliver(limit)

    async def purge_inbox(self, older_than: timedelta) -> int:
        """Delete events that were delivered ``older_than`` ago or before; how many.

        An event of such an id that comes again is stored again, so keep them for longer than
        senders repeat themselves. Events that wait stay. Rows are deleted in batches, each a
        commit of its own. The newest event stays.

        Raises:
            SagaDefinitionError: ``older_than`` is no length of time above 0.
        """
        return await self._need_inbox().purge(older_than)

    async def get_snapshot(self, saga_id: UUID) -> SagaSnapshot:
        """The saga as it stands. Raises: SagaNotFoundError."""
        return await self.engine.get(read_id(saga_id))

    def _new(
        self,
        saga_name: str,
        definition: SagaDefinition,
        initial_data: dict[str, Any],
        aggregation_id: str,
    ) -> SagaSnapshot:
        moment, hooks = self.engine.moment(), self.engine.hooks
        headers = hooks.headers(saga_name, aggregation_id) if hooks else {}
        return SagaSnapshot(
            id=uuid4(),
            saga_name=saga_name,
            definition_version=definition.version,
            aggregation_id=aggregation_id,
            status=SagaStatus.RUNNING,
            current_step_index=0,
            step_execution_token=moment.token,
            context={"initial_data": initial_data, "outputs": {}, **headers},
            step_history=(),
            deadline_at=moment.deadline(definition.steps[0]),
            retry_count=0,
            awaiting=None,
            error=None,
            created_at=moment.now,
            updated_at=moment.now,
        )

    def _inbox_in(self, model_class: type[InboxMessageMixin] | None) -> Inbox | None:
        if model_class is not None:
            return Inbox(self.engine, _table_of(model_class, InboxMessageMixin))
        table = built_in_inbox(self.engine.table.table)
        return None if table is None else Inbox(self.engine, table, is_built_in=True)

    def _need_inbox(self) -> Inbox:
        if self.inbox is None:
            raise SagaDefinitionError(
                "this orchestrator has no inbox, and none is built in beside inbox models of your "
                "own; give it one as inbox_model_class="
            )
        return self.inbox


def _check_beginning(at: object, after: object) -> None:
    if at is not None and after is not None:
        raise SagaDefinitionError(
            f"at={at!r:.200} and after={after!r:.200} both say when the saga begins; give one"
        )
    if not (at is None or (isinstance(at, datetime) and at.utcoffset() is not None)):
        raise SagaDefinitionError(
            f"at must be a datetime with a time zone, not {at!r:.200}; for instance "
            "datetime.now(UTC) + timedelta(hours=1)"
        )
    if after is not None:
        check_span("after", after)


def _mapping(what: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise SagaDataError(f"{what} must be a mapping, not {given!r:.200}")
    return dict(given)


def _table_of(model: Any, mixin: type) -> Table:
    table = getattr(model, "__table__", None)
    if not isinstance(model, type) or not issubclass(model, mixin) or not isinstance(table, Table):
        raise SagaDefinitionError(
            f"{model!r:.200} must be a mapped class with {mixin.__name__} among its bases"
        )
    return table


def _read_token(given: Any) -> UUID:
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given)
    except (ValueError, AttributeError, TypeError) as cause:
        raise InvalidEventError(
            f"token must be the saga's step_execution_token, a UUID, not {given!r:.200}"
        ) from cause
