"""What the tests here look at: the folders of packages/, read as text and never imported."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workspace:
    """The repository: its root pyproject and its packages by distribution name."""

    root: Path
    pyproject: dict[str, Any]
    packages: dict[str, "Package"]

    def by_import_name(self, name: str) -> "Package | None":
        return next((p for p in self.packages.values() if p.import_name == name), None)


@dataclass(frozen=True)
class Package:
    """One folder of packages/: what it declares and what its modules import."""

    folder: Path

    @cached_property
    def project(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]

    @cached_property
    def source(self) -> Path:
        (init,) = self.folder.glob("src/*/__init__.py")
        return init.parent

    @property
    def import_name(self) -> str:
        return self.source.name

    @cached_property
    def version(self) -> str:
        pattern = r'^__version__ = "(.+)"$'
        found = re.search(pattern, (self.source / "__init__.py").read_text(), re.MULTILINE)
        assert found, f"{self.source}/__init__.py has no line __version__ = ..."
        return found[1]

    @property
    def requirements(self) -> list[str]:
        """What it declares, extras included."""
        extras = self.project.get("optional-dependencies", {}).values()
        return [*self.project["dependencies"], *(line for extra in extras for line in extra)]

    def imports(self) -> Iterator["Import"]:
        """What its modules import, wherever they do so."""
        for path in sorted(self.source.rglob("*.py")):
            tree = ast.parse(path.read_text(), str(path))
            guarded = {inner for node in ast.walk(tree) for inner in guarded_nodes(node)}
            for node in ast.walk(tree):
                for name in imported_names(node):
                    yield Import(path, name.partition(".")[0], node in guarded)


@dataclass(frozen=True)
class Import:
    """One module, the first part of one name it imports, and whether it can do without."""

    path: Path
    name: str
    is_optional: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)} imports {self.name}"


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.module and not node.level, f"line {node.lineno}: a relative import"
        return [node.module]
    return []


def guarded_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in the body of ``try: ... except ImportError:``."""
    if isinstance(node, ast.Try) and any(catches_import_error(h) for h in node.handlers):
        for statement in node.body:
            yield from ast.walk(statement)


def catches_import_error(handler: ast.ExceptHandler) -> bool:
    caught = "" if handler.type is None else ast.unparse(handler.type)
    return "ImportError" in caught or "ModuleNotFoundError" in caught


@pytest.fixture(scope="session")
def workspace() -> Workspace:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
    return Workspace(ROOT, pyproject, {folder.name: Package(folder) for folder in folders})
