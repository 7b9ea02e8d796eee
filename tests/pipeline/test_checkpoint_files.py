"""Files that are no checkpoint, damaged ones, those in use, and those of killed processes."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from run_tools import HANG, python

from milo_pipeline.persistence import Checkpoint, CheckpointError, Definition
from milo_pipeline.persistence import _checkpoint_file as files

MANY = {f"p{i:06}": Definition("1") for i in range(200_000)}
SOME = {"a": Definition("1"), "b": Definition("1")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.checkpoint"


def opened(path, definitions=SOME, name="site"):
    return Checkpoint.open(path, name, definitions)


def refused(path, match, **options):
    """Opening is refused and neither the file nor its folder has changed."""
    before = contents(path.parent)
    with pytest.raises(CheckpointError, match=match) as caught:
        opened(path, **options)
    assert str(path) in str(caught.value)
    assert contents(path.parent) == before
    return caught.value


def contents(folder):
    if not folder.is_dir():
        return None
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def denied(self, mode="r"):
    raise PermissionError(13, "Permission denied", str(self))


@contextmanager
def other_process(source, *arguments):
    """A process that runs ``source``, killed at the end."""
    command = [sys.executable, "-W", "error", "-c", dedent(source), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text\n", b"SQLite format 3\0", b"SQLite format 3\0" + b"x" * 200, b"\0" * 4096],
)
def test_a_file_of_another_kind_is_refused(path, content):
    """An empty file, a text, a forged beginning: refused, and left as they are."""
    path.write_bytes(content)
    refused(path, "is no checkpoint of Milo's and was left as it is; give another path")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_foreign_database_is_refused(path, mode):
    """Somebody else's SQLite file is not touched, not even to finish its transactions."""
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute(f"PRAGMA journal_mode = {mode}")
    foreign.execute("CREATE TABLE precious (x)")
    foreign.execute("INSERT INTO precious VALUES (1)")
    refused(path, "is no checkpoint of Milo's")
    assert foreign.execute("SELECT * FROM precious").fetchall() == [(1,)]
    foreign.close()


def test_a_newer_format_is_refused(path):
    """A checkpoint with another format number is named as such."""
    opened(path).close()
    content = bytearray(path.read_bytes())
    content[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(content)
    refused(path, "made by another version of Milo")


@pytest.mark.parametrize("left", [50, 99, 100, 4096, 5000, -4096, -1])
def test_a_truncated_file_is_refused(path, left):
    """Wherever the file was cut off, it is not resumed."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", "x" * 10_000)
    path.write_bytes(path.read_bytes()[:left])
    refused(path, "is no checkpoint|is damaged .*; delete it to start afresh")


def test_a_changed_record_is_refused(path):
    """A result that is not what was written is not handed out."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", "correct")
    content = path.read_bytes()
    assert content.count(b'"correct"') == 1
    path.write_bytes(content.replace(b'"correct"', b'"changed"'))
    refused(path, "is damaged .the record of phase 'a' has changed.")


def test_a_file_that_contradicts_itself_is_refused(path):
    """What SQLite alone finds, here a wrong count of free pages, is told with its words."""
    opened(path).close()
    content = bytearray(path.read_bytes())
    content[36:40] = (5).to_bytes(4, "big")
    path.write_bytes(content)
    refused(path, "is damaged .*[Ff]reelist")


def test_a_full_disk_is_named(path, monkeypatch):
    """Where SQLite cannot make the file, its reason is told and nothing is left."""

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(files, "_make", full)
    refused(path, "cannot be used: database or disk is full; it must be a file")


def test_names_that_are_no_text_are_refused(path):
    """Half a character cannot be written; the checkpoint goes on without it."""
    refused(path, "cannot be used: .*surrogates not allowed", name="\ud800")
    half = {**SOME, "\ud800": Definition("1")}
    with opened(path, half) as checkpoint:
        with pytest.raises(CheckpointError, match=r"cannot be written: .*surrogates not allowed"):
            checkpoint.record("\ud800", "completed", 1)
        checkpoint.record("a", "completed", 1)
    with opened(path, half) as checkpoint:
        assert list(checkpoint.completed()) == ["a"]


def test_overwritten_bytes_are_never_believed(path):
    """Rubbish anywhere is refused, or lies where nothing is kept; no log is left behind."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", "x" * 20_000)
    content = path.read_bytes()
    found = []
    for place in range(100, len(content) - 200, 1009):
        path.write_bytes(content[:place] + b"\xff" * 200 + content[place + 200 :])
        found.append(results_or_refusal(path))
        assert list(path.parent.iterdir()) == [path]
    right = [{"a": "x" * 20_000}]
    refusals = [each for each in found if each not in right]
    assert len(refusals) > len(found) / 2
    assert all("is damaged" in each or "is no checkpoint" in each for each in refusals)


def results_or_refusal(path):
    try:
        with opened(path) as checkpoint:
            return {name: kept.result for name, kept in checkpoint.completed().items()}
    except CheckpointError as error:
        return str(error)


def test_another_pipelines_checkpoint_is_refused(path):
    """The error names both pipelines, and the records stay."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
    refused(path, "belongs to pipeline 'site', not to 'shop'", name="shop")
    with opened(path) as checkpoint:
        assert list(checkpoint.completed()) == ["a"]


def test_a_folder_is_refused(tmp_path):
    """A folder is no checkpoint."""
    with pytest.raises(CheckpointError, match="is no file"):
        opened(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    """Nothing is made above the file."""
    refused(tmp_path / "no" / "x", "No such file .*give a path in a folder that exists")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    """A path through a file is refused."""
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file" / "x", "cannot be made: Not a directory")


def test_a_folder_that_cannot_be_written_is_named(path, monkeypatch):
    """Where no file can be made, the system's reason is told."""

    monkeypatch.setattr(Path, "open", denied)
    error = refused(path, "cannot be made: Permission denied; give a path in a folder that exists")
    assert isinstance(error.__cause__, PermissionError)


def test_a_file_that_cannot_be_read_is_named(path, monkeypatch):
    """A checkpoint of another user is not said to be foreign."""
    opened(path).close()

    before = contents(path.parent)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        with pytest.raises(CheckpointError, match="cannot be read: Permission denied; make it"):
            opened(path)
    assert contents(path.parent) == before
    opened(path).close()


def test_a_file_that_cannot_be_written_is_named(path, monkeypatch):
    """A checkpoint that SQLite opens for reading only is refused when it is to be changed."""
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
    connect = sqlite3.connect

    def only_to_read(name, **options):
        return connect(name.replace("mode=rw", "mode=ro&immutable=1"), **options)

    monkeypatch.setattr(sqlite3, "connect", only_to_read)
    before = path.read_bytes()
    with opened(path) as checkpoint, pytest.raises(CheckpointError, match=r"written: .*readonly"):
        checkpoint.record("b", "completed", 2)
    assert path.read_bytes() == before


def test_what_a_deleted_checkpoint_left_is_not_taken_in(path):
    """A log without its checkpoint would become a part of the new one; it is named instead."""
    log = path.with_name(f"{path.name}-wal")
    log.write_bytes(b"old")
    refused(path, "is left of a checkpoint that was deleted.* delete it as well")
    log.unlink()
    opened(path).close()


def test_a_file_system_without_links_will_do(path, monkeypatch):
    """Where files cannot have two names, the new checkpoint is renamed."""

    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
    assert list(path.parent.iterdir()) == [path]


def test_another_run_may_be_faster(path, monkeypatch):
    """If the file appears while a new one is made, that file is used."""
    make = files._make

    def be_slow(beside, name):
        monkeypatch.setattr(files, "_make", make)
        with opened(path) as checkpoint:
            checkpoint.record("a", "completed", "theirs")
        make(beside, name)

    monkeypatch.setattr(files, "_make", be_slow)
    with opened(path) as checkpoint:
        assert checkpoint.completed()["a"].result == "theirs"
    assert list(path.parent.iterdir()) == [path]


def test_a_path_may_have_any_characters(tmp_path):
    """Question marks, hashes, percent signs and spaces belong to the name."""
    path = tmp_path / "a ?mode=ro#%20é.checkpoint"
    with opened(path) as checkpoint:
        checkpoint.record("a", "completed", 1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_path_is_taken_from_here(tmp_path, monkeypatch):
    """A path without a folder is in the current one."""
    monkeypatch.chdir(tmp_path)
    opened("x").close()
    assert (tmp_path / "x").exists()


def test_a_checkpoint_is_one_runs_alone(path):
    """Opened twice in one process, the second is refused, by any name, until the first closes."""
    other_name = path.with_name("link")
    other_name.symlink_to(path)
    with opened(path):
        for name in (path, other_name):
            with pytest.raises(CheckpointError, match="is in use by another run"):
                opened(name)
    opened(other_name).close()


HOLDER = """
    import sys
    from milo_pipeline.persistence import Checkpoint, Definition
    with Checkpoint.open(sys.argv[1], "site", {"a": Definition("1")}) as checkpoint:
        checkpoint.record("a", "completed", 1)
        print("open", flush=True)
        sys.stdin.read()
"""


def test_a_checkpoint_is_one_processes_alone(path):
    """While another process has it, opening is refused; when that has closed it, not."""
    with other_process(HOLDER, path) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(CheckpointError, match="is in use by another run"):
            opened(path)
        process.communicate(timeout=HANG)
    with opened(path) as checkpoint:
        assert list(checkpoint.completed()) == ["a"]


def test_refusals_do_not_open_the_file_to_others(path):
    """Opening it twice in one process does not let go of the lock that other processes meet."""
    with opened(path):
        with pytest.raises(CheckpointError, match="is in use"):
            opened(path)
        told = python(
            """
            import sys
            from milo_pipeline.persistence import Checkpoint, CheckpointError
            try:
                Checkpoint.open(sys.argv[1], "site", {})
            except CheckpointError as error:
                print(error)
            """,
            str(path),
        )
    assert "is in use by another run" in told


RECORDER = """
    import sys
    from milo_pipeline.persistence import Checkpoint, Definition
    names = [f"p{i:06}" for i in range(200_000)]
    definitions = dict.fromkeys(names, Definition("1"))
    with Checkpoint.open(sys.argv[1], "site", definitions) as checkpoint:
        for i, name in enumerate(names):
            checkpoint.record(name, "completed", (i, "x" * (i % 700)))
            print(i, flush=True)
"""


@pytest.mark.parametrize("after", [0, 1, 40, 333])
def test_a_killed_process_loses_nothing_it_recorded(path, after):
    """After ``kill -9`` between or within records, all that returned are there, in order."""
    with other_process(RECORDER, path) as process:
        for line in process.stdout:
            if int(line) == after:
                break
        process.send_signal(signal.SIGKILL)
        told = [after, *map(int, process.stdout.read().split())]
    with opened(path, MANY) as checkpoint:
        kept = checkpoint.completed()
    assert len(kept) in (told[-1] + 1, told[-1] + 2)
    for i, name in enumerate(sorted(kept)):
        assert (name, kept[name].result) == (f"p{i:06}", (i, "x" * (i % 700)))


def test_a_process_killed_while_it_makes_the_file_leaves_none(path):
    """Killed before the new file has its name, a run leaves nothing that a resume would meet."""
    source = """
        import os, signal, sys
        from milo_pipeline.persistence import Checkpoint
        os.link = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
        Checkpoint.open(sys.argv[1], "site", {})
    """
    with other_process(source, path) as process:
        assert process.wait(HANG) == -signal.SIGKILL
    assert not path.exists()
    opened(path).close()
