"""A folder of Markdown becomes a static site: a Milo pipeline on real input.

    milo run examples/site/sitegen.py [SOURCE [OUT]]

    discover → parse → [render, assets] → write → health → summary

``render`` and ``assets`` run at the same time. ``health`` reports broken links, and since
its policy is to skip, a site with broken links is still a site. What the phases do is in
``sitekit``; this file says how they hang together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from milo import DefinitionError, Phase, PhasePolicy, Pipeline
from sitekit.assets import STYLESHEET, linked_files, stylesheet
from sitekit.discover import INDEX, Sources, discover
from sitekit.errors import BrokenLinks
from sitekit.health import find_broken
from sitekit.parse import Page, parse
from sitekit.render import render
from sitekit.write import why_not_writable, write

REPOSITORY = Path(__file__).resolve().parents[2]

Context = Mapping[str, Any]
"""What a handler is given: the result of each phase that its own phase depends on."""


def pipeline(source: str = str(REPOSITORY), out: str = "build/site") -> Pipeline:
    """Return the pipeline that builds the Markdown below ``source`` into the folder ``out``.

    Raises:
        DefinitionError: ``source`` is no folder, or ``out`` must not be written to.
    """
    folder, site = Path(source).resolve(), Path(out).resolve()
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DefinitionError(f"the source folder {folder} {problem}; name a folder of Markdown")
    if reason := why_not_writable(site, folder):
        raise DefinitionError(reason)

    build = SiteBuild(folder, site)
    return Pipeline(
        "site",
        Phase("discover", handler=build.discover, description="Find the Markdown files"),
        Phase(
            "parse",
            handler=build.parse,
            depends_on=("discover",),
            weight=3,
            description="Read titles, headings and links",
        ),
        Phase(
            "render",
            handler=build.render,
            depends_on=("parse",),
            parallel=True,
            weight=3,
            description="Turn pages into HTML",
        ),
        Phase(
            "assets",
            handler=build.assets,
            depends_on=("parse",),
            parallel=True,
            description="Collect the stylesheet and linked files",
        ),
        Phase(
            "write",
            handler=build.write,
            depends_on=("render", "assets"),
            description="Replace the site on disk",
        ),
        Phase(
            "health",
            handler=build.health,
            depends_on=("parse", "write"),
            policy=PhasePolicy(on_fail="skip"),
            description="Check every internal link",
        ),
        Phase(
            "summary",
            handler=build.summary,
            depends_on=("write", "health"),
            description="Say where the site lies",
        ),
        capture_output=True,
    )


@dataclass(frozen=True, slots=True)
class SiteBuild:
    """The handlers of one build. They share two folders and nothing that changes.

    What one phase finds out reaches the next as its result, so ``render`` and ``assets``
    can read the same pages at the same time.
    """

    source: Path
    out: Path

    def discover(self) -> Sources:
        """Return the Markdown files of the source folder."""
        sources = discover(self.source, self.out)
        print(f"{_count(sources.targets, 'page')} in {self.source}")
        return sources

    def parse(self, context: Context) -> tuple[Page, ...]:
        """Return every file as a page with its links."""
        pages = parse(context["discover"])
        links = [link for page in pages for link in page.links]
        print(f"{_count(links, 'internal link')}")
        return pages

    def render(self, context: Context) -> dict[PurePosixPath, str]:
        """Return the HTML of the site by file name."""
        html = render(context["parse"], self.source.name)
        print(f"{_count(html, 'HTML file')}")
        return html

    def assets(self, context: Context) -> dict[PurePosixPath, str | Path]:
        """Return the stylesheet and the files to copy, by their name in the site."""
        linked = linked_files(context["parse"], self.source, self.out)
        print(f"{_count(linked, 'linked file')}")
        return {STYLESHEET: stylesheet(), **linked}

    def write(self, context: Context) -> frozenset[PurePosixPath]:
        """Replace the site on disk and return the names of its files."""
        written = write({**context["render"], **context["assets"]}, self.out, self.source)
        print(f"{_count(written, 'file')} in {self.out}")
        return written

    def health(self, context: Context) -> None:
        """Raise ``BrokenLinks`` if a link leads to no file or no heading of the site."""
        broken = find_broken(context["parse"], context["write"])
        for line in broken:
            print(line)
        if broken:
            raise BrokenLinks(broken)
        print("every internal link leads somewhere")

    def summary(self) -> None:
        """Print where the site lies."""
        print(f"site: {self.out / INDEX}")


def _count(things: Any, noun: str) -> str:
    number = len(things)
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
