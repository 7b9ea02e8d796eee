"""Runs told by hand: the actions of a pipeline with the states its own reducer makes of them."""

from milo_core import Action
from milo_pipeline import Phase, Pipeline, actions


def phase(name, *depends_on, **options):
    """A phase whose handler is never called."""
    return Phase(name, print, depends_on=depends_on, **options)


def told(pipeline, *happened):
    """Each action with the state it led to, as ``on_event`` tells them."""
    reducer, state = pipeline.build_reducer(), None
    for action in happened:
        state = reducer(state, action)
        yield action, state


def last_state(pipeline, *happened):
    """The state after everything that happened."""
    *_, (_, state) = told(pipeline, *happened)
    return state


SITE = Pipeline("site", phase("parse"), phase("write", "parse"), phase("health", "write"))

COMPLETED = (
    actions.pipeline_start(100.0),
    actions.phase_start("parse", 1, 100.0),
    actions.phase_log("parse", "3 pages", "stdout", 100.1),
    actions.phase_log("parse", "\x1b[31mold\x1b[0m syntax", "stderr", 100.2),
    actions.phase_complete("parse", object(), 100.5),
    actions.phase_start("write", 1, 100.5),
    actions.phase_retry("write", 1, "disk busy", 2, 101.0),
    actions.phase_start("write", 2, 101.5),
    actions.phase_complete("write", None, 102.0),
    actions.phase_start("health", 1, 102.0),
    actions.phase_skipped("health", "a.md: no such\nheading", 102.25),
    actions.pipeline_complete(102.25),
)

FAILED = (
    *COMPLETED[:5],
    actions.phase_start("write", 1, 100.5),
    actions.phase_failed("write", "disk full", 101.0),
)

CANCELLED = (*COMPLETED[:4], actions.pipeline_cancelled(103.0))

PAGES = Pipeline("pages", phase("list"), phase("render", "list", map_over="list"))


def mapped(count, *moves):
    """``render`` has ``count`` items; a move is the item's number, its status, its error."""
    return (
        actions.pipeline_start(100.0),
        actions.phase_complete("list", None, 100.0, "cache"),
        actions.phase_start("render", 1, 100.0),
        actions.phase_mapped("render", count, 100.0),
        *(
            actions.phase_item(
                "render", number, status, 100.5, **({"error": error} if error else {"attempt": 1})
            )
            for number, status, error in moves
        ),
    )


UNRELATED = Action("SOMETHING ELSE", {"name": "parse"})
