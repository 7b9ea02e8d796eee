"""The store: one state, changed by dispatching actions to a reducer.

What happens in ``dispatch``, in this order (DESIGN §3):

    middleware
    under the lock:   reducer → recording → state → view → journal → matching of waiting sagas
    then, outside it: listeners → sagas → commands → quit flag
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from milo_core._arguments import (
    apply_layer,
    check_callable,
    check_pool,
    middleware_layers,
    recording_path,
)
from milo_core._locking import first_try, holds, ownership, wait_for
from milo_core._sharing import share, share_parts
from milo_core.actions import INIT, Action
from milo_core.errors import StateError
from milo_core.journal import Journal, Mark
from milo_core.recording import Recorder
from milo_core.results import Outcome, Quit, ReducerResult, ViewState, unwrap
from milo_core.runtime import (
    Awaited,
    PressureCallback,
    Runtime,
    RuntimeFactory,
    RuntimeHost,
    installed_runtime,
)

_log = logging.getLogger(__name__)

State = TypeVar("State")
Dispatch: TypeAlias = Callable[[Action], Any]
Middleware: TypeAlias = Callable[[Dispatch, Callable[[], Any]], Dispatch]
Listener: TypeAlias = Callable[[], Any]

_ANSWERS = frozenset((ReducerResult, Quit))


class Store(Generic[State]):
    """Holds a state and lets ``dispatch`` change it.

    Dispatching is safe from any thread and serialized; reading ``state`` takes no lock.
    Reducers run on the dispatching thread with the store's lock held, so they must be quick
    and pure. Sagas and commands run on the runtime's workers, which start when first needed.

    Args:
        reducer: ``(state, action) -> state``, or ``ReducerResult`` or ``Quit`` around it.
        initial_state: what the reducer is given with ``@@INIT``, which the constructor
            dispatches.
        middleware: each ``(next_dispatch, get_state) -> dispatch``; the first is outermost.
        record: ``True`` keeps a recording in memory, a path also streams it there as JSON
            lines.
        max_workers: how many threads may run sagas and calls; by default
            ``min(8, cpus + 4)``, or what kida recommends where it is installed.
        on_pool_pressure: ``(active, max_workers)``, called by the thread that submits work
            when running and queued work reaches ``max_workers * pool_pressure_threshold``.
        runtime: a factory to use in place of the installed runtime.

    Raises:
        StateError: the reducer failed on ``@@INIT``, or the recording cannot be written.
        MissingPluginError: the reducer asked for work on ``@@INIT`` and no runtime is installed.
        TypeError, ValueError: an argument is not what it should be; the message names it.

    >>> store = Store(lambda count, action: count + (action.type == "ADD"), 0)
    >>> store.dispatch(Action("ADD"))
    >>> store.state
    1
    """

    def __init__(
        self,
        reducer: Callable[[State, Action], Any],
        initial_state: State,
        middleware: tuple[Middleware, ...] = (),
        *,
        record: bool | str | Path = False,
        max_workers: int | None = None,
        on_pool_pressure: PressureCallback | None = None,
        pool_pressure_threshold: float = 0.8,
        runtime: RuntimeFactory | None = None,
    ) -> None:
        check_callable("reducer", reducer, "state, action")
        check_pool(max_workers, on_pool_pressure, pool_pressure_threshold)
        if runtime is not None:
            check_callable("runtime", runtime, "host")
        self._reducer = reducer
        self._state = initial_state
        self._lock = threading.RLock()
        self._acquire, self._release = first_try(self._lock), self._lock.release
        self._holds_lock = ownership(self._lock)
        self._view: ViewState | None = None
        self._exit_code: int | None = None
        self._recorder = None if record is False else Recorder(recording_path(record))
        self._turn = threading.RLock()
        self._listeners: tuple[_Subscription, ...] = ()
        self._runtime: Runtime | None = None
        self._make_runtime = runtime
        self._closed = False
        self._journal = Journal()
        self._awaited: Awaited = frozenset[str]()
        self._marks: dict[int, Mark] = {}
        layers = middleware_layers(middleware)
        self._has_layers = bool(layers)
        self._entry = self._enter if layers else self._commit
        self._chain: Dispatch = self._commit_behind
        for layer in reversed(layers):
            self._chain = apply_layer(layer, self._chain, self.get_state)
        self._host = RuntimeHost(
            store=self,
            lock=self._lock,
            put=self._put_through if layers else self._commit,
            journal=self._journal,
            listen_for=self._listen_for,
            max_workers=max_workers,
            on_pool_pressure=on_pool_pressure,
            pool_pressure_threshold=pool_pressure_threshold,
        )
        share_parts(self, "_journal", "_entry", "_acquire", "_release", "_holds_lock")
        share(self._host.put, _ANSWERS)
        self.dispatch(Action(INIT))

    # What people read

    @property
    def state(self) -> State:
        """The current state; no lock is taken."""
        return self._state

    def get_state(self) -> State:
        """The current state, as a method."""
        return self._state

    @property
    def view_state(self) -> ViewState | None:
        """The latest ``ViewState`` that a reducer gave, as it gave it; ``None`` before any."""
        return self._view

    @property
    def quit_requested(self) -> bool:
        """Whether a reducer has answered ``Quit``. The store goes on working."""
        return self._exit_code is not None

    @property
    def exit_code(self) -> int:
        """The code of the latest ``Quit``, 0 before any."""
        return self._exit_code or 0

    @property
    def recording(self) -> list[dict[str, Any]] | None:
        """A copy of the entries so far, or ``None`` when the store does not record."""
        if self._recorder is None:
            return None
        with self._lock:
            return [dict(entry) for entry in self._recorder.entries]

    @property
    def pool_active(self) -> int:
        """How many sagas, calls and commands run or are queued. Waiting sagas do not count."""
        return 0 if self._runtime is None else self._runtime.active

    @property
    def runtime(self) -> Runtime:
        """What runs this store's sagas and commands; made now if nothing has needed it yet.

        Raises:
            StateError: the store was shut down before anything needed one.
            MissingPluginError: no runtime is installed.
        """
        return self._need_runtime()

    # What people do

    def dispatch(self, action: Action) -> None:
        """Send ``action`` through middleware and reducer; the state has changed on return.

        Listeners have run, on this thread; sagas and commands that the reducer asked for
        have been started, not finished.

        Raises:
            StateError: the reducer raised, ``dispatch`` was called from inside a reducer
                or a ``Take`` predicate, ``action`` is no ``Action``, or the recording could
                not be written. The state is unchanged.
            MissingPluginError: the reducer asked for sagas or commands and no runtime is
                installed. The state is unchanged.
        """
        if type(action) is not Action and not self._has_layers:  # middleware may take others
            _check(action)
        self._entry(action)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after every dispatch, until the returned function is called.

        Listeners take no arguments and run on the dispatching thread, one at a time across
        all threads, also when the state did not change. They may dispatch, subscribe and
        unsubscribe; the latter two take effect at the next dispatch. One that raises is
        logged and stops nothing. Calling the returned function twice is harmless.
        """
        check_callable("listener", listener, "")
        subscription = _Subscription(listener)
        with self._lock:
            self._listeners = (*self._listeners, subscription)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(s for s in self._listeners if s is not subscription)

        return unsubscribe

    def run_saga(
        self, saga: Any, cancel: threading.Event | None = None, context: Any = None
    ) -> Any:
        """Start ``saga``, a generator or a function that returns one, and return its context.

        ``cancel`` is an event that cancels the saga when it is set; prefer ``context``, a
        ``SagaContext`` in whose scope the saga then runs, or the returned context.

        Raises:
            StateError: the store has been shut down, or ``saga`` is no saga.
            MissingPluginError: no runtime is installed.
        """
        if self._closed:
            _refuse_late()
        return self._need_runtime().run_saga(saga, cancel, context)

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Block until no saga, call or command runs or is ready to run.

        Sagas that wait (for an action, a time, each other) may remain. Returns ``False`` if
        that was not so within ``timeout`` seconds.

        Raises:
            StateError: called from where sagas would wait for this call to end: from a
                reducer, a listener, a saga or a call.
        """
        if holds(self._lock) or holds(self._turn):
            raise StateError(
                "wait_idle was called from inside a reducer or listener, which sagas wait for; "
                "call it from the thread that owns the store"
            )
        return True if self._runtime is None else self._runtime.wait_idle(timeout)

    def shutdown(self) -> None:
        """Cancel every saga, let it clean up, and give threads and timers back.

        Waits for calls in progress and up to five seconds for cleanup. Dispatching still
        works afterwards; starting sagas does not. A second call does nothing. Called from a
        listener, which sagas may be waiting for, it returns at once and the rest happens on
        a thread of its own.

        Raises:
            StateError: called from inside a reducer.
        """
        if holds(self._lock):
            raise StateError(
                "shutdown was called from inside a reducer; return Quit(state) and shut the "
                "store down where it is used"
            )
        with self._lock:
            self._closed = True
            runtime = self._runtime
        if runtime is None:
            return
        if holds(self._turn):
            threading.Thread(target=runtime.shutdown, name="milo-shutdown").start()
        else:
            runtime.shutdown()

    def __enter__(self) -> Store[State]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    # How a dispatch goes

    def _commit(self, action: Action, mark: Mark | None = None) -> None:
        """The innermost dispatch: everything behind the middleware.

        This is the store's hot path. The lock is taken by hand because ``with`` costs a
        third more, and inside ``try``, so that a Ctrl-C as it is taken leaves it free.
        """
        if mark is None and self._holds_lock():  # with a mark it is a saga's, on its worker
            _refuse_nested(action)
        wake: Callable[[], None] | None = None
        outcome: Outcome | None = None
        try:
            if not self._acquire():
                wait_for(self._lock)
            try:
                answer = self._reducer(state := self._state, action)
            except Exception as cause:  # foreign code; goes to whoever dispatched
                raise _reducer_error(cause, action) from cause
            if answer is not state and type(answer) in _ANSWERS:
                outcome = self._open(answer)
                answer = outcome.state
            if self._recorder is not None:
                self._recorder.record(action)
            if answer is not state:
                self._state = answer
            if outcome is not None and outcome.view is not None:
                self._view = outcome.view
            if mark is not self._journal.expects:
                self._journal.note(action, mark)
            if action.type in self._awaited:
                wake = self._need_runtime().on_action(action)
        finally:
            try:
                self._release()
            except RuntimeError:
                _log.debug("Ctrl-C came while this thread waited for the store's lock")
        if wake is not None:
            wake()
        if outcome is None:
            if self._listeners:
                self._tell(self._listeners)
        else:
            self._follow_up(outcome)

    def _open(self, answer: Any) -> Outcome:
        """What a reducer's ``ReducerResult`` or ``Quit`` asks for, before the state changes."""
        outcome = unwrap(answer)
        if (outcome.sagas or outcome.cmds) and not self._closed:
            self._need_runtime()
        return outcome

    def _tell(self, listeners: tuple[_Subscription, ...]) -> None:
        with self._turn:
            for subscription in listeners:
                try:
                    subscription.listener()
                except Exception:  # foreign code; the dispatch succeeded, so it is only logged
                    _log.exception("listener %r raised", subscription.listener)

    def _follow_up(self, outcome: Outcome) -> None:
        """Listeners, sagas, commands, quit flag: each also when what came before it raised."""
        try:
            try:
                if self._listeners:
                    self._tell(self._listeners)
            finally:
                if outcome.sagas or outcome.cmds:
                    self._start(outcome)
        finally:
            if outcome.quit_code is not None:
                self._exit_code = outcome.quit_code

    def _start(self, outcome: Outcome) -> None:
        if self._closed:
            _log.warning(
                "the store is shut down: %d sagas and %d commands were not started",
                len(outcome.sagas),
                len(outcome.cmds),
            )
        else:
            self._need_runtime().start(outcome.sagas, outcome.cmds)

    def _commit_behind(self, action: Action) -> None:
        """The innermost dispatch of a store with middleware: the first that a put causes."""
        _check(action)
        self._commit(action, self._marks.pop(threading.get_ident(), None))

    def _enter(self, action: Action) -> None:
        """Dispatch through middleware; what middleware itself dispatches takes no put's mark."""
        thread = threading.get_ident()
        mark = self._marks.pop(thread, None)
        try:
            self._chain(action)
        finally:
            if mark is not None:
                self._marks[thread] = mark

    def _put_through(self, action: Action, mark: Mark) -> None:
        """Dispatch for a saga through middleware, which passes on actions but no marks.

        So behind it the mark is found by thread. For the time before that it is open already,
        which is all it gets if no action comes through.
        """
        thread = threading.get_ident()
        with self._lock:
            self._journal.open(mark)
            self._marks[thread] = mark
        try:
            self._chain(action)
        finally:
            self._marks.pop(thread, None)

    def _listen_for(self, awaited: Awaited) -> None:
        with self._lock:
            self._awaited = awaited

    def _need_runtime(self) -> Runtime:
        if self._runtime is None:
            with self._lock:
                if self._runtime is None:
                    if self._closed:
                        _refuse_late()
                    self._runtime = (self._make_runtime or installed_runtime())(self._host)
        return self._runtime


class _Subscription:
    """One call of ``subscribe``; two of the same function are two."""

    __slots__ = ("listener",)

    def __init__(self, listener: Listener) -> None:
        self.listener = listener


def _refuse_nested(action: Action) -> NoReturn:
    raise StateError(
        f"{action!r} was dispatched from inside a reducer or Take predicate; return "
        "ReducerResult(state, sagas=..., cmds=...) to have something happen next"
    )


def _reducer_error(cause: Exception, action: Action) -> StateError:
    return StateError(f"Reducer error: {type(cause).__name__}: {cause} (on {action.type!r})")


def _check(given: object) -> None:
    if not isinstance(given, Action):
        raise StateError(
            f"dispatch takes an Action, was given {given!r}; write Action('TYPE', payload)"
        )


def _refuse_late() -> NoReturn:
    raise StateError("this store has been shut down and runs no more sagas")
