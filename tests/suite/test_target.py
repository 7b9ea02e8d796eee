"""TARGET on the command line, read."""

from pathlib import Path

import pytest

from milo._cli.errors import CommandError
from milo._cli.target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("build.py", Target(Path("build.py"))),
        ("build.py:docs", Target(Path("build.py"), "docs")),
        ("jobs/build:docs", Target(Path("jobs/build"), "docs")),
        ("../build.py:Site.docs", Target(Path("../build.py"), "Site.docs")),
        ("jobs.nightly:make", Target("jobs.nightly", "make")),
        ("jobs.nightly", Target("jobs.nightly")),
        (r"C:\jobs\build.py", Target(Path(r"C:\jobs\build.py"))),
        (r"C:\jobs\build.py:docs", Target(Path(r"C:\jobs\build.py"), "docs")),
        ("C:/jobs/build.py", Target(Path("C:/jobs/build.py"))),
        ("été.py:où", Target(Path("été.py"), "où")),
    ],
)
def test_forms(folder, text, target):
    """A path is a file, dotted names are a module, the name follows the last colon."""
    assert parse_target(text) == target


@pytest.mark.parametrize("name", ["build:docs", "a:b:c", "no-suffix", "build.py:docs"])
def test_a_file_that_exists_wins(folder, name):
    """The name of an existing file is taken whole, colons and all."""
    (folder / name).write_text("")
    assert parse_target(name) == Target(Path(name))


def test_an_existing_file_needs_no_suffix(folder):
    """What stands before the colon is a file if there is one."""
    (folder / "Pipelines").write_text("")
    assert parse_target("Pipelines:docs") == Target(Path("Pipelines"), "docs")


def test_a_folder_of_the_name_does_not_hide_the_module(folder):
    """A package's folder in the current one is reached as the module it is."""
    (folder / "jobs").mkdir()
    assert parse_target("jobs:make") == Target("jobs", "make")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (":docs", "names no file or module"),
        ("", "names no file or module"),
        ("build.py:", "'' in 'build.py:' is not a Python name"),
        ("build.py:my-docs", "'my-docs' in 'build.py:my-docs' is not a Python name"),
        ("build.py:a..b", "not a Python name"),
        ("no-such-file", "no such file: no-such-file"),
    ],
)
def test_refusals(folder, text, complaint):
    """What is neither a file nor a module is refused, and the message quotes it."""
    with pytest.raises(CommandError) as refused:
        parse_target(text)
    assert complaint in str(refused.value)
