"""Imports point down. The order of the layers is written once, in the root pyproject.toml."""

import re
import sys
from importlib.metadata import packages_distributions


def layers(workspace):
    """The layer of every import name, 0 the lowest."""
    contracts = workspace.pyproject["tool"]["importlinter"]["contracts"]
    (rows,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    numbered = enumerate(reversed(rows))
    return {name: height for height, row in numbered for name in re.split(r"\s*[|:]\s*", row)}


def distribution_names(requirements):
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in requirements}


def test_every_package_has_a_layer(workspace):
    """Each package is known to the import contracts, and they know no other."""
    names = {package.import_name for package in workspace.packages.values()}
    assert names == set(layers(workspace))
    assert names == set(workspace.pyproject["tool"]["importlinter"]["root_packages"])


def test_no_import_points_up_or_sideways(workspace):
    """A module imports its own package and packages of lower layers, also for types."""
    height = layers(workspace)
    wrong = [
        str(found)
        for package in workspace.packages.values()
        for found in package.imports()
        if found.name in height
        and found.name != package.import_name
        and height[found.name] >= height[package.import_name]
    ]
    assert wrong == []


def test_imports_are_declared(workspace):
    """A package imports the standard library, itself and what its pyproject.toml declares.

    What it can do without, in ``try: ... except ImportError:``, need not be declared.
    """
    wrong = []
    for package in workspace.packages.values():
        declared = distribution_names(package.requirements)
        foreign = (
            found
            for found in package.imports()
            if found.name not in sys.stdlib_module_names
            and found.name != package.import_name
            and not found.is_optional
        )
        wrong += [str(f) for f in foreign if not providers(workspace, f.name) & declared]
    assert wrong == []


def providers(workspace, import_name):
    """The distributions that provide a module: the sibling of that name, or what is installed."""
    sibling = workspace.by_import_name(import_name)
    if sibling:
        return {sibling.folder.name}
    return distribution_names(packages_distributions().get(import_name, [import_name]))


def test_core_and_capture_stand_alone(workspace):
    """milo-core and milo-capture declare no dependency at all."""
    assert workspace.packages["milo-core"].requirements == []
    assert workspace.packages["milo-capture"].requirements == []
