"""``executor="process"``: how a process finds the handlers of every kind of program."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from run_tools import HANG

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

SCRIPT = """
import os
from dataclasses import dataclass
from milo_pipeline import Phase, Pipeline

print("importing", __name__)

@dataclass
class Page:
    name: str

class Refused(Exception):
    pass

def parse():
    return Page(__name__)

def check(context):
    raise Refused(context["parse"].name)

def pipeline():
    return Pipeline(
        "p",
        Phase("parse", parse, executor="process"),
        Phase("check", check, depends_on=["parse"], executor="process"),
    )
"""

RUNS = """
if __name__ == "__main__":
    result = pipeline().run()
    print(type(result.results["parse"]) is Page, type(result.errors["check"]) is Refused)
"""

STORY = [
    "importing __main__",
    "importing __mp_main__",
    "importing __mp_main__",
    "True True",
]


@pytest.fixture
def program(tmp_path):
    """Write files into a folder and run Python there: its exit code and what it printed."""

    def run_program(*arguments, files=(), **environment):
        for name, source in dict(files).items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(source), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=HANG,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        )

    return run_program


def test_a_script(program, tmp_path):
    """Its functions and classes are found, its main block does not run, it leaves no cache."""
    ended = program("script.py", files={"script.py": SCRIPT + RUNS})
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == STORY
    assert [each.name for each in tmp_path.iterdir()] == ["script.py"]


def test_a_script_where_multiprocessing_comes_first(program, tmp_path):
    """Imported by a hook of the interpreter, it takes the name that the file has there."""
    hook = "import multiprocessing, sys; assert '__mp_main__' in sys.modules"
    files = {"sitecustomize.py": hook, "script.py": SCRIPT + RUNS}
    ended = program("script.py", files=files, PYTHONPATH=str(tmp_path))
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == STORY


def test_a_script_inside_a_process(program):
    """A process whose handler runs a pipeline hands the program's file on."""
    source = SCRIPT + dedent("""
        def outer():
            result = pipeline().run()
            return type(result.results["parse"]) is Page, type(result.errors["check"]) is Refused

        if __name__ == "__main__":
            print(Pipeline("q", Phase("outer", outer, executor="process")).run().results["outer"])
    """)
    ended = program("script.py", files={"script.py": source})
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "(True, True)"


@pytest.mark.parametrize("module", ["package.tool", "package"])
def test_a_module_run_by_its_name(program, module):
    """Its relative imports hold."""
    source = SCRIPT.replace("import os\n", "import os\nfrom . import other\n") + RUNS
    file = "package/tool.py" if module == "package.tool" else "package/__main__.py"
    files = {"package/__init__.py": "", "package/other.py": "", file: source}
    ended = program("-m", module, files=files)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == STORY


def test_a_script_that_imports_its_handlers(program):
    """Then the program's own file is not needed, and not imported again."""
    source = """
        from pages import pipeline
        print("once")
        print(pipeline().run().status)
    """
    ended = program("script.py", files={"script.py": source, "pages.py": SCRIPT})
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "importing pages",
        "once",
        "importing pages",
        "importing pages",
        "failed",
    ]


def test_a_script_without_a_main_block(program):
    """Its process would run the pipeline again; it says what to do."""
    ended = program(
        "script.py", files={"script.py": SCRIPT + "\npipeline().run().raise_for_status()\n"}
    )
    assert ended.returncode == 1
    assert "phase 'parse': its process was importing the program's file" in ended.stderr
    assert ended.stderr.rstrip().endswith("1 of 2 phases never began")


def test_a_program_without_a_file(program):
    """There is nothing to import its functions from."""
    ended = program("-c", SCRIPT + "\npipeline().run()\n")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(
        "the program has no file to import it from; make it a function at the top level of a module"
    )


def test_flags_of_the_interpreter_go_along(program):
    """Of ``-O`` the handler sees as much as the program."""
    source = """
        import sys
        from milo_pipeline import Phase, Pipeline
        def level():
            return sys.flags.optimize, sys.warnoptions
        if __name__ == "__main__":
            result = Pipeline("p", Phase("a", level, executor="process")).run()
            print(result.results["a"] == level(), level())
    """
    ended = program("-O", "script.py", files={"script.py": source})
    assert ended.stdout == "True (1, ['error'])\n"


def test_a_value_of_a_program_without_a_file(program):
    """Its class is not to be found, as the error says."""
    source = """
        from pages import same
        from milo_pipeline import Phase, Pipeline
        class Page: pass
        result = Pipeline(
            "p", Phase("a", Page), Phase("b", same, depends_on=["a"], executor="process")
        ).run()
        print(result.errors["b"])
    """
    ended = program("-c", dedent(source), files={"pages.py": "def same(context): return context"})
    assert "ModuleNotFoundError: the program has no file: it is typed in" in ended.stdout


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("raise OSError('no database')", "OSError: no database;"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module';"),
    ],
)
def test_a_module_that_does_not_import_there(program, statement, told):
    """The error and its place are told."""
    source = f"""
        import os
        if "BROKEN" in os.environ:
            {statement}
        def handler():
            return None
    """
    script = """
        import os, traceback
        from pages import handler
        from milo_pipeline import Phase, Pipeline
        os.environ["BROKEN"] = "yes"
        result = Pipeline("p", Phase("a", handler, executor="process")).run()
        traceback.print_exception(result.errors["a"])
    """
    ended = program("script.py", files={"pages.py": source, "script.py": script})
    error = f"TransferError: the process of phase 'a' cannot import its work: {told}"
    assert error in ended.stderr
    assert 'pages.py", line 4, in <module>' in ended.stderr
