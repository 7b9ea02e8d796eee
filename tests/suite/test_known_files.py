"""From what a watcher tells to the files that have changed."""

import os

import pytest
from watchfiles import Change

from milo._cli.known_files import KnownFiles
from milo._cli.watcher import Roots

ADDED, MODIFIED, DELETED = Change.added, Change.modified, Change.deleted
FILES = ("top", "src/a", "src/posts/b", "src/posts/deep/c", "src/.git/HEAD")


@pytest.fixture
def folder(folder):
    """A current folder with these files."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def known(folder):
    """What is known of ``src`` and below, and of what is directly in the current folder."""
    known = KnownFiles()
    known.look_at(Roots(frozenset({str(folder / "src")}), frozenset({str(folder)})))
    return known


@pytest.fixture
def changed(folder, known):
    """The names of the files that have changed when this was told."""

    def names(*told):
        batch = {(change, str(folder / name)) for change, name in told}
        new = filter(known.is_new, known.concerned(batch))
        return {os.path.relpath(file, folder) for file in new}

    return names


def test_a_file_that_was_written(folder, changed):
    """However the watcher calls that; files that were not told of are left alone."""
    assert changed((MODIFIED, "src/a")) == {"src/a"}
    (folder / "src/new").touch()
    assert changed((ADDED, "src/new"), (MODIFIED, "src/new")) == {"src/new"}


def test_a_file_with_the_content_that_it_had_is_no_change(folder, changed):
    """From the first time that it was looked at."""
    assert changed((MODIFIED, "top")) == {"top"}
    (folder / "top").write_text("top")
    assert changed((MODIFIED, "top")) == set()
    (folder / "top").write_text("new")
    assert changed((MODIFIED, "top")) == {"top"}


@pytest.mark.parametrize("told", [[DELETED], [ADDED, DELETED], [MODIFIED]])
def test_a_file_that_is_gone(folder, changed, told):
    """Once, however often it is told; also if it was replaced before it was deleted."""
    (folder / "src/a").unlink()
    events = [(change, "src/a") for change in told]
    assert changed(*events) == {"src/a"}
    assert changed(*events) == set()
    (folder / "src/a").write_text("src/a")
    assert changed((ADDED, "src/a")) == {"src/a"}


def test_a_file_that_came_and_went_is_no_change(changed):
    """In one batch or in two: nobody has missed it."""
    assert changed((ADDED, "src/4913"), (DELETED, "src/4913")) == set()
    assert changed((ADDED, "src/4913")) == set()
    assert changed((DELETED, "src/4913")) == set()


def test_a_folder_that_is_new_stands_for_its_files(folder, changed):
    """At any depth, but for those that nobody means."""
    os.rename("src", "moved")
    assert changed((ADDED, "moved"), (ADDED, "moved/posts")) == {
        "moved/a",
        "moved/posts/b",
        "moved/posts/deep/c",
    }


def test_a_folder_that_is_gone_stands_for_the_files_that_were_in_it(folder, changed):
    """At any depth."""
    os.rename("src/posts", "moved")
    assert changed((DELETED, "src/posts")) == {"src/posts/b", "src/posts/deep/c"}
    assert changed((DELETED, "src/posts")) == set()


def test_a_folder_that_was_replaced(folder, changed):
    """Both the files that it had and those that it has."""
    os.rename("src/posts", "moved")
    (folder / "src/posts").mkdir()
    (folder / "src/posts/new").touch()
    told = [(DELETED, "src/posts"), (ADDED, "src/posts")]
    assert changed(*told) == {"src/posts/b", "src/posts/deep/c", "src/posts/new"}


def test_a_folder_whose_times_changed_is_no_change(changed):
    """Some systems tell of it with every file in it."""
    assert changed((MODIFIED, "src"), (MODIFIED, "src/posts")) == set()


def test_what_is_no_file_is_not_opened(folder, changed):
    """A pipe would have nobody write to it."""
    os.mkfifo("src/pipe")
    assert changed((ADDED, "src/pipe")) == {"src/pipe"}
    assert changed((MODIFIED, "src/pipe")) == set()


def test_what_is_looked_at_again_is_not_forgotten(folder, known, changed):
    """Contents that were seen still count."""
    assert changed((MODIFIED, "top")) == {"top"}
    known.look_at(Roots(frozenset(), frozenset({str(folder)})))
    assert changed((MODIFIED, "top")) == set()


def test_a_folder_that_is_not_there(folder):
    """Nothing is known of it."""
    known = KnownFiles()
    known.look_at(Roots(frozenset({str(folder / "no")}), frozenset({str(folder / "none")})))
    assert known.concerned({(DELETED, str(folder / "none"))}) == set()
