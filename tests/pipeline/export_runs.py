"""Runs told by hand, for the tests of what a run leaves behind."""

from milo_pipeline import Phase, Pipeline, actions
from milo_pipeline.exports import SpanRecorder

ODD_NAMES = (
    'say "hi"',
    "a[b]{c}(d)",
    "one\ntwo",
    "<script>alert(1)</script>",
    "größe 大きい ✓",
    "back\\slash\\",
    "&amp; %%{init: {}}%%",
    "\x1b[31mred\x1b[0m\x00",
    "\u202etxt.exe",
    "\ud800 alone",
    "end; #35; `tick`",
)


def of(name, *needs, **options):
    """A phase whose handler is never called."""
    return Phase(name, print, depends_on=needs, parallel=True, **options)


def told(pipeline, *happened):
    """The last state and the spans after everything that happened."""
    reducer, state, recorder = pipeline.build_reducer(), None, SpanRecorder()
    for action in happened:
        state = reducer(state, action)
        recorder.on_event(action, state)
    return state, recorder.spans()


def attempt(name, start, end, error=None, number=1):
    """An attempt that completed, or failed for good."""
    ended = (
        actions.phase_complete(name, None, end)
        if error is None
        else actions.phase_failed(name, error, end)
    )
    return actions.phase_start(name, number, start), ended


def retried(name, start, end, error, number=1):
    """An attempt that failed and will be followed by another."""
    return actions.phase_start(name, number, start), actions.phase_retry(
        name, number, error, 2, end
    )


SITE = Pipeline(
    "site",
    of("parse", description="Read the pages"),
    of("assets"),
    of("render", "parse", weight=3),
    of("write", "render", "assets"),
    of("health", "write"),
)

FAILED = (
    actions.pipeline_start(100.0),
    *retried("parse", 100.0, 100.5, "disk busy"),
    actions.phase_log("parse", "3 pages", "stdout", 100.25),
    actions.phase_log("parse", "\x1b[31mold\x1b[0m <syntax>", "stderr", 100.5),
    *attempt("assets", 100.0, 101.0),
    *attempt("parse", 101.0, 101.5, number=2),
    *attempt("render", 101.75, 102.75),
    *attempt("write", 103.0, 103.5, "disk <full>"),
)
"""``parse`` needs two attempts, ``write`` fails, ``health`` never begins."""


PAGES = Pipeline("pages", of("list"), of("render", "list", map_over="list"))


def mapped(count, *moves, cause=""):
    """``list`` comes from a cache, ``render`` has items; a move is number, status, time, facts."""
    happened = [
        actions.pipeline_start(100.0),
        actions.phase_complete("list", None, 100.0, "cache"),
        actions.phase_start("render", 1, 100.0),
        actions.phase_mapped("render", count, 100.0),
    ]
    for number, status, at, *facts in moves:
        happened.append(actions.phase_item("render", number, status, at, **dict(facts)))
    end = (
        actions.phase_failed("render", cause, 104.0)
        if cause
        else actions.phase_complete("render", [], 104.0)
    )
    return [*happened, end]


ITEMS_FAILED = mapped(
    4,
    (0, "running", 100.0, ("attempt", 1)),
    (1, "running", 100.0, ("attempt", 1)),
    (0, "completed", 101.0),
    (1, "retrying", 101.0, ("error", "busy"), ("attempt", 1)),
    (1, "running", 102.0, ("attempt", 2)),
    (2, "running", 101.5, ("attempt", 1)),
    (2, "failed", 102.5, ("error", "cancelled")),
    (1, "failed", 103.0, ("error", "bad <page>")),
    cause="item 1: bad <page>",
)
"""Item 0 completes, 1 fails at its second attempt, 2 is cancelled, 3 never begins."""


def crowd(phases, lines):
    """A pipeline of many phases, and all that happened in it: one of them fails."""
    pipeline = Pipeline(
        "crowd",
        *(
            of(f"phase {i}", *([f"phase {i - 20}"] if i >= 20 else []), max_logs=lines)
            for i in range(phases)
        ),
    )
    failing = phases * 2 // 3
    happened = [actions.pipeline_start(0.0)]
    for i in range(phases):
        name, start = f"phase {i}", float(i // 20)
        started, ended = attempt(name, start, start + 0.5, "no <room>" if i == failing else None)
        happened.append(started)
        for n in range(lines):
            line = f"line {n} of {name}: compiling <module_{n}> & linking it with everything else"
            happened.append(actions.phase_log(name, line, "stdout", start))
        happened.append(ended)
    return pipeline, happened
