"""Fingerprints: what counts as another function, another file, another parameter; what not."""

import functools
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path, PurePosixPath
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_tools import python

from milo_pipeline import Phase, PhasePolicy
from milo_pipeline.persistence import (
    FingerprintError,
    code_fingerprint,
    define,
    input_fingerprint,
    params_fingerprint,
    value_fingerprint,
)

SOURCE = """
    import functools, json, math, re
    from enum import Flag
    LIMIT, NAMES, TABLE = 3, {"b", "a", "c"}, {"k": [1, (2,)]}

    def deco(function):
        @functools.wraps(function)
        def wrapper(*args, **options):
            return function(*args, **options)
        return wrapper

    @functools.lru_cache
    def helper(x):
        return x in {"p", "q", "r", 1j, None, (1, "s")} or even(x)

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    class Base:
        __slots__ = ("slot",)
        def step(self):
            return LIMIT

    class Work(Base):
        made = frozenset({"x", "y", "z"})
        def __init__(self, state):
            self.state, self.slot = state, "s"
        def __call__(self, context):
            return self.step(), math.pi, json.dumps(context)
        @classmethod
        def make(cls):
            return cls(1)
        @property
        def size(self):
            return 1

    @deco
    def handler(context, *, pattern=re.compile("a+"), names=frozenset({"m", "n", "o"})):
        "What it says."
        squares = [x for x in range(LIMIT) if helper(x)]
        def inner():
            return squares, NAMES, TABLE, Work
        return inner

    work = Work({"deep": {"u", "v", "w"}})
    part = functools.partial(handler, {"a": even}, names=NAMES)
"""

HANDLERS = ["handler", "work", "work.step", "Work.make", "part", "helper", "Work", "even"]

PRINT = """
    import sys
    from operator import attrgetter
    from milo_pipeline.persistence import code_fingerprint
    sys.path.insert(0, sys.argv[1])
    import written
    for name in sys.argv[2:]:
        print(code_fingerprint(attrgetter(name)(written)))
"""


def module(source, name="written"):
    """A module made of ``source``, each time anew, and known to nobody else."""
    made = type(sys)(name)
    exec(compile(dedent(source), f"{name}.py", "exec"), made.__dict__)
    return made


def of(source, name="f"):
    return code_fingerprint(getattr(module(source), name))


def test_every_process_has_the_same_fingerprints(tmp_path):
    """Whatever the hash seed, and whether compiled just now or before."""
    (tmp_path / "written.py").write_text(dedent(SOURCE))
    told = {python(PRINT, str(tmp_path), *HANDLERS, PYTHONHASHSEED=seed) for seed in "012"}
    assert len(told) == 1
    lines = told.pop().split()
    assert len(lines) == len(HANDLERS)
    assert len(set(lines)) == len(HANDLERS)


def test_lines_files_and_comments_do_not_count(tmp_path):
    """The same source further down in another file has the same fingerprints."""
    found = []
    for file, text in {"one.py": SOURCE, "two.py": "\n\n# moved\n" + dedent(SOURCE)}.items():
        (tmp_path / file).write_text(dedent(text))
        spec = importlib.util.spec_from_file_location("written", tmp_path / file)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        found.append([code_fingerprint(getattr(made, n)) for n in HANDLERS if "." not in n])
    assert found[0] == found[1]


def test_running_a_function_does_not_change_its_fingerprint():
    """A function that the interpreter has specialised is still the same function."""
    made = module("def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\n")
    before = code_fingerprint(made.f)
    for _ in range(200):
        made.f(50)
    assert code_fingerprint(made.f) == before


CHANGES = {
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a set of constants": ('("p", "q")', '("p", "z")'),
    "the body": ("return total", "return -total"),
    "a default": ("x=1", "x=2"),
    "a keyword's default": ("y=(1, 2)", "y=(1, 3)"),
    "a function it calls": ("return 'helped'", "return 'other'"),
    "a function called by one it calls": ("return 'deep'", "return 'other'"),
    "a nested function": ("return 'nested'", "return 'other'"),
    "a method of a class it names": ("return 'method'", "return 'other'"),
    "a base of that class": ("return 'base'", "return 'other'"),
    "an attribute of that class": ("attribute = 1", "attribute = 2"),
    "a property of that class": ("return 'property'", "return 'other'"),
    "a table": ('{"key": [1]}', '{"key": [2]}'),
    "a function in a table": ("return 'listed'", "return 'other'"),
    "what a decorator closes over": ("deco(1)", "deco(2)"),
    "the code of a decorator": ("return 'wrapped', f", "return 'other', f"),
    "a global object's state": ("Thing(5)", "Thing(6)"),
    "a path": ('Path("a")', 'Path("b")'),
    "the arguments of a global partial": ("partial(print, 1)", "partial(print, 2)"),
    "combined flags": ("Mode.A | Mode.B", "Mode.A"),
}

CHANGING = """
    from enum import Flag
    from functools import partial
    from pathlib import Path

    LIMIT = 3
    TABLE = {"key": [1]}
    def listed():
        return 'listed'
    LISTED = {"x": listed}
    WHERE = Path("a")
    SAY = partial(print, 1)
    class Mode(Flag):
        A, B = 1, 2
    MODE = Mode.A | Mode.B
    class Base:
        def base(self):
            return 'base'
    class Thing(Base):
        attribute = 1
        def __init__(self, state):
            self.state = state
        def method(self):
            return 'method'
        @property
        def sized(self):
            return 'property'
    THING = Thing(5)
    def deco(level):
        def wrap(f):
            def wrapper():
                return 'wrapped', f, level
            return wrapper
        return wrap
    def deeper():
        return 'deep'
    def helper():
        return 'helped' or deeper()
    @deco(1)
    def f(x=1, *, y=(1, 2)):
        def nested():
            return 'nested'
        total = [x in ("p", "q"), LIMIT, TABLE, LISTED, WHERE, SAY, MODE]
        total += [helper(), Thing, THING, nested]
        return total
"""


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_function_depends_on_counts(change):
    """A change anywhere in what it reaches within its module is another fingerprint."""
    old, new = CHANGES[change]
    assert CHANGING.count(old) == 1
    assert of(CHANGING) == of(CHANGING)
    assert of(CHANGING) != of(CHANGING.replace(old, new))


def test_what_a_function_does_not_name_does_not_count():
    """Another function of the module may change."""
    assert of("def f(): return 1\ndef g(): return 1") == of("def f(): return 1\ndef g(): return 2")


def test_annotations_do_not_count():
    """Types say nothing about what a function does."""
    assert of("def f(x: int) -> int: return x") == of("def f(x: str) -> str: return x")


def test_functions_of_other_modules_count_by_name():
    """They are not followed, but which one is named makes a difference."""
    source = "from os.path import {} as g\ndef f(): return g('x')"
    assert of(source.format("isdir")) == of(source.format("isdir"))
    assert of(source.format("isdir")) != of(source.format("isfile"))


def test_closed_over_values_count():
    """Two functions of one source differ by what they close over, functions included."""

    def make(value):
        return lambda: value

    values = [1, 1.0, "1", (1,), [1], {1}, None, date(2026, 1, 1), PurePosixPath("a"), len, max]
    values += [re.compile("a"), re.compile("a", re.IGNORECASE), {"k": len}]
    values += [lambda: 1, lambda: 2]
    assert len({code_fingerprint(make(value)) for value in values}) == len(values)
    assert code_fingerprint(make([1])) == code_fingerprint(make([1]))


def test_a_variable_without_a_value_is_no_error():
    """A function may close over what is assigned later, or over itself."""

    def make():
        def f():
            return f, later

        before = code_fingerprint(f)
        later = 1
        return before, code_fingerprint(f)

    before, after = make()
    assert before != after


class Colour(Enum):
    RED = 1


@dataclass
class Tool:
    """A handler with state, of a class that everybody can find."""

    level: object

    def __call__(self):
        return self.level

    def run(self):
        return self.level


def test_parts_of_partials_methods_and_objects_count():
    """The function, its arguments, the object and its state."""
    assert code_fingerprint(functools.partial(max, 1, key=len)) != code_fingerprint(
        functools.partial(max, 1, key=abs)
    )
    for make in (Tool, lambda level: Tool(level).run, lambda level: functools.partial(Tool, level)):
        assert code_fingerprint(make(1)) == code_fingerprint(make(1))
        assert code_fingerprint(make(1)) != code_fingerprint(make(2))
        assert code_fingerprint(make(object())) == code_fingerprint(make(object()))
    assert code_fingerprint(Tool(1)) != code_fingerprint(Tool(1).run)


def test_built_in_functions_count_by_name():
    """There is nothing in them to look at."""
    assert len({code_fingerprint(each) for each in (len, max, print, [].append, {}.get)}) == 5


def test_depth_costs_no_stack():
    """A chain of 10,000 wrappers has a fingerprint, and so have objects in a circle."""
    handler = print
    for _ in range(5_000):
        handler = functools.partial(print, handler)
        handler = staticmethod(handler)
    assert code_fingerprint(handler)
    circle = []
    circle.append(circle)
    assert code_fingerprint(lambda: circle)


def test_a_definition_is_what_decides_the_result():
    """Name, handler, dependencies and parameters count; how a phase runs and looks does not."""
    plain = define(Phase("a", len, depends_on=("x", "y")))
    assert plain == define(
        Phase("a", len, "Text", ("x", "y"), True, 5, PhasePolicy("skip"), max_logs=1), {}
    )
    assert plain.depends_on == ("x", "y")
    others = [
        define(Phase("b", len, depends_on=("x", "y"))),
        define(Phase("a", max, depends_on=("x", "y"))),
        define(Phase("a", len, depends_on=("x",))),
        define(Phase("a", len, depends_on=("x", "y")), {"draft": True}),
        define(Phase("a", len, depends_on=("x", "y")), {"draft": 1}),
    ]
    assert len({plain.fingerprint, *(each.fingerprint for each in others)}) == 6
    swapped = define(Phase("a", len, depends_on=("y", "x")))
    assert swapped.fingerprint == plain.fingerprint


def test_parameters_count_by_name_not_by_order():
    """The order in which parameters were given is of no importance."""
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert define(Phase("p", len), one) == define(Phase("p", len), two)


def test_a_parameter_that_cannot_be_written_is_refused():
    """The error names it and its type."""
    with pytest.raises(FingerprintError, match="parameter 'x', a builtins:object, cannot be told"):
        define(Phase("p", len), {"x": object()})


def test_paths_and_dates_are_parameters():
    """Every type that a parameter may have counts by its value."""
    given = [Path("a"), Path("b"), "a", date(2026, 1, 1), 1, 1.0, True, (Colour.RED,), "1"]
    made = [params_fingerprint({"x": each}) for each in given]
    assert len(set(made)) == len(given)
    assert params_fingerprint({"x": Path("a")}) == made[0]


def test_a_value_that_cannot_be_written_has_no_fingerprint():
    """The error names the types in it."""
    with pytest.raises(FingerprintError, match="a builtins:object cannot be told from another"):
        value_fingerprint([object()])


plain = st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2)


@given(st.lists(plain), st.lists(plain))
def test_equal_values_have_equal_fingerprints(one, two):
    """And others have others, ``1`` and ``True`` as well."""
    same = value_fingerprint(one) == value_fingerprint(two)
    assert same == (repr(one) == repr(two))


@pytest.fixture
def tree(tmp_path):
    """A folder ``in`` with some files."""
    root = tmp_path / "in"
    for name in ("a.md", "b.txt", "deep/er/c.md", ".hidden/d.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return tmp_path


def test_the_same_tree_elsewhere_is_the_same(tree, tmp_path_factory, monkeypatch):
    """Neither times nor the place of the root count, nor how a path or the root is written."""
    other = tmp_path_factory.mktemp("other")
    for file in sorted((tree / "in").rglob("*"), reverse=True):
        if file.is_file():
            copy = other / file.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
            os.utime(copy, (1, 1))
    expected = input_fingerprint(["in"], tree)
    assert input_fingerprint(["in"], other) == expected
    assert input_fingerprint([Path("in/"), "./in/a.md"], f"{tree}/in/..") == expected
    assert input_fingerprint([tree / "in"], tree) == expected
    monkeypatch.chdir(tree)
    assert input_fingerprint(["in/b.txt", "in/../in"]) == expected


@pytest.mark.parametrize("paths", [["in"], ["in/*", "in/**/*.md"], ["in/a.md"]])
def test_contents_and_names_count(tree, paths):
    """Another content, another name, one file more: another fingerprint, and back again."""
    file, before = tree / "in/a.md", input_fingerprint(paths, tree)
    file.write_text("other")
    assert input_fingerprint(paths, tree) != before
    file.write_text("a.md")
    assert input_fingerprint(paths, tree) == before
    if len(paths) > 1 or paths == ["in"]:
        file.rename(tree / "in/z.md")
        assert input_fingerprint(paths, tree) != before
        (tree / "in/a.md").write_text("a.md")
        assert input_fingerprint(paths, tree) != before


def test_globs_meet_what_they_say(tree):
    """``**`` is any number of folders, hidden ones are met by name only, folders are not met."""
    md = input_fingerprint(["in/**/*.md"], tree)
    assert md == input_fingerprint(["in/deep/er/c.md", "in/a.md"], tree)
    (tree / "in/.hidden/d.md").write_text("other")
    (tree / "in/b.txt").write_text("other")
    (tree / "in/folder.md").mkdir()
    assert md == input_fingerprint(["in/**/*.md"], tree)


def test_a_glob_may_meet_nothing_where_its_folder_is(tree):
    """No match is a fingerprint too; a folder that is not there is a mistake."""
    assert input_fingerprint(["in/*.rst"], tree) == input_fingerprint([], tree)
    with pytest.raises(FingerprintError, match=r"'inn/\*\.md' is not there .*no folder 'inn'"):
        input_fingerprint(["inn/*.md"], tree)


def test_names_with_glob_characters_are_files_first(tree):
    """A file whose name looks like a pattern can be named."""
    (tree / "in/[x].md").write_text("1")
    before = input_fingerprint(["in/[x].md"], tree)
    (tree / "in/[x].md").write_text("2")
    assert input_fingerprint(["in/[x].md"], tree) != before


def test_a_missing_file_is_named(tree):
    """The error says which input, and where it was looked for."""
    with pytest.raises(FingerprintError, match=r"'in/no\.md' is not there") as caught:
        input_fingerprint(["in/no.md"], tree)
    assert str(tree) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tree, monkeypatch):
    """The system's reason is told."""

    def denied(file, *_):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(FingerprintError, match=r"a\.md' cannot be read: Permission denied"):
        input_fingerprint(["in/a.md"], tree)


def test_a_folder_that_cannot_be_listed_is_named(tree, monkeypatch):
    """It does not count as empty."""

    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(FingerprintError, match="in' cannot be read: Permission denied"):
        input_fingerprint(["in"], tree)


def test_links_count(tree):
    """A link to a file is that file; links to folders and to nothing count by where they lead."""
    link = tree / "in/link"
    seen = [input_fingerprint(["in"], tree)]
    for target in ("a.md", "b.txt", "deep", "nowhere", "."):
        link.symlink_to(target)
        seen.append(input_fingerprint(["in"], tree))
        link.unlink()
    assert len(set(seen)) == 6


def test_a_pipe_is_refused(tree):
    """Reading one might wait for ever."""
    os.mkfifo(tree / "in/pipe")
    with pytest.raises(FingerprintError, match="pipe' is neither a file nor a folder"):
        input_fingerprint(["in"], tree)


def test_names_that_are_no_text_count(tree):
    """File names may hold any bytes."""
    before = input_fingerprint(["in"], tree)
    (Path(os.fsdecode(os.fsencode(tree) + b"/in/\xff.md"))).write_text("x")
    assert input_fingerprint(["in"], tree) != before
