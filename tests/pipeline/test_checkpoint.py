"""``Checkpoint``: what a run has done comes back, unless something has changed meanwhile."""

import logging
import tempfile
import threading
from dataclasses import dataclass, make_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_tools import HANG

from milo_pipeline import PipelineError
from milo_pipeline.persistence import Checkpoint, CheckpointError, Definition, Kept

CHAIN = {"a": Definition("1"), "b": Definition("1", ("a",)), "c": Definition("1", ("b",))}
WIDE = {f"p{i}": Definition("1") for i in range(400)}


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Page:
    title: Any
    parts: Any = ()


Changing = make_dataclass("Changing", ["one"])
Changing.__module__ = __name__


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.checkpoint"


def opened(path, definitions=CHAIN, name="site"):
    return Checkpoint.open(path, name, definitions)


def recorded(path, definitions=CHAIN, **results):
    """A closed checkpoint at ``path`` with these results."""
    with opened(path, definitions) as checkpoint:
        for phase, result in results.items():
            checkpoint.record(phase, "completed", result)


def results_of(path, definitions=CHAIN):
    with opened(path, definitions) as checkpoint:
        return {name: kept.result for name, kept in checkpoint.completed().items()}


def same(one, two):
    """Equal, and of the same types all the way down."""
    return repr(one) == repr(two) and one == two and type(one) is type(two)


plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5)
keys = plain | st.sampled_from(Colour) | st.tuples(plain, plain)
values = st.recursive(
    keys,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(st.sampled_from(["~", "t", "v"]), inner),
        st.frozensets(st.text(max_size=2), max_size=1),
        st.builds(Page, inner, inner),
    ),
    max_leaves=12,
)


def test_a_new_checkpoint_holds_nothing(path):
    """Opening a path where nothing is makes a checkpoint without results."""
    with opened(path) as checkpoint:
        assert checkpoint.completed() == {}
        assert checkpoint.again == checkpoint.unencodable == {}
    assert path.exists()


def test_nothing_is_left_beside_a_closed_checkpoint(path):
    """Once closed, a checkpoint is one file."""
    recorded(path, a=1)
    assert list(path.parent.iterdir()) == [path]


def test_what_was_recorded_comes_back(path):
    """Status and result of each phase are there when the file is opened again."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", {"pages": (1, 2)})
        checkpoint.record("b", "skipped")
    with opened(path) as checkpoint:
        assert checkpoint.completed() == {
            "a": Kept("completed", {"pages": (1, 2)}),
            "b": Kept("skipped", None),
        }


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(sorted(WIDE)), values, max_size=4))
def test_results_come_back_as_they_were(results):
    """Any result made of plain values, enums and dataclasses comes back with its exact types."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any")
        recorded(path, WIDE, **results)
        found = results_of(path, WIDE)
        assert found.keys() == results.keys()
        assert all(same(found[name], results[name]) for name in results)


def test_a_later_record_replaces_an_earlier_one(path):
    """A phase has one result, the last."""
    recorded(path, a=1)
    recorded(path, a=2)
    assert results_of(path) == {"a": 2}


def test_a_finished_run_is_over(path):
    """After ``finish`` the next ``open`` starts afresh, and the checkpoint is closed."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
        checkpoint.finish()
        with pytest.raises(CheckpointError, match="is closed; open it again"):
            checkpoint.record("b", "completed", 1)
        checkpoint.close()
    assert results_of(path) == {}


def test_a_changed_phase_runs_again_with_all_behind_it(path):
    """A phase with another fingerprint, and all that depend on it, lose their results."""
    recorded(path, a=1, b=2, c=3)
    changed = {**CHAIN, "b": Definition("2", ("a",))}
    with opened(path, changed) as checkpoint:
        assert list(checkpoint.completed()) == ["a"]
        assert checkpoint.again == {
            "b": "its definition, code or parameters have changed",
            "c": "'b' runs again, on which it depends",
        }


def test_a_phase_put_in_between_runs_what_is_behind_it_again(path):
    """What depends on a phase that has no result keeps none, even if it has not changed."""
    recorded(path, a=1, b=2, c=3)
    grown = {**CHAIN, "new": Definition("1"), "c": Definition("1", ("b", "new"))}
    assert results_of(path, grown) == {"a": 1, "b": 2}


def test_a_removed_phase_is_forgotten_silently(path):
    """Records of phases that are no longer in the pipeline are no reason to say anything."""
    recorded(path, a=1, b=2, c=3)
    with opened(path, {"a": Definition("1")}) as checkpoint:
        assert (list(checkpoint.completed()), checkpoint.again) == (["a"], {})


def test_what_runs_again_is_forgotten_at_once(path):
    """A result made from an old one does not come back when the definition changes back."""
    recorded(path, a=1, b=2)
    opened(path, {**CHAIN, "a": Definition("2")}).close()
    recorded(path, a="new")
    assert results_of(path) == {"a": "new"}


def test_long_chains_are_dropped_without_recursion(path):
    """A change at the head of 5,000 phases reaches the last."""
    chain = {f"p{i}": Definition("1", (f"p{i - 1}",) if i else ()) for i in range(5000)}
    recorded(path, chain, **dict.fromkeys(list(chain)[:50], 0))
    chain["p0"] = Definition("2")
    with opened(path, chain) as checkpoint:
        assert checkpoint.completed() == {}
        assert len(checkpoint.again) == 50


def test_a_result_that_cannot_be_written_runs_again(path, caplog):
    """It is said at once, by name and type, and on resume the phase and all behind it run."""
    with caplog.at_level(logging.WARNING), opened(path) as checkpoint:
        checkpoint.record("a", "completed", [object(), lambda: None])
        checkpoint.record("b", "completed", 2)
        (warning,) = checkpoint.unencodable.values()
        assert list(checkpoint.unencodable) == ["a"]
    assert "result of phase 'a' holds builtins:object, builtins:function" in warning
    assert caplog.messages == [warning]
    with opened(path) as checkpoint:
        assert checkpoint.completed() == {}
        assert checkpoint.again["a"].startswith("its result could not be kept: builtins:object")
        assert checkpoint.again["b"] == "'a' runs again, on which it depends"


def test_a_class_with_other_fields_runs_again(path, monkeypatch):
    """A result of a class that has gained a field is not made up."""
    recorded(path, a=Changing(1))
    assert results_of(path) == {"a": Changing(1)}
    grown = make_dataclass("Changing", ["one", "two"])
    grown.__module__ = __name__
    monkeypatch.setitem(globals(), "Changing", grown)
    with opened(path) as checkpoint:
        assert checkpoint.completed() == {}
        assert "Changing had the fields ['one'] and has ['one', 'two']" in checkpoint.again["a"]


def test_a_class_that_is_gone_runs_again(path, monkeypatch):
    """A result of a class that is not imported costs its phase alone."""
    recorded(path, a=1, b=Changing(1))
    monkeypatch.delitem(globals(), "Changing")
    with opened(path) as checkpoint:
        assert list(checkpoint.completed()) == ["a"]
        assert "Changing" in checkpoint.again["b"]


def test_unknown_phases_are_refused(path):
    """What is no phase of the pipeline is not recorded."""
    with opened(path) as checkpoint, pytest.raises(KeyError, match="typo"):
        checkpoint.record("typo", "completed", 1)


def test_a_write_that_fails_keeps_what_there_was(path):
    """A full disk is an error with a cause; earlier records stay, later ones work."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
        connection = checkpoint._file.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(CheckpointError, match=r"written: .*full.* room") as caught:
            checkpoint.record("b", "completed", "x" * 100_000)
        assert isinstance(caught.value, PipelineError)
        assert caught.value.__cause__ is not None
        connection.execute("PRAGMA max_page_count = 1000000")
        checkpoint.record("c", "completed", 3)
        rows = connection.execute("SELECT name FROM phase ORDER BY name").fetchall()
        assert rows == [("a",), ("c",)]


def test_threads_record_at_the_same_time(path):
    """Eight threads record fifty phases each; all are there afterwards."""
    ready, failures = threading.Barrier(8), []

    def work(first):
        try:
            ready.wait(HANG)
            for i in range(first, len(WIDE), 8):
                checkpoint.record(f"p{i}", "completed", Page(i, (i,)))
        except BaseException as error:
            failures.append(error)

    with opened(path, WIDE) as checkpoint:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(HANG)
    assert failures == []
    assert results_of(path, WIDE) == {f"p{i}": Page(i, (i,)) for i in range(len(WIDE))}


class Hostile:
    """Looks at the checkpoint from inside its own encoding; a lock held then would hang."""

    checkpoint = None

    @property
    def __class__(self):
        Hostile.checkpoint.record("b", "completed", 1)
        return object


def test_no_lock_is_held_while_results_are_written_down(path):
    """A result whose attributes use the checkpoint themselves does not block it."""
    with opened(path) as checkpoint:
        Hostile.checkpoint = checkpoint
        checkpoint.record("a", "completed", Hostile())
        assert "a" in checkpoint.unencodable
