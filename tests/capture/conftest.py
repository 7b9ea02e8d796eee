"""What the capture tests share: a stream to look through, and threads that cannot be forgotten."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

import pytest

HANGS = 60.0


class Gate(threading.Event):
    """An event whose ``pass_through`` fails the test where a plain wait would hang."""

    def pass_through(self) -> None:
        assert self.wait(HANGS), "nobody opened the gate"


@contextmanager
def _running(work: Callable[[], None]) -> Iterator[None]:
    """``work`` runs in a thread during the block; the block's end joins it and raises its error."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    outcome.result(HANGS)
    thread.join(HANGS)


@pytest.fixture
def running():
    """``with running(work): ...`` runs ``work`` beside the block."""
    return _running


@pytest.fixture
def gate():
    """``gate()`` makes a gate."""
    return Gate


@pytest.fixture
def real_stdout():
    """A buffer that is ``sys.stdout`` when the test begins: what passes through ends up here."""
    return io.StringIO()


@pytest.fixture
def real_stderr():
    """A buffer that is ``sys.stderr`` when the test begins: what passes through ends up here."""
    return io.StringIO()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Put the buffers in place here: pytest sets the streams between a fixture and its test."""
    with ExitStack() as stack:
        for name, redirect in (("real_stdout", redirect_stdout), ("real_stderr", redirect_stderr)):
            if name in pyfuncitem.funcargs:
                stack.enter_context(redirect(pyfuncitem.funcargs[name]))
        return (yield)
