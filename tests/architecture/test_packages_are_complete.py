"""Every folder of packages/ is a whole distribution that can be released alone."""

import re

import pytest
from packaging.requirements import Requirement


def test_folder_and_distribution_have_one_name(workspace):
    """packages/<name> holds the distribution <name>, which the tools rely on."""
    assert {name: p.project["name"] for name, p in workspace.packages.items()} == {
        name: name for name in workspace.packages
    }


@pytest.mark.parametrize("name", ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"])
def test_each_package_brings_its_documents(workspace, name):
    """A package's own readme, change log and licence are in its folder, and say something."""
    files = [package.folder / name for package in workspace.packages.values()]
    assert [str(file) for file in files if not file.is_file() or not file.read_text().strip()] == []


def test_each_package_says_that_it_is_typed(workspace):
    """py.typed lies beside the modules."""
    assert [p for p in workspace.packages.values() if not (p.source / "py.typed").is_file()] == []


def test_each_package_has_tests(workspace):
    """tests/<short name> exists for every package."""
    short = [name.removeprefix("milo-") for name in workspace.packages]
    assert [name for name in short if not (workspace.root / "tests" / name).is_dir()] == []


def test_licences_are_the_same(workspace):
    """Every package carries the licence of the repository, word for word."""
    licence = (workspace.root / "LICENSE").read_text()
    copies = {name: (p.folder / "LICENSE").read_text() for name, p in workspace.packages.items()}
    assert [name for name, text in copies.items() if text != licence] == []


def test_metadata_is_real(workspace):
    """Description, keywords, Python floor and licence are filled in."""
    for name, package in workspace.packages.items():
        project = package.project
        assert len(project["description"]) > 20, name
        assert project["keywords"], name
        assert project["requires-python"] == ">=3.11", name
        assert project["license"] == "MIT", name
        assert "Typing :: Typed" in project["classifiers"], name


def test_siblings_admit_each_other(workspace):
    """A package's range for a sibling has a floor, and admits the version in this repository."""
    for name, package in workspace.packages.items():
        for requirement in map(Requirement, package.requirements):
            sibling = workspace.packages.get(requirement.name)
            if sibling is None:
                continue
            operators = {part.operator for part in requirement.specifier}
            assert ">=" in operators and "<" in operators, f"{name}: {requirement}"
            admitted = requirement.specifier.contains(sibling.version, prereleases=True)
            assert admitted, f"{name} wants {requirement}, here is {sibling.version}"


def test_change_logs_know_the_current_version(workspace):
    """The newest section of a change log is the version that the package says it has."""
    for name, package in workspace.packages.items():
        changes = (package.folder / "CHANGELOG.md").read_text()
        newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
        assert newest and newest[1] == package.version, name
