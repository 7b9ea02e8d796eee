"""Installed packages that do not fit each other, by what their own metadata asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True, slots=True)
class Misfit:
    """A requirement that is not met.

    Attributes:
        owner: who has it, such as ``milo-mcp 0.1.0``.
        requirement: what it asks for, without its conditions.
        installed: the version that is there instead; empty if there is none.
    """

    owner: str
    requirement: str
    installed: str


def misfits(
    owners: Iterable[Distribution], version_of: Callable[[str], str | None]
) -> list[Misfit]:
    """What ``owners`` ask for and do not get; ``version_of`` knows what is installed.

    What only an extra asks for need not be there, but if it is, it has to fit. Requirements
    under conditions that do not hold here, or that nobody can read, are left alone.
    """
    return [misfit for owner in owners for misfit in _misfits_of(owner, version_of)]


def _misfits_of(owner: Distribution, version_of: Callable[[str], str | None]) -> Iterator[Misfit]:
    label = f"{owner.name} {owner.version}"
    for requirement, is_optional in _requirements(owner):
        installed = version_of(requirement.name)
        if installed is None:
            if not is_optional:
                yield Misfit(label, _plain(requirement), "")
        elif not _fits(requirement, installed):
            yield Misfit(label, _plain(requirement), installed)


def _requirements(owner: Distribution) -> Iterator[tuple[Requirement, bool]]:
    """Each requirement that holds here, and whether only an extra has it."""
    extras = owner.metadata.get_all("Provides-Extra") or []
    for text in owner.requires or []:
        try:
            requirement = Requirement(text)
            if _holds(requirement, ""):
                yield requirement, False
            elif any(_holds(requirement, extra) for extra in extras):
                yield requirement, True
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # foreign metadata; an installer would have refused it


def _holds(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _fits(requirement: Requirement, installed: str) -> bool:
    try:
        return requirement.specifier.contains(Version(installed), prereleases=True)
    except InvalidVersion:
        return True  # nothing can be said about it


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
