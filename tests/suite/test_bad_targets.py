"""What cannot be run: exit code 2, nothing on stdout, one clear line on stderr."""

from pathlib import Path

import pytest

from milo._cli.blame import place_of
from milo_pipeline import CycleError, Phase, Pipeline

PIPELINE = """
    from milo import Phase, Pipeline

    pipeline = Pipeline("build", Phase("parse", handler=print))
"""


@pytest.fixture(params=["run", "graph"])
def refused(request, milo):
    """Give the words to both subcommands and return the one line they refuse them with."""

    def refuse(*words):
        ended = milo(request.param, *words)
        assert (ended.code, ended.out) == (2, "")
        (line,) = ended.err.splitlines()
        return line.removeprefix("milo: error: ")

    return refuse


def test_no_such_file(folder, refused):
    """A file that does not exist is named."""
    assert refused("nowhere.py") == "no such file: nowhere.py"


def test_no_such_file_but_a_similar_one(write, refused):
    """A name that is nearly that of a file beside it gets a suggestion."""
    write("jobs/build.py", PIPELINE)
    assert refused("jobs/biuld.py:x") == (
        "no such file: jobs/biuld.py; did you mean jobs/build.py?"
    )


def test_a_folder(folder, refused):
    """A folder is not a file."""
    (folder / "jobs").mkdir()
    assert refused("./jobs") == "jobs is a folder; give the Python file in it"


def test_a_file_that_raises(write, refused):
    """The error's type and message are shown, and the line of the target where it happened."""
    write("build.py", "import json\n\njson.loads('{')\n")
    line = refused("build.py")
    assert line.startswith("build.py does not import: JSONDecodeError: Expecting property name")
    assert line.endswith("(build.py:3)")


def test_a_file_whose_import_raises(write, refused):
    """The line is that of the user's code the error comes from, be it in another file."""
    write("build.py", "import neighbour\n")
    write("neighbour.py", "\n\nnothing = 1 / 0\n")
    assert refused("build.py") == (
        "build.py does not import: ZeroDivisionError: division by zero (neighbour.py:3)"
    )


def test_a_file_that_imports_what_is_missing(write, refused):
    """A missing module is a file that does not import, not a missing target."""
    write("build.py", "import no_such_library\n")
    assert refused("build.py") == (
        "build.py does not import: ModuleNotFoundError: "
        "No module named 'no_such_library' (build.py:1)"
    )


def test_a_file_that_is_not_python(write, refused):
    """A syntax error shows the line the parser stopped at."""
    write("build.py", "x = 1\ny = = 2\n")
    assert refused("build.py") == (
        "build.py does not import: SyntaxError: invalid syntax (build.py:2)"
    )


def test_a_file_that_is_not_text(folder, refused):
    """Bytes that are no UTF-8 are refused in one line."""
    (folder / "build.py").write_bytes(b"x = '\xff'\n")
    assert refused("build.py").startswith("build.py does not import: SyntaxError: ")


def test_a_file_that_exits(write, refused):
    """``sys.exit`` while importing does not pass for success."""
    write("build.py", "import sys\nsys.exit(0)\n")
    assert refused("build.py") == "build.py does not import: SystemExit: 0 (build.py:2)"


def test_an_error_of_many_lines_is_one_line(write, refused):
    """Line breaks and escape sequences in a message stay out of the report."""
    write("build.py", "raise ValueError('first\\n  second \\x1b[31mred')\n")
    assert refused("build.py") == (
        "build.py does not import: ValueError: first second red (build.py:1)"
    )


def test_no_such_module(folder, refused):
    """A module that is not there is named with the places that were looked at."""
    assert refused("nowhere:pipeline").startswith(f"no module named 'nowhere' (looked in {folder}")
    assert refused("json.nowhere:x").startswith("no module named 'json.nowhere'")


def test_a_module_that_imports_what_is_missing(write, refused):
    """A module that exists and lacks something is a module that does not import."""
    write("jobs/__init__.py", "")
    write("jobs/nightly.py", "import no_such_library\n")
    assert refused("jobs.nightly:make").startswith(
        "jobs.nightly does not import: ModuleNotFoundError: No module named 'no_such_library' "
    )


def test_a_file_without_a_pipeline(write, refused):
    """A file that defines none is told how to."""
    write("build.py", "x = 1\n")
    assert refused("build.py") == (
        "build.py has no 'pipeline' and no Pipeline; define one: pipeline = Pipeline(...)"
    )


def test_a_file_with_a_pipeline_of_another_name(write, refused):
    """The pipelines that are there are listed."""
    write("build.py", PIPELINE + "\n    docs = pipeline\n    del pipeline")
    assert refused("build.py") == "build.py has no 'pipeline' but 'docs'; say build.py:docs"


def test_a_name_that_is_nearly_right(write, refused):
    """A misspelt name gets the nearest one there is."""
    write("build.py", "def make_docs(): pass\n")
    assert refused("build.py:make_dosc") == (
        "build.py has no 'make_dosc'; did you mean build.py:make_docs?"
    )


@pytest.mark.parametrize(
    ("value", "kind"), [("3", "an int"), ("None", "None"), ("['a']", "a list")]
)
def test_a_name_that_is_no_pipeline(write, refused, value, kind):
    """What is found is named by its type."""
    write("build.py", f"pipeline = {value}\n")
    assert refused("build.py") == (
        f"build.py:pipeline is {kind}, expected a Pipeline or a function making one"
    )


def test_arguments_for_a_pipeline(write, refused):
    """Only a factory takes arguments."""
    write("build.py", PIPELINE)
    assert refused("build.py", "a", "b") == (
        "build.py:pipeline is a Pipeline and takes no arguments, was given 'a b'; "
        "name a function that makes one"
    )


@pytest.mark.parametrize("words", [[], ["a", "b", "c"]])
def test_the_wrong_number_of_arguments(write, refused, words):
    """A factory called wrongly shows what it takes."""
    write("build.py", "def make(source, out: str = 'site') -> None: pass\n")
    line = refused("build.py:make", *words)
    assert line.startswith("build.py:make(source, out: str = 'site') cannot be called with ")


def test_a_factory_that_raises(write, refused):
    """Its error is one line, with the place."""
    write("build.py", "def make():\n    raise OSError('no licence')\n")
    assert refused("build.py:make") == "build.py:make: OSError: no licence (build.py:2)"


def test_a_factory_that_makes_something_else(write, refused):
    """What it returned is named by its type."""
    write("build.py", "def make(): return {}\n")
    assert refused("build.py:make") == "build.py:make returned a dict, expected a Pipeline"


def test_a_cycle(write, refused):
    """A cycle is shown as a path."""
    write(
        "build.py",
        """
        from milo import Phase, Pipeline
        pipeline = Pipeline(
            "build",
            Phase("a", print, depends_on=("b",)),
            Phase("b", print, depends_on=("a",)),
        )
        """,
    )
    line = refused("build.py")
    assert "build.py does not import: CycleError: a → b → a" in line
    assert line.endswith("(build.py:3)")


def test_an_unknown_dependency(write, refused):
    """The nearest phase is suggested, in a factory as at import."""
    write(
        "build.py",
        """
        from milo import Phase, Pipeline
        def pipeline():
            return Pipeline(
                "build", Phase("parse", print), Phase("write", print, depends_on=("prase",))
            )
        """,
    )
    line = refused("build.py")
    assert line.startswith("build.py:pipeline: DefinitionError: phase 'write' depends on 'prase'")
    assert "did you mean 'parse'?" in line
    assert line.endswith("(build.py:4)")


def test_milo_itself_is_never_to_blame():
    """The line is the user's, also where Milo's own code lies in the same folder."""
    with pytest.raises(CycleError) as raised:
        Pipeline("loop", Phase("a", print, depends_on=("a",)))
    assert place_of(raised.value, Path("/")).partition(":")[0].endswith("test_bad_targets.py")


def test_debug_shows_the_traceback(write, milo):
    """With ``--debug`` the traceback of the user's error comes before the one line."""
    write("build.py", "nothing = 1 / 0\n")
    ended = milo("run", "--debug", "build.py")
    assert ended.code == 2
    first, *_, last = ended.err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert "nothing = 1 / 0" in ended.err
    assert last.startswith("milo: error: build.py does not import: ZeroDivisionError")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run"], "Missing argument 'TARGET' (see milo run --help)"),
        (["run", "build.py", "--json", "--plain"], "--json and --plain exclude each other"),
        (["run", "build.py", "--max-workers", "0"], "Invalid value for '--max-workers'"),
        (["rnu"], "No such command 'rnu'"),
    ],
)
def test_usage(folder, milo, words, complaint):
    """Wrong usage is refused in the same tone and with the same exit code."""
    ended = milo(*words)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"milo: error: {complaint}")
