"""The compiled reducer against a small model that keeps dicts and scans them."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action
from milo_pipeline import Phase, PhaseLog, Pipeline

DONE = ("completed", "skipped")
ENDED = ("failed", *DONE)
PENDING = {
    "status": "pending",
    "started_at": 0.0,
    "elapsed": 0.0,
    "error": "",
    "attempt": 0,
    "logs": [],
}
MOVES = {
    "@@PHASE_START": "running",
    "@@PHASE_RETRY": "retrying",
    "@@PHASE_COMPLETE": "completed",
    "@@PHASE_FAILED": "failed",
    "@@PHASE_SKIPPED": "skipped",
}


class Model:
    """What a run is, said as plainly as possible."""

    def __init__(self, phases):
        self.phases = phases
        self.reset("pending", 0.0)

    def reset(self, status, at):
        self.status, self.error, self.started_at, self.elapsed = status, "", at, 0.0
        self.begun = []
        self.of = {p.name: dict(PENDING) for p in self.phases}

    def apply(self, action):
        payload = action.payload
        if isinstance(payload, str):
            payload = {"name": payload}
        elif not isinstance(payload, dict):
            payload = {} if payload is None else {"at": payload}
        at = payload.get("at", payload.get("timestamp"))
        at = self.started_at + self.elapsed if at is None else at
        if action.type == "@@PIPELINE_START":
            return self.reset("running", at)
        before = self.status
        if action.type == "@@PIPELINE_COMPLETE":
            self.status = "failed" if before == "failed" else "completed"
        elif action.type == "@@PIPELINE_CANCELLED" and before != "completed":
            for phase in self.of.values():
                if phase["status"] in ("running", "retrying"):
                    self.move(phase, "failed", {"error": "cancelled"}, at)
            self.fail("cancelled")
        elif payload.get("name") not in self.of:
            return None
        elif action.type == "@@PHASE_LOG":
            self.log(payload, at)
        elif self.of[payload["name"]]["status"] in ENDED:
            return None
        else:
            phase = self.of[payload["name"]]
            if phase["status"] not in ("running", "retrying"):
                self.begun.append(payload["name"])
            self.move(phase, MOVES[action.type], payload, at)
            if phase["status"] == "failed":
                self.fail(phase["error"])
        if before in ("running", "failed"):
            self.elapsed = max(self.elapsed, at - self.started_at)
        elif before == "pending" and self.status != "pending":
            self.started_at = at
        return None

    def move(self, phase, to, payload, at):
        phase["started_at"] = at if phase["status"] == "pending" else phase["started_at"]
        phase["attempt"] = payload.get("attempt", phase["attempt"] + (to == "running"))
        phase["elapsed"] = max(phase["elapsed"], at - phase["started_at"])
        phase["status"], phase["error"] = to, payload.get("error", "")

    def log(self, payload, at):
        phase = self.of[payload["name"]]
        (most,) = (p.max_logs for p in self.phases if p.name == payload["name"])
        line = PhaseLog(payload["line"], payload["stream"], payload["timestamp"])
        phase["logs"] = [*phase["logs"], line][-most:] if most else []
        if most and phase["status"] in ("running", "retrying"):
            phase["elapsed"] = max(phase["elapsed"], at - phase["started_at"])

    def fail(self, error):
        self.error = self.error if self.status == "failed" else error
        self.status = "failed"

    def progress(self):
        if self.status == "completed":
            return 1.0
        done = sum(p.weight for p in self.phases if self.of[p.name]["status"] in DONE)
        total = sum(p.weight for p in self.phases)
        return done / total if total else 0.0

    def current(self):
        running = [n for n in self.begun if self.of[n]["status"] in ("running", "retrying")]
        return running[-1] if running else ""


NAMES = st.sampled_from(["a", "b", "c", "d", "not a phase"])
TIMES = st.floats(0, 1000) | st.integers(0, 1000)
ERRORS = st.sampled_from(["", "no disk", "no net", "cancelled"])


def with_time(payload):
    return payload | st.builds(lambda facts, at: {**facts, "at": at}, payload, TIMES)


PHASE_FACTS = with_time(
    st.fixed_dictionaries({"name": NAMES}, optional={"error": ERRORS, "attempt": st.integers(1, 9)})
)
LOG_FACTS = with_time(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "line": st.sampled_from(["one", "two", ""]),
            "stream": st.sampled_from(["stdout", "stderr"]),
            "timestamp": TIMES,
        }
    )
)
ACTIONS = st.one_of(
    st.builds(Action, st.sampled_from(sorted(MOVES)), PHASE_FACTS | NAMES),
    st.builds(Action, st.sampled_from(sorted(MOVES)), PHASE_FACTS),
    st.builds(Action, st.just("@@PHASE_LOG"), LOG_FACTS),
    st.builds(Action, st.just("@@PIPELINE_START"), TIMES | st.none()),
    st.builds(
        Action,
        st.sampled_from(["@@PIPELINE_COMPLETE", "@@PIPELINE_CANCELLED"]),
        with_time(st.just({})) | st.none(),
    ),
)
PHASES = st.tuples(
    *(
        st.builds(
            Phase,
            st.just(name),
            st.just(print),
            weight=st.integers(0, 3),
            max_logs=st.integers(0, 3),
        )
        for name in "abcd"
    )
)


def log_of_nothing(action, model):
    """Whether the model's clock moved for a line that is not kept."""
    payload = action.payload
    return action.type == "@@PHASE_LOG" and any(
        p.name == payload["name"] and p.max_logs == 0 for p in model.phases
    )


@given(PHASES, st.lists(ACTIONS, max_size=40))
def test_the_reducer_does_what_the_model_does(phases, sequence):
    """For any sequence of actions, in any order, the published fields are the model's."""
    reducer, model = Pipeline("p", *phases).build_reducer(), Model(phases)
    state = reducer(None, Action("@@INIT"))
    for action in sequence:
        if log_of_nothing(action, model):
            assert reducer(state, action) is state
            continue
        model.apply(action)
        state = reducer(state, action)
        assert (state.status, state.error) == (model.status, model.error)
        assert (state.started_at, state.elapsed) == (model.started_at, model.elapsed)
        assert (state.progress, state.current_phase) == (model.progress(), model.current())
        for phase in state.phases:
            expected = model.of[phase.name]
            assert phase.logs == tuple(expected["logs"])
            for field in ("status", "started_at", "elapsed", "error", "attempt"):
                assert getattr(phase, field) == expected[field]


@given(PHASES, st.lists(ACTIONS, max_size=40))
def test_what_holds_in_every_state(phases, sequence):
    """Progress stays within 0 and 1, time never runs backwards, a failure stays a failure."""
    reducer = Pipeline("p", *phases).build_reducer()
    state = reducer(None, Action("@@INIT"))
    for action in sequence:
        before, state = state, reducer(state, action)
        assert 0.0 <= state.progress <= 1.0
        assert min([state.elapsed, *(phase.elapsed for phase in state.phases)]) >= 0.0
        if state.current_phase:
            (current,) = (p for p in state.phases if p.name == state.current_phase)
            assert current.status in ("running", "retrying")
        if action.type != "@@PIPELINE_START":
            assert state.elapsed >= before.elapsed
            assert before.status != "failed" or state.status == "failed"
            for old, new in zip(before.phases, state.phases, strict=True):
                if old.status in ENDED:
                    assert (new.status, new.error) == (old.status, old.error)


@given(PHASES, st.lists(ACTIONS, max_size=20), st.lists(ACTIONS, max_size=20))
def test_a_copied_state_goes_on_like_the_original(phases, first, second):
    """A state that was copied has the same future: the reducer is pure in what it can see."""
    reducer = Pipeline("p", *phases).build_reducer()
    state = reducer(None, Action("@@INIT"))
    for action in first:
        state = reducer(state, action)
    again = copy.deepcopy(state)
    assert again == state
    for action in second:
        state, again = reducer(state, action), reducer(again, action)
        assert again == state
