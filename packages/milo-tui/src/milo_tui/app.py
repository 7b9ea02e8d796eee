"""``App``: a store on a terminal. Keys become actions, states become frames."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from milo_core import Action, Key, Store, ViewState
from milo_core.actions import KEY, RESIZE, TICK
from milo_core.results import merge_views
from milo_core.store import Middleware
from milo_tui.apart import prints_kept
from milo_tui.errors import AppError, TemplateError, ViewError
from milo_tui.frames import Painter, Size, plain_rows
from milo_tui.keys import KeyReader
from milo_tui.loop import Pace, Waker, signals_to, wait
from milo_tui.mouse import MOUSE, Mouse
from milo_tui.screen import Screen
from milo_tui.terminal import DEFAULT, Terminal

if TYPE_CHECKING:
    from milo_pipeline import Pipeline
    from milo_tui.pipeline_app import PipelineApp

State = TypeVar("State")
View: TypeAlias = Callable[[Any, Size], Any]

FRAMES_PER_SECOND: Final = 60
PLAIN: Final = Size(80, 100_000, is_plain=True)
"""The size of a frame that is printed where there is no terminal."""
ESCAPE_ALONE: Final = 0.05
"""Seconds after which an Escape that nothing has followed was the key."""


class App(Generic[State]):
    """A store whose state is shown on the terminal, and which is told of keys.

    ``run`` dispatches ``@@RESIZE`` with a ``Size`` at first, ``@@KEY`` with a ``Key`` for each key,
    ``@@MOUSE`` with a ``Mouse`` where a ``ViewState`` has asked for it, and ``@@TICK`` every
    ``tick_rate`` seconds, until a reducer answers ``Quit``. After changes
    of the state the view is asked for a frame, at most sixty times a second. All of that
    happens on the thread that called ``run``; sagas and commands run as in any store.

    Args:
        reducer: as of a ``Store``; with ``initial_state`` and ``middleware`` it makes one for
            each ``run``.
        view: ``(state, size)`` to text or a rich renderable. It must be quick, and may not
            change anything.
        template: a template in place of the view: ``"pipeline.kida"`` shows a
            ``PipelineViewState``.
        templates: the folder in which templates are looked for first.
        tick_rate: seconds between two ticks; 0 for none.
        store: one that is there already, in place of the four above; it stays open.

    Attributes:
        exit_code: that of ``Quit``, once ``run`` has returned.

    Raises:
        AppError: both or neither of ``view`` and ``template``, or of ``reducer`` and ``store``.
    """

    def __init__(
        self,
        *,
        reducer: Callable[[Any, Action], Any] | None = None,
        initial_state: Any = None,
        template: str | None = None,
        view: View | None = None,
        middleware: tuple[Middleware, ...] = (),
        tick_rate: float = 0.0,
        templates: str | os.PathLike[str] | None = None,
        store: Store[State] | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        if (view is None) == (template is None):
            raise AppError("App takes a view or a template, one of the two")
        if (reducer is None) == (store is None):
            raise AppError("App takes a reducer or a store, one of the two")
        if tick_rate < 0:
            raise AppError(f"tick_rate is seconds between ticks, 0 for none; not {tick_rate!r}")
        self._reducer = reducer
        self._initial_state = initial_state
        self._middleware = middleware
        self._store = store
        self._view = view
        self._template = template
        self._templates = templates
        self._tick_rate = tick_rate
        self._terminal = terminal
        self._session: Session | None = None
        self.exit_code = 0

    def run(self) -> State:
        """Show the application until it quits; its last state.

        Without a terminal, one frame is printed as plain text when nothing is left to do.
        However it ends, the terminal is as it was before. What is printed meanwhile, by child
        processes as well, appears when it has ended.

        Raises:
            ViewError: the view has raised.
            StateError: the reducer has.
            TemplateError: there is no such template, or it cannot be shown.
            KeyboardInterrupt: Ctrl-C was pressed, unless a handler of SIGINT says otherwise.
        """
        view = self._shown()
        signum = 0
        with self._open() as store:
            with self._borrowed() as terminal, self._beside(store):
                if terminal is None:
                    self._wait(store)
                    _print_plain(store, view)
                else:
                    with prints_kept():
                        session = self._session = Session(store, view, terminal, self._tick_rate)
                        signum = session.run()
            self.exit_code = store.exit_code
        if signum:
            self._interrupted(signum)
        return store.state

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline, **options: Any) -> PipelineApp:
        """An application that runs ``pipeline`` and shows it; see ``PipelineApp``."""
        from milo_tui.pipeline_app import PipelineApp

        return PipelineApp(pipeline, **options)

    @contextmanager
    def _beside(self, store: Store[State]) -> Iterator[None]:
        """What goes on as long as the application is shown."""
        yield

    def _wait(self, store: Store[State]) -> None:
        """Wait for what there is to show where nobody can press a key."""
        store.dispatch(Action(RESIZE, PLAIN))
        store.wait_idle()

    def _interrupted(self, signum: int) -> None:
        """A signal was the end, or the terminal is gone; everything is as it was."""
        self.exit_code = 128 + signum
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signum)

    @contextmanager
    def _borrowed(self) -> Iterator[Terminal | None]:
        if self._terminal is not None or not _has_terminal():
            yield self._terminal
            return
        writing = os.dup(1)  # for descriptor 1 leads elsewhere meanwhile
        try:
            yield Terminal(0, writing, sys.stdout.encoding)
        finally:
            os.close(writing)

    @contextmanager
    def _open(self) -> Iterator[Store[State]]:
        if self._store is not None:
            yield self._store
            return
        assert self._reducer is not None
        with Store(self._reducer, self._initial_state, self._middleware) as store:
            yield store

    def _shown(self) -> View:
        if self._view is not None:
            return self._view
        from milo_tui.templates import template_view

        assert self._template is not None
        return template_view(self._template, self._templates)


class Session:
    """One ``run`` on a terminal.

    All of it belongs to the thread that runs it, but for ``hear``, and for the listener.
    """

    def __init__(self, store: Store[Any], view: View, terminal: Terminal, tick_rate: float) -> None:
        self._store = store
        self._view = view
        self._terminal = terminal
        self._tick_rate = tick_rate
        self._keys = KeyReader()
        self._screen = Screen()
        self._painter = Painter(color=not os.environ.get("NO_COLOR"), encoding=terminal.encoding)
        self._waker = Waker()
        self._pace = Pace(FRAMES_PER_SECOND)
        self._is_dirty = True
        self._signals: list[int] = []
        self._size = Size(80, 24)
        self._next_tick = time.monotonic() + tick_rate
        self._escape_at = 0.0
        self._has_hung_up = False
        self._looks = DEFAULT

    def run(self) -> int:
        """Until it quits; the signal that was the end, if one was."""
        stop = self._store.subscribe(self._changed)
        signum = 0
        try:
            with signals_to(self.hear):
                self._terminal.enter(self._wanted())
                try:
                    self._begin()
                    signum = self._go_on()
                    self._draw()
                finally:
                    self._terminal.leave(self._screen.leave())
        finally:
            stop()
            self._waker.close()
        return signum

    def _changed(self) -> None:
        """The listener: on whichever thread has changed the state."""
        if not self._is_dirty:
            self._is_dirty = True
            self._waker.wake()

    def hear(self, signum: int) -> None:
        """The handler of signals; from any thread."""
        self._signals.append(signum)
        self._waker.wake()

    def _begin(self) -> None:
        self._screen.forget(alternate=self._terminal.is_alternate)
        self._size = self._terminal.size()
        self._store.dispatch(Action(RESIZE, self._size))

    def _go_on(self) -> int:
        """Until it quits: 0, or the signal that ends it."""
        while not self._store.quit_requested:
            if self._is_dirty and not self._pace.until_due():
                self._draw()
            ready = wait([self._terminal.reading, self._waker.reading], self._patience())
            if self._waker.reading in ready:
                self._waker.drain()
            while self._signals:
                if self._answer(signum := self._signals.pop(0)):
                    return signum
            self._read(self._terminal.reading in ready)
            if self._has_hung_up:
                return signal.SIGHUP
            self._tick()
        return 0

    def _patience(self) -> float | None:
        """Seconds until something is due if nothing comes."""
        now = time.monotonic()
        due = []
        if self._is_dirty:
            due.append(self._pace.until_due())
        if self._tick_rate:
            due.append(self._next_tick - now)
        if self._keys.is_waiting:
            due.append(self._escape_at - now)
        return max(0.0, min(due)) if due else None

    def _read(self, is_ready: bool) -> None:
        keys: list[Key | Mouse] = []
        if is_ready:
            data = self._terminal.read()
            self._has_hung_up = not data
            keys = self._keys.feed(data)
            self._escape_at = time.monotonic() + ESCAPE_ALONE
        elif self._keys.is_waiting and time.monotonic() >= self._escape_at:
            keys = self._keys.flush()
        for key in keys:
            self._store.dispatch(Action(KEY if isinstance(key, Key) else MOUSE, key))
            if self._store.quit_requested:
                return

    def _tick(self) -> None:
        now = time.monotonic()
        if self._tick_rate and now >= self._next_tick:
            self._next_tick = max(self._next_tick + self._tick_rate, now)
            self._store.dispatch(Action(TICK))

    def _answer(self, signum: int) -> bool:
        """Whether a signal is the end."""
        if signum == signal.SIGWINCH:
            self._resized()
        elif signum == signal.SIGTSTP:
            self._suspend()
        elif signum != signal.SIGCONT:
            return True
        return False

    def _resized(self) -> None:
        size = self._terminal.size()
        self._terminal.clear()
        self._screen.forget(alternate=self._terminal.is_alternate)
        self._is_dirty = True
        if size != self._size:
            self._size = size
            self._store.dispatch(Action(RESIZE, size))

    def _suspend(self) -> None:
        """Give the terminal back and stop; go on here when told to."""
        self._terminal.leave(self._screen.leave())
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        self._terminal.enter(self._wanted())
        self._resized()

    def _wanted(self) -> ViewState:
        """What reducers have asked for, over how an application begins."""
        self._looks = merge_views(self._looks, self._store.view_state) or DEFAULT
        return self._looks

    def _draw(self) -> None:
        self._is_dirty = False  # before the state is read: what changes from now on is drawn again
        rows = self._painter.rows(_seen(self._view, self._store.state, self._size), self._size)
        try:
            if self._terminal.show(self._wanted()):
                self._screen.forget(alternate=self._terminal.is_alternate)
            self._terminal.write(self._screen.draw(rows))
        except OSError:  # the terminal is gone
            self._has_hung_up = True
        self._pace.drawn()


def _seen(view: View, state: Any, size: Size) -> Any:
    try:
        return view(state, size)
    except TemplateError:
        raise
    except Exception as error:  # the user's; told to whoever called run
        raise ViewError(f"the view has raised {type(error).__name__}: {error}") from error


def _print_plain(store: Store[Any], view: View) -> None:
    shown = plain_rows(_seen(view, store.state, PLAIN), PLAIN)
    sys.stdout.write("".join(f"{row}\n" for row in shown))
    sys.stdout.flush()


def _has_terminal() -> bool:
    return os.isatty(0) and os.isatty(1) and os.environ.get("TERM") != "dumb"
