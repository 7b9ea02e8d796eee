"""The display for GitHub Actions: groups, annotations, and output that cannot pass for either."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suite_stories import CANCELLED, COMPLETED, FAILED, PAGES, SITE, last_state, mapped, phase, told

from milo._cli.github import GitHubDisplay, is_github_actions
from milo._cli.outcome import Outcome
from milo._cli.streams import LineWriter
from milo_pipeline import Pipeline, actions

PAIR = Pipeline("pair", phase("a", parallel=True), phase("b", parallel=True))


def lines_of(happened, outcome=None, pipeline=SITE):
    """What is written, with the token as ``T``."""
    stream = io.StringIO()
    display = GitHubDisplay(LineWriter(stream), token="T")
    with display.showing():
        for action, state in told(pipeline, *happened):
            display.on_event(action, state)
    if outcome is not None:
        display.close(outcome)
    return stream.getvalue().splitlines()


def of_pair(*happened):
    return (actions.pipeline_start(0.0), *happened)


def log(name, line):
    return actions.phase_log(name, line, "stdout", 1.0)


def commands_of(lines):
    """The commands that a runner would carry out, as (name, properties, data)."""
    token, carried_out = None, []
    for line in lines:
        new, old = re.match(r"\s*::(\S+?)( .*?)?::(.*)", line), re.search(r"##\[(\w+)", line)
        if not new and not old:
            continue
        name, properties, data = new.groups() if new else (old[1], None, "")
        if token is not None:
            token = None if name == token else token
        elif name == "stop-commands":
            token = data
        else:
            carried_out.append((name, properties, data))
    return carried_out


def test_each_phase_is_a_group_with_its_outcome_behind_it():
    """Output and retries are folded away; how a phase ended is seen without unfolding."""
    assert lines_of(COMPLETED) == [
        "site started (3 phases)",
        "::group::parse",
        "::stop-commands::T",
        "3 pages",
        "old syntax",
        "::T::",
        "::endgroup::",
        "parse  completed in 0.50 s",
        "::group::write",
        "::stop-commands::T",
        "attempt 1 failed, retrying: disk busy",
        "attempt 2 started",
        "::T::",
        "::endgroup::",
        "write  completed in 1.50 s",
        "::group::health",
        "::stop-commands::T",
        "::T::",
        "::endgroup::",
        "health  skipped: a.md: no such heading",
        "::warning title=health skipped::a.md: no such%0Aheading",
    ]


def test_a_failed_phase_is_an_error():
    """The annotation comes behind the group, the summary behind that."""
    outcome = Outcome(last_state(SITE, *FAILED), blocked={"health": ("write",)})
    assert lines_of(FAILED, outcome)[-4:] == [
        "write  failed: disk full",
        "::error title=write failed::disk full",
        "site failed in 1.00 s: write: disk full",
        "never began: health (blocked by write)",
    ]


def test_failed_items_stand_in_the_group_of_their_phase():
    """The others are only counted, and a result of an earlier run has no group."""
    moves = (0, "running", ""), (0, "completed", ""), (1, "failed", "##[error]bad\n::error::x")
    ended = actions.phase_failed("render", "item 1: bad", 101.0)
    assert lines_of((*mapped(3, *moves), ended), pipeline=PAGES)[1:] == [
        "list  completed from cache",
        "::group::render",
        "::stop-commands::T",
        "3 items",
        "item 1 failed: ## [error]bad ::error::x",
        "::T::",
        "::endgroup::",
        "render  failed: item 1: bad (1 of 3 items done, 1 failed)",
        "::error title=render failed::item 1: bad",
    ]


def test_what_a_cached_phase_said_stands_in_its_group():
    """It is told again without a start; what comes after the end stands behind the group."""
    said = (
        log("a", "::error::x"),
        actions.phase_complete("a", None, 1.0, "cache"),
        log("a", "late"),
    )
    assert lines_of(of_pair(*said), pipeline=PAIR)[1:] == [
        "::group::a",
        "::stop-commands::T",
        "::error::x",
        "::T::",
        "::endgroup::",
        "a  completed from cache",
        "a | late",
    ]


def test_items_that_go_on_when_their_phase_has_ended_are_told():
    """Behind its group, and harmless."""
    ended = actions.phase_failed("render", "item 1: bad", 101.0)
    late = [actions.phase_item("render", n, "failed", 101.5, error="::error::x") for n in (0, 1)]
    *_, first, second = lines_of((*mapped(3), ended, *late), pipeline=PAGES)
    assert first == "render  item 0 failed: ::error::x"
    assert second == "render  item 1 failed: ::error::x"


def test_phases_side_by_side_do_not_mix():
    """The first one writes live; what the other says is kept until the group is closed."""
    both = of_pair(
        actions.phase_start("a", 1, 0.0),
        actions.phase_start("b", 1, 0.0),
        log("b", "b 1"),
        log("a", "a 1"),
    )
    head = ["pair started (2 phases)", "::group::a", "::stop-commands::T", "a 1"]
    assert lines_of(both, pipeline=PAIR) == head
    ended = (*both, actions.phase_complete("a", None, 1.0), log("b", "b 2"))
    assert lines_of(ended, pipeline=PAIR) == [
        *head,
        "::T::",
        "::endgroup::",
        "a  completed in 1.00 s",
        "::group::b",
        "::stop-commands::T",
        "b 1",
        "b 2",
    ]


def test_what_ended_meanwhile_follows_in_one_piece():
    """A phase that ended behind another's back has its group and its annotation all the same."""
    happened = of_pair(
        actions.phase_start("a", 1, 0.0),
        actions.phase_start("b", 1, 0.0),
        log("b", "b 1"),
        actions.phase_failed("b", "late", 1.0),
        log("a", "a 1"),
        actions.phase_complete("a", None, 2.0),
    )
    assert lines_of(happened, pipeline=PAIR)[3:] == [
        "a 1",
        "::T::",
        "::endgroup::",
        "a  completed in 2.00 s",
        "::group::b",
        "::stop-commands::T",
        "b 1",
        "::T::",
        "::endgroup::",
        "b  failed: late",
        "::error title=b failed::late",
    ]


def test_what_is_left_behind_is_written_at_the_end():
    """After an interruption, phases whose end nobody told have said what they said."""
    happened = of_pair(
        actions.phase_start("a", 1, 0.0),
        actions.phase_start("b", 1, 0.0),
        log("b", "stuck at page 3"),
    )
    lines = lines_of(happened, Outcome(last_state(PAIR, *happened), interrupted=130), PAIR)
    assert lines.count("::endgroup::") == 2
    assert "stuck at page 3" in lines
    assert lines[-1].startswith("pair interrupted after")


def test_a_phase_that_never_began_has_no_group():
    """Its line stands alone, without a warning: it was left out, and did nothing wrong."""
    happened = (*COMPLETED[:1], actions.phase_skipped("parse", "not selected", 100.0))
    assert lines_of(happened)[1:] == ["parse  skipped: not selected"]


def test_a_phase_that_could_not_begin_is_an_error():
    """A failure is one also without a group."""
    happened = (*COMPLETED[:1], actions.phase_failed("parse", "no condition", 100.0))
    assert lines_of(happened)[2:] == ["::error title=parse failed::no condition"]


def test_a_cancelled_phase_is_no_error():
    """That the run was stopped is said by the summary, not by each phase."""
    happened = (*CANCELLED[:-1], actions.phase_failed("parse", "cancelled", 103.0), CANCELLED[-1])
    lines = lines_of(happened, Outcome(last_state(SITE, *happened), interrupted=130))
    assert not [name for name, *_ in commands_of(lines) if name == "error"]


def test_a_line_after_the_end_is_harmless():
    """A thread that a phase left behind may still print."""
    late = actions.phase_log("parse", "::error::late", "stdout", 100.6)
    assert lines_of((*COMPLETED[:5], late))[-1] == "parse | ::error::late"


def test_properties_are_escaped():
    """A name with colons, commas and percent signs ends no property; the group is one line."""
    odd = Pipeline("odd", phase("a: 100%, b"))
    happened = of_pair(
        actions.phase_start("a: 100%, b", 1, 0.0), actions.phase_failed("a: 100%, b", "x\r\ny", 1.0)
    )
    lines = lines_of(happened, pipeline=odd)
    assert lines[1] == "::group::a: 100%25, b"
    assert lines[-1] == "::error title=a%3A 100%25%2C b failed::x%0Ay"


FORGERIES = [
    "::error::forged",
    "  ::set-env name=PATH::/tmp",
    "::add-mask::a",
    "::endgroup::",
    "::T",
    "::stop-commands::mine",
    "::mine::",
    "##[error]forged",
    "text ##[add-mask]a",
    "\x1b[0m::warning::forged",
]


@pytest.mark.parametrize("forged", FORGERIES)
def test_output_forges_no_command(forged):
    """Not as a line of output, as an error or as a name; what we say is still understood."""
    pipeline = Pipeline(forged, phase(forged), phase("next"))
    happened = of_pair(
        actions.phase_start(forged, 1, 0.0),
        log(forged, forged),
        actions.phase_retry(forged, 1, forged, 1, 1.0),
        actions.phase_start(forged, 2, 1.0),
        actions.phase_skipped(forged, forged, 2.0),
        log(forged, forged),
        actions.phase_start("next", 1, 2.0),
        actions.phase_failed("next", forged, 3.0),
    )
    lines = lines_of(happened, Outcome(last_state(pipeline, *happened)), pipeline)
    assert [name for name, *_ in commands_of(lines)] == [
        "group", "endgroup", "warning", "group", "endgroup", "error",
    ]  # fmt: skip


@given(st.lists(st.text(st.sampled_from(":#[]% a\r\n\t\x1b\u2028\u00a0")), max_size=8))
def test_no_text_forges_a_command(texts):
    """Whatever is printed, the runner carries out the group's two commands and no other."""
    happened = of_pair(
        actions.phase_start("a", 1, 0.0),
        *(log("a", text) for text in texts),
        actions.phase_complete("a", None, 1.0),
        *(log("a", text) for text in texts),
    )
    lines = lines_of(happened, pipeline=PAIR)
    assert [name for name, *_ in commands_of(lines)] == ["group", "endgroup"]


def test_the_token_is_another_for_each_display():
    """Nobody can know what makes the runner listen again."""
    tokens = set()
    for _ in range(2):
        stream = io.StringIO()
        display = GitHubDisplay(LineWriter(stream))
        for action, state in told(SITE, *COMPLETED[:2]):
            display.on_event(action, state)
        tokens.add(re.search("::stop-commands::(.{32,})\n", stream.getvalue())[1])
    assert len(tokens) == 2


def test_many_phases_at_once():
    """Thousands that end behind the first one's back are written like two."""
    many = [f"p{number}" for number in range(3000)]
    pipeline = Pipeline("many", *(phase(name, parallel=True) for name in many))
    happened = of_pair(
        *(actions.phase_start(name, 1, 0.0) for name in many),
        *(actions.phase_complete(name, None, 1.0) for name in reversed(many)),
    )
    lines = lines_of(happened, pipeline=pipeline)
    assert lines.count("::endgroup::") == 3000
    assert lines[3].startswith("::T::") and lines[-1] == "p1  completed in 1.00 s"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, False), ({"GITHUB_ACTIONS": "true"}, True), ({"GITHUB_ACTIONS": "false"}, False)],
)
def test_where_it_is_used(environ, expected):
    """Only where the runner says that it is one."""
    assert is_github_actions(environ) is expected
