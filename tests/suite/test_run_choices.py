"""``milo run``: the options that decide what of a pipeline runs."""

import json

import pytest

SITE = """
    from milo import Param, Phase, Pipeline

    def read(limit):
        print(f"reading {limit}")

    def fail():
        raise ValueError("no disk")

    pipeline = Pipeline(
        "site",
        Phase("read", read, params=("limit",)),
        Phase("write", lambda: None, depends_on=("read",)),
        Phase("check", fail, depends_on=("read",), when=lambda context: False),
        params=[Param("limit", int, default=10)],
        capture_output=True,
    )
    broken = Pipeline("broken", Phase("a", fail), Phase("b", lambda: None))
"""


@pytest.fixture
def site(write):
    """The file above."""
    return write("build.py", SITE)


def lines(ended):
    return [line.split("  completed")[0] for line in ended.out.splitlines()]


@pytest.mark.parametrize(
    ("options", "printed"), [((), 10), (("-p", "limit=3"), 3), (("--param", "limit=-4"), -4)]
)
def test_a_parameter_reaches_the_handler(site, milo, options, printed):
    """Read as its type; the last of several counts."""
    assert f"read  | reading {printed}" in lines(milo("run", site, *options))


def test_of_several_values_for_a_parameter_the_last_counts(site, milo):
    """As with most commands."""
    assert "read  | reading 2" in lines(milo("run", site, "-p", "limit=1", "-p", "limit=2"))


@pytest.mark.parametrize(
    ("options", "skipped"),
    [
        (["--only", "read"], {"write": "not selected", "check": "not selected"}),
        (["--start-at", "write"], {"read": "before 'write'", "check": "before 'write'"}),
        (["--skip", "write", "--skip", "check"], dict.fromkeys(("write", "check"), "skipped")),
    ],
)
def test_a_part_of_a_pipeline(site, milo, options, skipped):
    """The rest is shown as skipped with its reason, and the run completes."""
    ended = milo("run", site, *options)
    assert ended.code == 0
    for name, reason in skipped.items():
        assert any(
            line.startswith(f"{name:5}  skipped: {reason}") for line in ended.out.splitlines()
        )


def test_keep_going_lets_other_branches_finish(site, milo):
    """The run has failed all the same."""
    ended = milo("run", f"{site}:broken", "--keep-going")
    assert ended.code == 1
    assert "b  completed" in "\n".join(ended.out.splitlines())
    assert "b  completed" not in milo("run", f"{site}:broken").out


def test_a_dry_run_prints_the_plan_and_runs_nothing(site, milo):
    """What would run and why, in execution order; no condition is asked."""
    ended = milo("run", site, "--dry-run", "--skip", "write")
    assert ended.code == 0
    assert [line.split(maxsplit=2) for line in ended.out.splitlines()] == [
        ["run", "read", "waits for nothing"],
        ["run", "check", "after read; if its condition holds"],
        ["skip", "write", "skipped on request"],
    ]


def test_a_dry_run_as_json(site, milo):
    """One object a phase."""
    ended = milo("run", site, "--dry-run", "--json", "--start-at", "write")
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"name": "read", "runs": False, "reason": "before 'write'"},
        {"name": "check", "runs": False, "reason": "before 'write'"},
        {"name": "write", "runs": True, "reason": "after read"},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-p", "limit=many"], "parameter 'limit' takes a value of type int, not 'many'"),
        (["-p", "limti=3"], "there is no parameter 'limti'; did you mean 'limit'?"),
        (["-p", "limit"], "'limit' is not NAME=VALUE"),
        (["--only", "wriet"], "only: there is no phase 'wriet'; did you mean 'write'?"),
        (["--dry-run", "--skip", "x"], "skip: there is no phase 'x'"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(site, milo, options, message):
    """Nothing has run."""
    ended = milo("run", site, *options)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1
    assert "reading" not in ended.out
