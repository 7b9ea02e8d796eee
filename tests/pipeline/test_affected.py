"""Which phases read the files that have changed, and which files a declared path stands for."""

import os

import pytest

from milo_pipeline import Cache, Phase, Pipeline, affected_by
from milo_pipeline.patterns import PathPattern
from milo_pipeline.persistence import input_fingerprint

TREE = (
    "a.md",
    "b.txt",
    ".hidden.md",
    "src/a.md",
    "src/.hidden.md",
    "src/posts/a.md",
    "src/posts/deep/a.md",
    "src/.git/a.md",
    "src/posts[1]/a.md",
    "other/a.md",
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The files above, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        *("a.md", "src", "src/", "./src", "src/posts", ".", "other/../src/posts", "src/posts[1]"),
        *("*", "*.md", "**", "**/*.md", ".*", "src/*", "src/**", "src/**/*", "src/**/a.md"),
        *("src/*/*.md", "src/.*/*.md", "src/**/deep/*", "s?c/*.md", "[!o]*/a.md", "**/.*/a.md"),
        *("src/posts/**/**/*.md", "**/posts/**"),
    ],
)
def test_a_pattern_stands_for_the_files_that_its_fingerprint_reads(tree, path):
    """A file meets it exactly if the fingerprint is another once the file has changed."""
    pattern = PathPattern(path)
    for name in TREE:
        before = input_fingerprint([path])
        (tree / name).write_text("changed")
        assert pattern.meets(name) == (input_fingerprint([path]) != before), name
        (tree / name).write_text(name)


@pytest.mark.parametrize("path", ["src/posts", "src/**/*.md", "src/posts/new.md"])
def test_a_file_counts_before_it_is_there_and_after(tree, path):
    """So that the one that was deleted, or has just been made, is seen to have changed."""
    assert PathPattern(path).meets("src/posts/new.md")


def test_a_folder_behind_a_link(tree):
    """It is one folder, whichever of its names is used; a link to a file is both."""
    os.symlink("src", tree / "link")
    os.symlink("a.md", tree / "alias.md")
    assert PathPattern("link").meets("src/a.md")
    assert PathPattern("src/*.md").meets("link/a.md")
    assert PathPattern("alias.md").meets("a.md")
    assert PathPattern("alias.md").meets("alias.md")


def test_phases_are_affected_by_their_inputs(tmp_path):
    """Those that declare a changed file; neither those behind them nor those without inputs."""
    pipeline = Pipeline(
        "site",
        Phase("parse", print, cache=Cache(inputs=["src/*.md", "config"])),
        Phase("style", print, cache=Cache(inputs=["css"])),
        Phase("write", print, depends_on=("parse",), cache=Cache(outputs=["src"])),
        Phase("tidy", print),
    )
    assert affected_by(pipeline, ["src/a.md"], root=tmp_path) == {"parse"}
    assert affected_by(pipeline, [tmp_path / "css/x/y.css", "config"], root=tmp_path) == {
        "parse",
        "style",
    }
    assert affected_by(pipeline, ["src/a.txt"], root=tmp_path) == set()
    assert affected_by(pipeline, [], root=tmp_path) == set()
