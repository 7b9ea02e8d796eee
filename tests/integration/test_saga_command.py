"""``milo saga`` in a process of its own: looking at sagas, and changing them."""

import os
import re
import subprocess
import sys
from datetime import datetime
from uuid import UUID

import pytest
from shops import Ended

from milo._cli import main
from milo_durable import SagaAdmin

SAGA_KEYS = [
    *("id", "saga_name", "definition_version", "aggregation_id", "status", "current_step_index"),
    *("retry_count", "awaiting", "deadline_at", "error", "created_at", "updated_at", "branches"),
]
SHOW_KEYS = [
    *(*SAGA_KEYS, "step_execution_token", "crash_count", "context", "steps", "step_history"),
]
BRANCH_KEYS = [
    *("status", "token", "deadline_at", "retry_count", "awaiting", "error", "crash_count"),
]
ENTRY_KEYS = [
    *("timestamp", "phase", "status", "step_id", "step_name", "attempt", "token"),
    *("input", "output", "error", "skipped"),
]


def masked(printed):
    """The lines, with one space between words, and no moments, spans and ids."""
    for pattern, word in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"\+[\d.]+ s", "AFTER"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID"),
        (r" +", " "),
    ):
        printed = re.sub(pattern, word, printed)
    return [line.strip() for line in printed.splitlines()]


def test_list_is_a_table_newest_first(shop):
    """In a pipe with whole ids and reasons, and nothing that a terminal would obey."""
    first, second, third = shop.orders(one="at once", two="never", three="by event")
    ended = shop.saga("list")
    assert (ended.code, ended.err) == (0, "")
    header, *rows = ended.out.splitlines()
    assert header.split() == ["ID", "STATUS", "NAME", "AGGREGATION", "STARTED", "(UTC)", "WHY"]
    assert [UUID(row.split()[0]) for row in rows] == [third, second, first]
    assert rows[0].endswith("waits for the event paid or refused of corr-1")
    assert " SUSPENDED  order  two " in rows[1]
    assert "waits for its next attempt at 20" in rows[1]
    assert rows[1].endswith("UTC; ValueError: declined red back")
    assert rows[2].rstrip() == rows[2]
    assert "".join(ended.out.splitlines()).isprintable()


@pytest.fixture
def milo(capsys):
    """Run the command in this process: its exit code and what it printed."""

    def run(words):
        with pytest.raises(SystemExit) as ended:
            main(words)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def test_list_chooses(shop, milo):
    """By status in any case, by name, by aggregation id, and up to a limit."""
    first, second, third = shop.orders(one="at once", two="never", three="by event")

    def listed(*words):
        ended = milo(shop.words("list", "--json", *words, app="saga_shop:made"))
        return [UUID(each["id"]) for each in ended.object["sagas"]]

    ended_or_not = ("--status", "completed", "--status", "SUSPENDED")
    assert listed(*ended_or_not) == [third, second, first]
    assert listed(*ended_or_not, "--limit", "2") == [third, second]
    assert listed("--status", "Completed") == [first]
    assert listed("--aggregation", "two", "--name", "order") == [second]
    assert listed("--name", "parcel") == []
    nothing = milo(shop.words("list", "--name", "parcel", app="saga_shop:made"))
    assert (nothing.code, nothing.out) == (0, "no sagas\n")


def test_json_has_the_documented_keys_in_their_order(shop_anywhere):
    """The same on both databases, whatever order PostgreSQL keeps keys in."""
    shop = shop_anywhere
    saga_id = shop.order("by event")
    (listed,) = shop.saga("list", "--json").object["sagas"]
    shown = shop.saga("show", saga_id, "--json").object
    assert list(listed) == SAGA_KEYS
    assert list(shown) == SHOW_KEYS
    assert [list(entry) for entry in shown["step_history"]] == [ENTRY_KEYS] * 2
    assert listed == {key: shown[key] for key in SAGA_KEYS}
    assert list(shown["awaiting"].items()) == [
        ("correlation_id", "corr-1"),
        ("event_types", ["paid", "refused"]),
    ]
    assert datetime.fromisoformat(shown["created_at"]).utcoffset().total_seconds() == 0
    assert [(step["step_id"], step["state"]) for step in shown["steps"]] == [
        ("reserve", "completed"),
        ("charge", "waiting"),
        ("ship", "pending"),
    ]


def test_show_tells_what_a_saga_waits_for(shop):
    """With the token that an event has to bring; the beginning of the id is enough."""
    saga_id = shop.order("by event", "o-1")
    ended = shop.saga("show", str(saga_id)[:10])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"saga {saga_id}\n")
    assert f"\n  token        {shop.see(saga_id).step_execution_token}\n" in ended.out
    assert masked(ended.out) == [
        "saga ID",
        "name order, version 1",
        "aggregation o-1",
        "status SUSPENDED, waits for the event paid or refused of corr-1",
        "token ID",
        "started TIME UTC",
        "changed TIME UTC",
        "",
        "STEP STATE ATTEMPTS CLASS",
        "reserve completed 1 Reserve",
        "charge waiting 1 Charge",
        "ship pending 0 Ship",
        "",
        "TIME (UTC) AFTER STEP PHASE ATTEMPT STATUS",
        "TIME AFTER start",
        "TIME AFTER reserve execute 1 SUCCESS",
        "TIME AFTER charge execute 1 WAITING",
    ]


def test_show_tells_what_went_wrong_and_was_undone(shop):
    """Each attempt has a row; an error stands below its row, on one line."""
    saga_id = shop.order("never")
    shop.run(lambda orchestrator: SagaAdmin(orchestrator.engine).retry_step(saga_id))
    ended = shop.saga("show", saga_id)
    lines = masked(ended.out)
    error = "ValueError: declined red back"
    assert lines[3:5] == ["status COMPENSATED", f"error {error}"]
    assert "reserve undone 2 Reserve" in lines
    assert lines[lines.index("TIME AFTER start") + 1 :] == [
        "TIME AFTER reserve execute 1 SUCCESS",
        "TIME AFTER charge execute 1 ERROR",
        error,
        "TIME AFTER charge execute 2 ERROR",
        error,
        "TIME AFTER reserve compensate 1 SUCCESS",
    ]
    assert "".join(ended.out.splitlines()).isprintable()


def test_show_tells_of_each_step_in_flight(shop):
    """What it waits for, its token, its next attempt; the saga has its status alone."""
    saga_id = shop.parcel("by event", "never")
    ended = shop.saga("show", saga_id)
    assert f"\n  token        {shop.see(saga_id).branches['pack'].token}\n" in ended.out
    *lines, one, two, three = masked(ended.out)
    assert lines == [
        "saga ID",
        "name parcel, version 1",
        "aggregation a parcel",
        "status SUSPENDED",
        "started TIME UTC",
        "changed TIME UTC",
        "",
        "step label",
        "status SUSPENDED, waits for its next attempt at TIME UTC",
        "error ValueError: declined red back",
        "",
        "step pack",
        "status SUSPENDED, waits for the event paid or refused of corr-1",
        "token ID",
        "",
        "STEP STATE ATTEMPTS CLASS",
        "pack waiting 1 Charge",
        "label failed 1 Charge",
        "ship pending 0 Ship",
        "",
        "TIME (UTC) AFTER STEP PHASE ATTEMPT STATUS",
        "TIME AFTER start",
    ]
    assert {one, two, three} == {  # whichever of the two steps ended first
        "TIME AFTER pack execute 1 WAITING",
        "TIME AFTER label execute 1 ERROR",
        "ValueError: declined red back",
    }
    listed = shop.saga("list").out
    assert "label waits for its next attempt at 2" in listed
    assert "pack waits for the event paid or refused of corr-1; ValueError: declined" in listed


def test_json_has_each_step_in_flight(shop_anywhere):
    """By its id, with the documented keys in their order; ``list`` has the same."""
    shop = shop_anywhere
    saga_id = shop.parcel("by event", "never")
    shown = shop.saga("show", saga_id, "--json").object
    (listed,) = shop.saga("list", "--json").object["sagas"]
    assert (list(shown), list(listed)) == (SHOW_KEYS, SAGA_KEYS)
    assert shown["branches"] == listed["branches"]
    assert list(shown["branches"]) == ["label", "pack"]
    assert [list(each) for each in shown["branches"].values()] == [BRANCH_KEYS] * 2
    label, pack = shown["branches"].values()
    stored = shop.see(saga_id).branches
    assert (label["status"], label["retry_count"], label["awaiting"]) == ("SUSPENDED", 1, None)
    assert datetime.fromisoformat(label["deadline_at"]) == stored["label"].deadline_at
    assert (pack["token"], pack["deadline_at"]) == (str(stored["pack"].token), None)
    assert pack["awaiting"] == {"correlation_id": "corr-1", "event_types": ["paid", "refused"]}


def test_step_says_which_of_those_in_flight(shop):
    """Without it nothing is done, and the steps that may be meant are named."""
    saga_id = shop.parcel("by event", "never")
    refused = shop.saga("retry", saga_id)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.endswith("step_id= (or --step) one of label, pack\n")
    unknown = shop.saga("retry", saga_id, "--step", "paint")
    assert unknown.code == 2
    assert "no step 'paint'; its steps are pack, label, ship" in unknown.err
    assert shop.see(saga_id).branches.keys() == {"pack", "label"}
    output = ("--output", '{"payment_id": "by hand"}')
    skipped = shop.saga("skip", saga_id, "--step", "label", *output)
    assert skipped.out == (
        f"saga {saga_id} is SUSPENDED: pack waits for the event paid or refused of corr-1\n"
    )
    assert shop.see(saga_id).branches.keys() == {"pack"}
    retried = shop.saga("retry", saga_id, "--step", "pack", "--json")
    assert (retried.code, retried.object["branches"]["pack"]["retry_count"]) == (0, 0)
    assert shop.see(saga_id).step_history[-1]["status"] == "WAITING"
    expired = shop.saga("expire", saga_id, "--step", "pack", "--json")
    assert expired.object["branches"]["pack"]["status"] == "TIMEOUT"


def test_resume_cuts_a_wait_short(shop):
    """Only that for the next attempt: a saga that waits for an event is refused."""
    failing, waiting = shop.orders(one="never", two="by event")
    ended = shop.saga("resume", failing)
    reason = "ValueError: declined red back"
    assert (ended.code, ended.out) == (0, f"saga {failing} is COMPENSATED: {reason}\n")
    refused = shop.saga("resume", str(waiting)[:12])
    assert (refused.code, refused.out) == (1, "")
    assert "it waits for an event of type 'paid' or 'refused'" in refused.err
    assert shop.see(waiting).status == "SUSPENDED"


def test_an_application_that_does_not_know_the_saga_may_look(shop):
    """Its steps are then those of its history."""
    saga_id = shop.order("by event")
    steps = shop.saga("show", saga_id, "--json", app="saga_shop:empty").object["steps"]
    assert [step["step_id"] for step in steps] == ["reserve", "charge"]
    refused = shop.saga("retry", saga_id, app="saga_shop:empty")
    assert refused.code == 2
    assert "version 1 of saga 'order' is not registered here" in refused.err


def test_a_database_will_do_to_look(shop):
    """``--db URL`` needs no application, and makes no file and no table."""
    saga_id = shop.order("at once")
    url = shop.database.url
    listed = shop.saga("list", "--json", "--db", url, app=None)
    assert [each["id"] for each in listed.object["sagas"]] == [str(saga_id)]
    assert shop.saga("show", saga_id, "--db", url, app=None).code == 0
    missing = shop.saga("list", "--db", "sqlite+aiosqlite:///no.db", app=None)
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith("milo: error: --db: there is no file 'no.db' in ")
    assert not (shop.folder / "no.db").exists()
    (shop.folder / "other.db").touch()
    bare = shop.saga("list", "--db", "sqlite+aiosqlite:///other.db", app=None)
    assert bare.code == 1
    assert "the database refuses: no such table: milo_saga" in bare.err


LOADED_BY_HELP = """
import sys
from milo._cli import main
try:
    main(["--help"])
finally:
    print({"sqlalchemy", "pydantic"} & set(sys.modules))
"""


def test_the_help_of_milo_is_quick():
    """It names ``saga`` without importing SQLAlchemy or pydantic."""
    command = [sys.executable, "-c", LOADED_BY_HELP]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    *usage, loaded = ran.stdout.splitlines()
    assert any(line.startswith("  saga ") for line in usage)
    assert loaded == "set()"


CHANGES = [
    (["retry"], "never", "COMPENSATED", ": ValueError: declined red back"),
    (["skip", "--output", '{"payment_id": "by hand"}'], "by event", "COMPLETED", ""),
    (["compensate"], "by event", "COMPENSATED", ""),
    (["expire"], "by event", "TIMEOUT", ": the event did not come in time"),
    (["abort"], "by event", "FAILED", ": aborted"),
]


@pytest.mark.parametrize(("words", "pay", "status", "reason"), CHANGES, ids=str)
def test_a_change_prints_where_the_saga_stands_then(shop, words, pay, status, reason):
    """One line, and exit code 0 whatever has become of the saga."""
    saga_id = shop.order(pay)
    ended = shop.saga(*words, str(saga_id)[:12])
    assert (ended.code, ended.out) == (0, f"saga {saga_id} is {status}{reason}\n")
    assert shop.see(saga_id).status == status


def test_a_saga_whose_status_does_not_allow_it_refuses(shop):
    """Exit code 1, one line, and the saga is as it was."""
    saga_id = shop.order("at once")
    before = shop.see(saga_id)
    ended = shop.saga("skip", saga_id, "--output", "{}")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"milo: error: saga {saga_id} is COMPLETED, so it cannot skip its step; that is for "
        "sagas in SUSPENDED\n"
    )
    assert shop.see(saga_id) == before


def test_what_the_application_prints_goes_to_standard_error(shop):
    """So that what is printed with --json is one object; also from a child process."""
    saga_id = shop.order("by event")
    ended = shop.saga("compensate", saga_id, "--json", app="saga_shop:opened")
    assert list(ended.object) == SAGA_KEYS
    assert ended.object["status"] == "COMPENSATED"
    for line in ("opening the shop", "released", "released by a child", "closed the shop"):
        assert line in ended.err.splitlines()


def test_a_reader_that_goes_away_is_no_error(shop):
    """As ``head`` does."""
    shop.order("at once")
    reading, writing = os.pipe()
    os.close(reading)
    ended = shop.saga("list", stdout=writing)
    os.close(writing)
    assert (ended.code, ended.err) == (0, "")


MISTAKES = [
    ([], None, 2, "Usage: milo saga "),
    (["list"], None, 2, "give either --app module:orchestrator, or --db URL to look at"),
    (["abort", "f"], None, 2, "Missing option '--app'"),
    (["show", "xyz"], "saga_shop:made", 2, "such as 3f2a9c1e, not 'xyz'"),
    (["show", "f" * 32], "saga_shop:made", 1, "there is no saga with the id ffffffff-"),
    (["show", "f" * 31], "saga_shop:made", 1, "no saga whose id begins with fffff"),
    (["list", "--status", "gone"], "saga_shop:made", 2, "'gone' is not one of"),
    (["list", "--limit", "0"], "saga_shop:made", 2, "0 is not in the range"),
    (["resume", "f" * 32], "saga_shop:made", 1, "there is no saga with the id ffffffff-"),
    (["skip", "f", "--output", "{"], "saga_shop:made", 2, "--output must be JSON, not '{':"),
    (["worker"], "saga_shop:empty", 2, "no saga is registered with the orchestrator"),
    (
        ["worker", "--publish", "saga_shop:publish"],
        *("saga_shop:empty", 2, "--publish saga_shop:publish: this orchestrator has no outbox;"),
    ),
    (["worker", "--publish", "shop"], "saga_shop:made", 2, "such as shop.outbox:publish, not 'sh"),
    (
        ["worker", "--publish", "saga_shop:publish_it"],
        *("saga_shop:made", 2, "saga_shop has no 'publish_it'; did you mean publish?"),
    ),
    (
        ["worker", "--publish", "saga_shop:publish_nothing"],
        *("saga_shop:made", 2, "too many positional arguments; it must be a function that takes"),
    ),
    (
        ["worker", "--publish", "saga_shop:ALARMING"],
        *("saga_shop:made", 2, "is not a callable object; it must be a function that takes an"),
    ),
    (["worker", "--poll", "nan"], "saga_shop:made", 2, "nan is no number of seconds above 0"),
    (["worker", "--grace", "0"], "saga_shop:made", 2, "0.0 is no number of seconds above 0"),
]


@pytest.mark.parametrize(("words", "app", "code", "message"), MISTAKES, ids=str)
def test_a_mistake_is_one_line(shop, words, app, code, message, milo):
    """It says what was given and what is expected; exit code 2, or 1 if no saga is there."""
    shop.orders()
    ended = milo(shop.words(*words, app=app))
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert words == [] or ended.err.count("\n") == 1


def test_an_output_that_the_step_does_not_take_is_refused(shop):
    """Exit code 2, and the saga goes on waiting."""
    saga_id = shop.order("by event")
    ended = shop.saga("skip", saga_id, "--output", '{"payment_id": 7}')
    assert ended.code == 2
    assert "the output of Charge is not what its model takes" in ended.err
    assert shop.see(saga_id).status == "SUSPENDED"


def test_the_beginning_of_several_ids_is_not_enough(shop):
    """They are named, and nothing is done to any."""
    ids = shop.orders(**{f"o-{number}": "by event" for number in range(17)})
    firsts = [str(each)[0] for each in ids]
    digit = max(firsts, key=firsts.count)  # of 17 ids two begin alike
    ended = shop.saga("abort", digit)
    assert ended.code == 2
    assert ended.err.startswith(f"milo: error: {digit} begins several ids: {digit}")
    active = shop.run(
        lambda orchestrator: SagaAdmin(orchestrator.engine).list_sagas(status="SUSPENDED")
    )
    assert len(active) == len(ids)


def test_a_database_that_is_not_there_is_one_line(shop, monkeypatch):
    """Exit code 1."""
    monkeypatch.setenv("SHOP_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    ended = shop.saga("list")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("milo: error: the database does not answer: ")


def test_debug_shows_the_traceback(shop):
    """Before the line."""
    (shop.folder / "broken.py").write_text("def make():\n    raise LookupError('no settings')\n")
    ended = shop.saga("list", "--debug", app="broken:make")
    assert ended.code == 2
    *traceback, line = ended.err.splitlines()
    assert traceback[0].startswith("Traceback")
    assert line == "milo: error: --app broken:make: LookupError: no settings (broken.py:2)"
