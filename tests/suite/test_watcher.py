"""Changes are told from when the watching begins, on threads that end with it."""

import os
import threading
from queue import SimpleQueue

import pytest
from suite_tools import HANG

from milo._cli.errors import CommandError
from milo._cli.watcher import Roots, Watcher


def roots(*, trees=(), folders=()):
    return Roots(frozenset(map(str, trees)), frozenset(map(str, folders)))


def threads():
    return [each for each in threading.enumerate() if each.name == "milo-watch"]


@pytest.fixture
def told():
    return SimpleQueue()


def until_told_of(told, path):
    """All paths that were told of, up to the batch with that one."""
    seen = set()
    while str(path) not in seen:
        seen |= {each for _, each in told.get(timeout=HANG)}
    return {os.path.basename(each) for each in seen}


def test_trees_are_watched_to_any_depth_and_folders_are_not(folder, told):
    """From the moment that ``watch`` returns."""
    (folder / "tree/deep").mkdir(parents=True)
    (folder / "flat/deep").mkdir(parents=True)
    with Watcher(told.put) as watcher:
        watcher.watch(roots(trees=[folder / "tree"], folders=[folder / "flat"]))
        (folder / "tree/deep/a").touch()
        until_told_of(told, folder / "tree/deep/a")
        (folder / "flat/deep/b").touch()
        (folder / "flat/c").touch()
        assert "b" not in until_told_of(told, folder / "flat/c")
    assert threads() == []


def test_what_is_watched_can_be_replaced(folder, told):
    """What stays in it is told of throughout."""
    for name in ("old", "both", "new"):
        (folder / name).mkdir()
    with Watcher(told.put) as watcher:
        watcher.watch(roots(folders=[folder / "old", folder / "both"]))
        watcher.watch(roots(folders=[folder / "new", folder / "both"]))
        (folder / "old/a").touch()
        (folder / "both/b").touch()
        (folder / "new/c").touch()
        until_told_of(told, folder / "both/b")
        (folder / "new/d").touch()
        until_told_of(told, folder / "new/d")
        threads()[0].join(HANG)  # that of what was replaced, after it has told everything
        (folder / "old/e").touch()
        (folder / "new/f").touch()
        assert "e" not in until_told_of(told, folder / "new/f")
        assert len(threads()) == 1


def test_what_happened_before_a_replacement_is_told(folder, told):
    """Although what has told of it is about to end."""
    with Watcher(told.put) as watcher:
        watcher.watch(roots(folders=[folder]))
        (folder / "a").touch()
        watcher.watch(roots(folders=[folder]))
        until_told_of(told, folder / "a")


def test_what_cannot_be_watched(folder, told):
    """It is named in the error, and what was watched before is so still."""
    nowhere = roots(trees=[folder / "nowhere"], folders=[folder])
    with Watcher(told.put) as watcher:
        watcher.watch(roots(folders=[folder]))
        with pytest.raises(CommandError, match="cannot watch nowhere: "):
            watcher.watch(nowhere)
        (folder / "a").touch()
        until_told_of(told, folder / "a")
    assert threads() == []
