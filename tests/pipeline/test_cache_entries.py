"""``PhaseCache``: what is kept, what counts as a hit, and what is never overwritten."""

import json
import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_tools import HANG, python

from milo_pipeline import DefinitionError, PhaseLog, PipelineError
from milo_pipeline.persistence import Cache, CacheError, FingerprintError, Hit, PhaseCache
from milo_pipeline.persistence import _files as files

KEY, OTHER = "0" * 64, "1" * 64


@dataclass(frozen=True)
class Page:
    title: Any
    parts: Any = ()


Changing = make_dataclass("Changing", ["one"])
Changing.__module__ = __name__


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def cache(folder, tmp_path):
    return PhaseCache(folder, root=tmp_path)


def contents(folder):
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def entry(folder, key=KEY):
    (found,) = [each for each in folder.iterdir() if each.name.startswith(key)]
    return found


def test_what_is_stored_is_loaded(cache):
    """Result and logs come back; another key has nothing."""
    logs = (PhaseLog("hello", "stderr", 1.5), PhaseLog("", "stdout", 2.0))
    assert cache.load(KEY) is None
    assert cache.store(KEY, {"pages": (1, {2})}, logs=logs) == ()
    assert cache.load(KEY) == Hit({"pages": (1, {2})}, logs)
    assert cache.load(OTHER) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.integers() | st.sampled_from("~tv"), inner, max_size=3),
        st.builds(Page, inner, inner),
    ),
    max_leaves=12,
)
logs = st.lists(st.builds(PhaseLog, st.text(st.characters(exclude_categories=()), max_size=5)))


@settings(max_examples=40)
@given(values, logs)
def test_results_come_back_as_they_were(result, lines):
    """Any result of plain values and dataclasses, and any lines, have their exact types."""
    with tempfile.TemporaryDirectory() as folder:
        cache = PhaseCache(folder)
        cache.store(KEY, result, logs=lines)
        assert repr(cache.load(KEY)) == repr(Hit(result, tuple(lines)))


def test_looking_makes_no_folder(cache, folder):
    """Neither loading nor pruning makes anything."""
    assert cache.load(KEY) is None
    assert cache.prune(0) == 0
    assert not folder.exists()


def test_every_part_of_a_key_counts(cache):
    """Keys differ in name, code, inputs, parameters, dependencies and version, and in no order."""
    keys = [
        cache.key("p", "c", "i"),
        cache.key("q", "c", "i"),
        cache.key("p", "d", "i"),
        cache.key("p", "c", "j"),
        cache.key("pc", "", "i"),
        cache.key("p", "c", "i", {"x": 1}),
        cache.key("p", "c", "i", {"x": True}),
        cache.key("p", "c", "i", None, {"x": "1"}),
        cache.key("p", "c", "i", version=1),
    ]
    assert len(set(keys)) == len(keys)
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert cache.key("p", "c", "i", one, one) == cache.key("p", "c", "i", two, two)
    with pytest.raises(FingerprintError, match="parameter 'x', a builtins:object"):
        cache.key("p", "c", "i", {"x": object()})


def test_a_key_is_no_path(cache):
    """What ``key`` did not make is refused."""
    for given_key in ("", "../x", "0" * 63, "0" * 64 + "\n", "G" * 64):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            cache.load(given_key)


def test_a_result_that_cannot_be_written_is_not_kept(cache, folder):
    """The types that prevented it are returned, and nothing is made."""
    assert cache.store(KEY, [object(), {1: print}]) == (
        "builtins:object",
        "builtins:builtin_function_or_method",
    )
    assert not folder.exists()


def test_outputs_must_be_as_they_were(cache, tmp_path):
    """A changed, missing or additional output is no hit; put right again it is."""
    build = tmp_path / "build"
    build.mkdir()
    (build / "a.html").write_text("a")
    outputs = ("build/*.html",)
    cache.store(KEY, 1, outputs=outputs)
    assert cache.load(KEY, outputs) == Hit(1)
    assert cache.load(KEY) is None
    (build / "a.html").write_text("other")
    assert cache.load(KEY, outputs) is None
    (build / "a.html").write_text("a")
    (build / "b.html").write_text("b")
    assert cache.load(KEY, outputs) is None
    (build / "b.html").unlink()
    assert cache.load(KEY, outputs) == Hit(1)
    (build / "a.html").unlink()
    build.rmdir()
    assert cache.load(KEY, outputs) is None


def test_an_output_that_was_not_made_is_an_error(cache, folder):
    """A phase that leaves out what it declares is not kept as if it had done it."""
    with pytest.raises(FingerprintError, match=r"'build/site\.html' is not there"):
        cache.store(KEY, 1, outputs=("build/site.html",))
    assert not folder.exists()


def test_a_class_with_other_fields_is_no_hit(cache, monkeypatch, caplog):
    """The result is made again, with a warning, and replaces the old one."""
    cache.store(KEY, Changing(1))
    grown = make_dataclass("Changing", ["one", "two"])
    grown.__module__ = __name__
    monkeypatch.setitem(globals(), "Changing", grown)
    with caplog.at_level(logging.WARNING):
        assert cache.load(KEY) is None
    assert "had the fields ['one'] and has ['one', 'two']" in caplog.text
    cache.store(KEY, grown(1, 2))
    assert cache.load(KEY) == Hit(grown(1, 2))


def damage(path, how):
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "text": b"not an entry",
        "cut off": content[:-3],
        "no body": content.split(b"\n")[0],
        "longer": content + b" ",
        "changed": content.replace(b"correct", b"changed"),
        "of another key": content.replace(KEY.encode(), OTHER.encode()),
        "of another version": content.replace(b'cache": 1', b'cache": 2'),
        "bytes": content[:-20] + b"\xff\xfe\x00" * 7,
    }[how]
    assert damaged != content
    path.write_bytes(damaged)
    return damaged


HARM = ["empty", "text", "cut off", "no body", "longer", "changed", "of another key"]


@pytest.mark.parametrize("how", [*HARM, "of another version", "bytes"])
def test_a_damaged_entry_is_refused(cache, folder, how):
    """It is neither believed nor overwritten, except by force."""
    cache.store(KEY, "correct")
    path = entry(folder)
    damaged = damage(path, how)
    advice = "damaged or of another version, and was left as it is; delete it, or run with --force"
    for use in (cache.load, lambda key: cache.store(key, 2)):
        with pytest.raises(CacheError, match=advice) as caught:
            use(KEY)
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, PipelineError)
        assert path.read_bytes() == damaged
    forced = PhaseCache(folder, force=True)
    assert forced.load(KEY) is None
    forced.store(KEY, 2)
    assert cache.load(KEY) == Hit(2)


def test_an_entry_that_cannot_be_read_is_named(cache, folder):
    """The system's reason is told; here it is a folder."""
    cache.store(KEY, 1)
    path = entry(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(CacheError, match=r"Is a directory; delete it, it is no file$"):
        cache.load(KEY)
    with pytest.raises(CacheError, match="cannot be written: Is a directory"):
        PhaseCache(folder, force=True).store(KEY, 1)
    assert {each.name for each in folder.iterdir()} == {path.name, "CACHEDIR.TAG"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [("precious.txt", b"1"), ("CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n")],
)
def test_a_foreign_folder_is_refused(folder, force, name, content):
    """A folder with something else in it is left as it is, by force as well."""
    folder.mkdir()
    (folder / name).write_bytes(content)
    cache = PhaseCache(folder, force=force)
    uses = [lambda: cache.store(KEY, 1), lambda: cache.prune(0)]
    for use in uses if force else [*uses, lambda: cache.load(KEY)]:
        with pytest.raises(CacheError, match="is not empty and no cache of this version") as caught:
            use()
        assert str(folder) in str(caught.value)
        assert contents(folder) == {name: content}


def test_an_empty_folder_becomes_a_cache(cache, folder):
    """A folder with nothing in it, or with what a killed process left, is taken."""
    folder.mkdir()
    files.unfinished(folder / "CACHEDIR.TAG").write_text("half")
    assert cache.load(KEY) is None
    cache.store(KEY, 1)
    assert cache.load(KEY) == Hit(1)


def test_a_file_is_no_folder(cache, folder):
    """A path at which a file stands is refused."""
    folder.write_text("")
    with pytest.raises(CacheError, match="cannot be used: Not a directory; give a folder"):
        cache.load(KEY)
    with pytest.raises(CacheError, match="cannot be used: File exists"):
        cache.store(KEY, 1)


def denied(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_folder_that_cannot_be_made_is_named(cache, monkeypatch):
    """The system's reason is told."""
    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(CacheError, match="cannot be used: Permission denied; give a folder"):
        cache.store(KEY, 1)


def test_a_folder_that_cannot_be_written_is_named(cache, folder, monkeypatch):
    """The error names the entry, what it held before stays, and reading still works."""
    cache.store(KEY, 1)
    monkeypatch.setattr("builtins.open", denied)
    monkeypatch.setattr(os, "utime", denied)
    with pytest.raises(CacheError, match="cannot be written: Permission denied; make room"):
        cache.store(KEY, 2)
    assert cache.load(KEY) == Hit(1)


def test_a_write_that_fails_leaves_the_old_entry(cache, folder, monkeypatch):
    """Nothing is lost, and nothing half done stays behind."""
    cache.store(KEY, 1)
    before = contents(folder)

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="No space left on device; make room"):
        cache.store(KEY, 2)
    assert contents(folder) == before


def test_pruning_deletes_what_was_used_longest_ago(cache, folder):
    """Entries go in the order of their last use until the rest fits."""
    keys = [str(i) * 64 for i in range(4)]
    for i, key in enumerate(keys):
        cache.store(key, "x" * 1000)
        os.utime(entry(folder, key), (i + 1, i + 1))
    assert cache.load(keys[0]) is not None
    size = entry(folder, keys[0]).stat().st_size
    assert cache.prune(2 * size) == 2
    assert [cache.load(key) is not None for key in keys] == [True, False, False, True]
    assert cache.prune(2 * size) == 0


def test_pruning_deletes_only_what_is_ours(cache, folder):
    """Old unfinished files go, new ones and files of other names stay."""
    cache.store(KEY, 1)
    old, new = (files.unfinished(folder / KEY) for _ in range(2))
    for each in (old, new, folder / "note.txt"):
        each.write_text("x")
    yesterday = time.time() - 2 * 24 * 60 * 60
    os.utime(old, (yesterday, yesterday))
    assert cache.prune(0) == 1
    assert {each.name for each in folder.iterdir()} == {"CACHEDIR.TAG", "note.txt", new.name}


WRITER = """
    import sys
    from milo_pipeline.persistence import PhaseCache
    cache, me = PhaseCache(sys.argv[1]), sys.argv[2]
    for i in range(60):
        key = f"{i % 5:064x}"
        cache.store(key, [me, i] * 500)
        writer, number, *rest = cache.load(key).result
        assert rest == [writer, number] * 499 and number % 5 == i % 5
"""


def test_processes_and_threads_share_a_cache(folder):
    """Four processes that make the folder and store the same keys at once meet whole entries."""
    failures = []

    def work(name):
        try:
            python(WRITER, str(folder), name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(HANG)
    assert failures == []
    assert len(list(folder.iterdir())) == 6


def test_entries_are_equal_in_every_process(tmp_path):
    """The same result is the same file, whatever the hash seed."""
    source = """
        import sys
        from milo_pipeline.persistence import PhaseCache
        cache = PhaseCache(sys.argv[1])
        key = cache.key("p", "c", "i", {"names": {"a", "b", "c"}}, {"x": "1", "y": "2"})
        cache.store(key, {"z", "y", "x"})
    """
    for seed in "12":
        python(source, str(tmp_path / seed), PYTHONHASHSEED=seed)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_an_entry_is_lines_of_json(cache, folder):
    """A first line that says what it is, and one line with the rest."""
    cache.store(KEY, (1,))
    head, body = map(json.loads, entry(folder).read_text().splitlines())
    assert (head["milo-phase-cache"], head["key"]) == (1, KEY)
    assert json.loads(body["result"])["value"] == {"~": "tuple", "v": [1]}


def test_a_declaration_takes_any_paths():
    """Text and path objects, repeated ones once, sets in a stable order."""
    made = Cache(inputs=["b", Path("a"), "b"], outputs={"z", "y"})
    assert (made.inputs, made.outputs, made.version) == (("b", "a"), ("y", "z"), 0)
    assert made == Cache(("b", "a"), ("y", "z"))
    hash(made)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"inputs": "src"}, r"inputs takes paths, not one path; write inputs=\('src',\)"),
        ({"outputs": Path("x")}, r"outputs takes paths, not one path; write outputs=\('x',\)"),
        ({"inputs": 3}, "inputs takes paths, not 3"),
        ({"inputs": [3]}, "inputs takes paths as text, not 3"),
        ({"inputs": [""]}, "inputs takes paths as text, not ''"),
        ({"inputs": [b"x"]}, "inputs takes paths as text, not b'x'"),
        ({"version": -1}, "version must be a whole number"),
        ({"version": "1"}, "version must be a whole number"),
    ],
)
def test_declarations_that_cannot_be_meant_are_refused(options, says):
    """The error says what was given and what to write."""
    with pytest.raises(DefinitionError, match=says):
        Cache(**options)
