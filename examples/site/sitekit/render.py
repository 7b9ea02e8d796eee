"""Pages to HTML: one template, the same navigation on every page."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from sitekit.discover import INDEX
from sitekit.markdown import markdown
from sitekit.parse import Page

_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


@dataclass(frozen=True, slots=True)
class NavigationGroup:
    """The pages of one folder, as ``(title, url)``; urls start at the site's root."""

    folder: str
    entries: tuple[tuple[str, str], ...]


def render(pages: tuple[Page, ...], folder_name: str) -> dict[PurePosixPath, str]:
    """Return the HTML of every page by the file it belongs in.

    A site without an index page gets one that lists all others, titled ``folder_name``.
    """
    titles = {page.target: page.title for page in pages}
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["site"] = titles.get(INDEX, folder_name)
    templates.globals["navigation"] = _navigation(pages)

    dialect = markdown()
    html = {page.target: _render_page(page, dialect, templates) for page in pages}
    if INDEX not in html:
        listing = templates.get_template("index.html.j2")
        html[INDEX] = listing.render(title=folder_name, url=INDEX.name, root="")
    return html


def _render_page(page: Page, dialect: MarkdownIt, templates: Environment) -> str:
    body = dialect.renderer.render(page.tokens, dialect.options, {})
    return templates.get_template("page.html.j2").render(
        title=page.title,
        body=Markup(body),  # markdown-it has escaped all text and raw HTML
        url=quote(str(page.target)),
        root="../" * (len(page.target.parts) - 1),
    )


def _navigation(pages: tuple[Page, ...]) -> tuple[NavigationGroup, ...]:
    return tuple(
        NavigationGroup(
            folder="" if folder == PurePosixPath() else str(folder),
            entries=tuple((page.title, quote(str(page.target))) for page in group),
        )
        for folder, group in groupby(pages, key=lambda page: page.source.parent)
    )
