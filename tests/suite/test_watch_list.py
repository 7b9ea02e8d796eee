"""What is watched, and which of the changes there count."""

import os
from pathlib import Path

import pytest

from milo._cli.watch_list import WatchList
from milo_pipeline import Cache, Phase, Pipeline


def reading(*inputs, outputs=()):
    """A pipeline whose one phase reads and writes this."""
    return Pipeline("p", Phase("a", print, cache=Cache(inputs=inputs, outputs=outputs)))


def watch_list(pipeline, folder, *, code=("build.py",), products=()):
    return WatchList(pipeline, folder, frozenset(str(folder / each) for each in code), products)


@pytest.fixture
def folder(folder):
    """A current folder with files and folders in it."""
    for name in ("build.py", "src/a.md", "src/posts/b.md", "lib/helper.py", "env/pyvenv.cfg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def named(paths, folder):
    return {os.path.relpath(path, folder) for path in paths}


@pytest.mark.parametrize(
    ("inputs", "trees", "folders"),
    [
        (["src"], {"src"}, {"."}),
        (["src/*.md"], set(), {".", "src"}),
        (["src/**/*.md"], {"src"}, {"."}),
        (["src/posts/b.md"], set(), {".", "src/posts"}),
        (["*"], set(), {"."}),
        (["**"], {"."}, set()),
        (["src", "src/posts"], {"src"}, {"."}),
        (["src/posts"], {"src/posts"}, {".", "src"}),
        (["no/such/file", "src/none/*.md"], set(), {".", "src"}),
    ],
)
def test_as_little_is_watched_as_tells_of_all_that_counts(folder, inputs, trees, folders):
    """Trees where files anywhere below count; the folder of what may be replaced as a whole."""
    roots = watch_list(reading(*inputs), folder).roots()
    assert named(roots.trees, folder) == trees
    assert named(roots.folders, folder) == folders


def test_the_folders_of_code_are_watched(folder):
    """Without what is below them."""
    roots = watch_list(reading("src/*.md"), folder, code=("build.py", "lib/helper.py")).roots()
    assert named(roots.folders, folder) == {".", "lib", "src"}


@pytest.mark.parametrize(
    ("pipeline", "count"),
    [
        (reading("src", "lib/*.json"), 3),
        (reading("src", "*.py"), 2),
        (Pipeline("p", Phase("a", print)), 1),
        (None, 1),
    ],
)
def test_how_many_things_are_watched(folder, pipeline, count):
    """Inputs as they are written, and the code that is not among them."""
    assert len(watch_list(pipeline, folder)) == count


@pytest.mark.parametrize(
    ("inputs", "outputs", "file", "counts"),
    [
        (["src"], [], "src/a.md", True),
        (["src"], [], "build.py", True),
        (["src"], [], "lib/helper.py", False),
        (["src"], [], "src/a.md~", False),
        (["src"], [], "src/.git/HEAD", False),
        (["src"], [], "src/deep/.git/HEAD", False),
        (["src/.git/HEAD"], [], "src/.git/HEAD", True),
        (["src/.git"], [], "src/.git/HEAD", True),
        (["."], [], "env/lib/x.py", False),
        (["env"], [], "env/x.py", True),
        (["."], [], ".milo/cache/x", False),
        (["."], [], "src/.x.0123456789abcdef.milo-new", False),
        (["src"], ["src/posts"], "src/posts/b.md", False),
        (["src"], ["src/*.md"], "src/a.md", False),
        (["src"], ["src/*.md"], "src/posts/b.md", True),
        (["src"], ["build.py"], "build.py", False),
        (["src/*.md"], [], "src/a.txt", False),
    ],
)
def test_which_files_count(folder, inputs, outputs, file, counts):
    """Code and inputs, there or gone, but no products, nor what a name says nobody means."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    watched = watch_list(reading(*inputs, outputs=outputs), folder)
    assert watched.counts(str(path)) is counts
    path.unlink()
    assert watched.counts(str(path)) is counts


def test_products_of_the_command_do_not_count(folder):
    """Its cache with all below, and files by name."""
    watched = watch_list(reading("."), folder, products=["cache", "report.html"])
    for name in ("cache/x", "report.html"):
        assert not watched.counts(str(folder / name))


def test_which_phases_a_change_affects(folder):
    """Those that declare it, or all if none declares anything; code is another matter."""
    src = str(folder / "src/a.md")
    several = reading("src") >> Phase("b", print, cache=Cache(inputs=["lib"])) >> Phase("c", print)
    assert watch_list(several, folder).phases_reading([src]) == {"a"}
    none = Pipeline("p", Phase("a", print), Phase("b", print, cache=Cache()))
    assert watch_list(none, folder).phases_reading([src]) == {"a", "b"}
    assert watch_list(several, folder).is_code(str(folder / "build.py"))
    assert not watch_list(several, folder).is_code(src)
    assert watch_list(None, folder).is_code(src)


def test_behind_links(folder):
    """A folder that is reached by a link is watched where it is."""
    os.symlink("src", folder / "link")
    watched = watch_list(reading("link"), folder)
    assert named(watched.roots().trees, Path(os.path.realpath(folder))) == {"src"}
    assert watched.counts(str(folder / "src/a.md"))
