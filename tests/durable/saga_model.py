"""What a linear saga does, as SEMANTICS says it: a model that the real one is compared with.

A ``Plan`` is what both are made from: for each step how its executions go, one after the other.
"""

from datetime import timedelta
from typing import NamedTuple

from milo_durable import NotifyResult, SagaStatus
from milo_durable.status import TERMINAL, WORKING

HELD = 305  # seconds: a lease and its grace
RUNNING, COMPENSATING = WORKING
SUSPENDED, COMPENSATING_SUSPENDED = SagaStatus.SUSPENDED, SagaStatus.COMPENSATING_SUSPENDED
TIMEOUT, FAILED = SagaStatus.TIMEOUT, SagaStatus.FAILED
STARTS_AGAIN = {SUSPENDED: RUNNING, COMPENSATING_SUSPENDED: COMPENSATING}
ALLOWED_IN = {
    **dict.fromkeys(("skip", "await"), (SUSPENDED,)),
    "retry": (SUSPENDED, TIMEOUT, FAILED),
    "compensate": (SUSPENDED, FAILED, TIMEOUT, COMPENSATING, COMPENSATING_SUSPENDED),
    "abort": [status for status in SagaStatus if status not in TERMINAL],
}


class Wait(NamedTuple):
    """For which event, and for how many seconds."""

    event_type: str | None
    correlation_id: str | None
    seconds: int | None


class Step(NamedTuple):
    """Each execution is ``ok``, ``fail``, ``bad`` (for good) or a ``Wait``; the last goes on.

    Without ``undoes`` the step has no ``compensate``.
    """

    retries: int
    delay: int
    does: tuple[str | Wait, ...]
    undoes: tuple[str, ...]


class Plan(NamedTuple):
    steps: tuple[Step, ...]
    compensates: bool


def outcome_of(plan, journal):
    """How that goes which the journal has last, ``("do", 1)`` or ``("undo", 1)``."""
    word, index = journal[-1]
    script = plan.steps[index].does if word == "do" else plan.steps[index].undoes
    return script[min(journal.count(journal[-1]), len(script)) - 1]


class Model:
    """One saga. ``world`` has the time, and is told of each step and of the ends of commits."""

    def __init__(self, plan, world):
        self.plan, self.world = plan, world
        self.step, self.tries, self.token, self.error = 0, 0, 0, None
        self.done, self.undone, self.events, self.history, self.journal = [], [], [], [], []
        self.move(RUNNING, HELD)

    def move(self, status, seconds=None, wait=None):
        self.status, self.wait, self.token = status, wait, self.token + 1
        self.deadline = None if seconds is None else self.world.now() + timedelta(seconds=seconds)

    def note(self, status, phase="execute", skipped=False):
        self.history.append((phase, status, f"step_{self.step}", self.tries + 1, skipped))

    def drive(self):
        is_mine = True
        while is_mine and self.status in WORKING:
            token, word = self.token, "do" if self.status == RUNNING else "undo"
            self.journal.append((word, self.step))
            outcome = outcome_of(self.plan, self.journal)
            self.world.meanwhile()
            self.world.point()
            if is_mine := self.token == token:
                self.follow(word, outcome)
            self.world.point()

    def follow(self, word, outcome):
        forward, step = word == "do", self.plan.steps[self.step]
        status = {"ok": "SUCCESS", "fail": "ERROR", "bad": "ERROR"}.get(outcome, "WAITING")
        self.note(status, "execute" if forward else "compensate")
        errors = {"fail": f"fail {self.step}", "bad": "bad"}
        self.error = errors.get(outcome, self.error) if forward else self.error
        if status == "WAITING":
            self.move(SUSPENDED, outcome.seconds, outcome)
        elif status == "SUCCESS":
            self.succeed() if forward else self.undo(self.step)
        elif outcome == "fail" and self.tries < step.retries:
            self.tries += 1
            self.move(SUSPENDED if forward else COMPENSATING_SUSPENDED, step.delay)
        elif forward and self.plan.compensates and self.done:
            self.undo()
        else:
            self.move(FAILED)

    def succeed(self):
        self.done.append(self.step)
        self.tries, self.error = 0, None
        is_last = self.step + 1 == len(self.plan.steps)
        self.step += not is_last
        self.move(SagaStatus.COMPLETED) if is_last else self.move(RUNNING, HELD)

    def undo(self, undone=None):
        self.undone.append(undone)
        self.tries, left = 0, self.left()
        self.step = max(left, default=self.step)
        self.move(COMPENSATING, HELD) if left else self.move(SagaStatus.COMPENSATED)

    def left(self):
        return [n for n in self.done if self.plan.steps[n].undoes and n not in self.undone]

    def is_due(self):
        return self.deadline is not None and self.deadline <= self.world.now()

    def claim(self):
        self.move(STARTS_AGAIN.get(self.status, self.status), HELD)

    def expire(self):
        self.note("TIMEOUT")
        self.error = "the event did not come in time"
        self.move(TIMEOUT)

    def judge(self, event, token):
        if self.wait is None:
            return NotifyResult.NOT_WAITING
        if token != self.token:
            return NotifyResult.STALE_TOKEN
        is_known = event.event_id is not None and event.event_id in self.events
        return NotifyResult.DUPLICATE_EVENT if is_known else self.judge_kind(event)

    def judge_kind(self, event):
        if self.wait.event_type not in (None, event.event_type):
            return NotifyResult.WRONG_EVENT_TYPE
        if self.wait.correlation_id not in (None, event.correlation_id):
            return NotifyResult.WRONG_CORRELATION_ID
        return NotifyResult.EXPIRED if self.is_due() else NotifyResult.ACCEPTED

    def accept(self, event):
        self.events.append(event.event_id)
        self.move(RUNNING, HELD)

    def allows(self, call):
        is_back, can_be_undone = self.step in self.done, bool(self.done)
        also = {"retry": not is_back, "compensate": can_be_undone}.get(call, True)
        return self.status in ALLOWED_IN[call] and also

    def act(self, call, wait):
        self.error = "aborted" if call == "abort" else self.error
        if call == "skip":
            self.note("SUCCESS", skipped=True)
        acts = {"skip": self.succeed, "compensate": self.undo}
        acts["retry"] = lambda: self.move(RUNNING, HELD)
        acts["abort"] = lambda: self.move(FAILED)
        acts["await"] = lambda: self.move(SUSPENDED, wait.seconds, wait)
        acts[call]()
