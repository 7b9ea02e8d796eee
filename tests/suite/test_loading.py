"""How a target's code is imported."""

import sys

import pytest

from milo._cli.loading import load_source
from milo._cli.target import parse_target

SOURCE = """
    from milo import Phase, Pipeline
    import neighbour

    pipeline = Pipeline(neighbour.NAME, Phase("parse", handler=print))
"""


def test_a_file_finds_its_neighbours(write, folder, milo, monkeypatch):
    """The file's folder comes first on the path, as with ``python FILE``, from anywhere."""
    write("jobs/build.py", SOURCE)
    write("jobs/neighbour.py", "NAME = 'beside'\n")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    ended = milo("graph", "../jobs/build.py")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("beside: parse\n")


def test_a_module_is_found_in_the_current_folder(write, milo):
    """As with ``python -m``."""
    write("jobs/__init__.py", "")
    write("jobs/build.py", SOURCE.replace("import neighbour", "from jobs import neighbour"))
    write("jobs/neighbour.py", "NAME = 'package'\n")
    assert milo("graph", "jobs.build").out.startswith("package: parse\n")


def test_a_file_is_not_main(write, milo):
    """What stands under ``if __name__ == "__main__"`` is not run."""
    write("build.py", "if __name__ == '__main__':\n    raise SystemExit(7)\npipeline = 3\n")
    assert "is an int" in milo("graph", "build.py").err


def test_a_file_is_read_anew(write, milo, monkeypatch):
    """No bytecode cache is written for it, nor read, however quickly it changes."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write("build.py", "pipeline = 3\n")
    assert "is an int" in milo("graph", "build.py").err
    path.write_text("pipeline = {}")
    assert "is a dict" in milo("graph", "build.py").err
    assert not (path.parent / "__pycache__").exists()


def test_a_file_is_a_registered_module(write, milo):
    """Dataclasses with string annotations and pickling work in it: the module can be found."""
    path = write(
        "build.py",
        """
        from __future__ import annotations
        import pickle
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Page:
            count: ClassVar[int] = 0
            title: str = "x"

        pipeline = pickle.loads(pickle.dumps(Page())).title
        """,
    )
    assert "is a str" in milo("graph", path).err


def test_two_files_of_one_name_are_two_modules(write, milo):
    """Modules are kept apart by path."""
    one = load_source(write("a/build.py", "here = 'a'\n"))
    two = load_source(write("b/build.py", "here = 'b'\n"))
    assert (one.here, two.here) == ("a", "b")
    assert sys.modules[one.__name__] is one
    assert sys.modules[two.__name__] is two


def test_a_file_that_failed_leaves_no_module(write, milo):
    """What did not import cannot be met later, half made."""
    before = set(sys.modules)
    assert milo("graph", write("build.py", "1 / 0\n")).code == 2
    assert not {name for name in set(sys.modules) - before if "milo_target" in name}


@pytest.mark.parametrize("words", [("graph",), ("run", "--plain")])
def test_names_may_be_nested(write, milo, words):
    """The name may be a path through classes and modules."""
    write("build.py", "class Site:\n    docs = 3\n")
    assert "Site.docs is an int" in milo(*words, "build.py:Site.docs").err


def test_arguments_reach_the_factory_as_text(write, milo):
    """ARGS are positional strings; after ``--`` they may look like options."""
    write(
        "build.py",
        """
        from milo import Phase, Pipeline
        def make(*words): return Pipeline(repr(words), Phase("a", print))
        """,
    )
    assert milo("graph", "build.py:make", "1", "--", "--x").out.startswith("('1', '--x'): a\n")


def test_the_default_name_is_pipeline(folder):
    """TARGET without a name means ``pipeline``."""
    assert parse_target("build.py").name == "pipeline"
