"""What a site needs beside its pages: the stylesheet, and the files that pages link to."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from sitekit.discover import INDEX
from sitekit.errors import SiteError
from sitekit.markdown import code_styles
from sitekit.parse import Page

STYLESHEET = PurePosixPath("_static/style.css")

_STYLE = Path(__file__).resolve().parents[1] / "assets" / "style.css"


def stylesheet() -> str:
    """Return the CSS of the whole site."""
    # Ours comes last and so wins: code keeps the background of its page.
    return code_styles() + _STYLE.read_text(encoding="utf-8")


def linked_files(pages: tuple[Page, ...], root: Path, out: Path) -> dict[PurePosixPath, Path]:
    """Return the images and other files below ``root`` that pages link to, sorted.

    Files that do not exist are left out: the health check reports their links. So are
    files below ``out``, which an earlier build wrote.

    Raises:
        SiteError: such a file would overwrite a page or the stylesheet.
    """
    sources = {page.source for page in pages}
    named = {link.source for page in pages for link in page.links if not link.leads_out}
    files = {path: root / path for path in sorted(named - sources)}
    linked = {path: file for path, file in files.items() if _is_copied(file, out)}
    _refuse_overwriting(linked, pages)
    return linked


def _is_copied(file: Path, out: Path) -> bool:
    return os.path.isfile(file) and not file.is_relative_to(out)


def _refuse_overwriting(linked: dict[PurePosixPath, Path], pages: tuple[Page, ...]) -> None:
    taken: dict[PurePosixPath, object] = {
        STYLESHEET: "the site's stylesheet",
        INDEX: "the site's index page",
    }
    taken |= {page.target: page.source for page in pages}
    for path in linked:
        if path in taken:
            raise SiteError(
                f"the linked file {path} and {taken[path]} would both become {path}; "
                "rename one of them"
            )
