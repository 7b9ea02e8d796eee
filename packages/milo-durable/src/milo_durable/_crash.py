"""Crash points: a name before and after every commit, where tests end the process.

``MILO_CRASH_AT=execute.after:3`` kills the own process (SIGKILL, as ``kill -9`` does) when it
comes to that point for the third time; without a number, for the first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WAITING, SagaStatus

VARIABLE: Final = "MILO_CRASH_AT"

COMMITS: Final = (
    "start",
    "execute",  # a step succeeded
    "suspend",  # it waits for an event
    "retry",  # it failed and is tried again
    "fail",  # it failed for good
    "compensate",  # a step is undone
    "compensate.retry",
    "compensate.fail",
    "halt",  # it has killed too many workers, forward or back
    "record",  # a step succeeded, with what it writes to tables of the application
    "record_undo",  # a step is undone, likewise
    "renew",
    "branch",  # what came of a step that may have others beside it
    "branch.renew",
    "branch.claim",
    "claim",
    "expire",
    "resume",
    "notify",
    "await_event",
    "inbox.store",
    "inbox.apply",
    "inbox.purge",
    "outbox.claim",
    "outbox.sent",
    "outbox.retry",
    "outbox.purge",
    "hand_over",  # a worker that stops leaves a saga to others
    "admin.retry",
    "admin.skip",
    "admin.compensate",
    "admin.expire",
    "admin.abort",
)
"""Every commit of this package."""

CRASH_POINTS: Final = tuple(
    f"{commit}.{side}" for commit in COMMITS for side in ("before", "after")
)

Hook = Callable[[str], None]
_hook: Hook | None = None


def before(commit: str) -> None:
    """The next thing that happens is this commit."""
    if _hook is not None:
        _hook(f"{commit}.before")


def after(commit: str) -> None:
    """This commit has just happened."""
    if _hook is not None:
        _hook(f"{commit}.after")


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Call ``hook`` with the name of every point that is reached in the block."""
    global _hook
    previous, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = previous


def commit_of(saga: SagaSnapshot, following: SagaSnapshot) -> str:
    """What the commit is called that follows from running or undoing a step."""
    waits_for = following.awaiting, following.deadline_at
    if following.status in WAITING and waits_for == (None, None):
        return "halt"
    if saga.status == SagaStatus.COMPENSATING:
        if following.status == SagaStatus.FAILED:
            return "compensate.fail"
        is_suspended = following.status == SagaStatus.COMPENSATING_SUSPENDED
        return "compensate.retry" if is_suspended else "compensate"
    if following.status == SagaStatus.SUSPENDED:
        return "retry" if following.awaiting is None else "suspend"
    goes_on = following.status in (SagaStatus.RUNNING, SagaStatus.COMPLETED)
    return "execute" if goes_on else "fail"


def killing(where: str) -> Hook:
    """A hook that ends the process at ``where``, ``name`` or ``name:count``.

    Raises:
        ValueError: there is no such point.
    """
    name, _, count = where.partition(":")
    if name not in CRASH_POINTS or not (count or "1").isdecimal():
        raise ValueError(
            f"{VARIABLE}={where!r} names no crash point; write name or name:count, with a name "
            f"among {', '.join(CRASH_POINTS)}"
        )
    left = int(count or "1")

    def hook(reached: str) -> None:
        nonlocal left
        left -= reached == name
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def heed_environment() -> None:
    """End the process where ``MILO_CRASH_AT`` says, if it is set; done once at import."""
    global _hook
    if where := os.environ.get(VARIABLE):
        _hook = killing(where)


heed_environment()
