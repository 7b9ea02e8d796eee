"""What a saga does with the task of another: ``Join``, ``Cancel``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from milo_effects.effects._checks import check_tasks
from milo_effects.task import SagaTask


class Target(Enum):
    """Whom ``Cancel`` cancels when it is given nobody."""

    SELF = "self"


SELF: Final = Target.SELF


@dataclass(frozen=True, slots=True)
class Join:
    """Wait for ``task``, which ``Fork`` has sent back, to end. Sends back what it returned.

    Its error is thrown; for one that was cancelled, ``ChildCancelledError``. Given a tuple
    of tasks it sends back their results in order, or throws the first error as soon as
    there is one. Cancelling this saga leaves the tasks alone, and so does the error.

    A task that cannot end before this saga goes on, because it is this saga or waits for it
    with ``Race`` or the like, is refused with ``StateError``.
    """

    task: SagaTask | tuple[SagaTask, ...]

    def __post_init__(self) -> None:
        check_tasks(self, self.task, "")


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel ``task``, or a tuple of tasks, and what runs in their scopes. Sends back ``None``.

    It does not wait for their cleanup; ``Join`` does. ``Cancel()`` cancels the saga that
    yields it, which then gets ``SagaCancelled`` instead of ``None``; when it is cleaning up
    after its cancellation already, nothing happens.
    """

    task: SagaTask | tuple[SagaTask, ...] | Literal[Target.SELF] = SELF

    def __post_init__(self) -> None:
        if self.task is not SELF:
            check_tasks(self, self.task, "; for the saga itself write Cancel()")
