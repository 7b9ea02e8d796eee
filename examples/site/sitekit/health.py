"""Which links of a written site lead nowhere."""

from __future__ import annotations

from collections.abc import Set
from pathlib import PurePosixPath

from sitekit.discover import INDEX, is_markdown
from sitekit.links import Link
from sitekit.parse import Page

# Every page has a top, with or without a heading of that name.
_ALWAYS_THERE = frozenset({"", "top"})


def find_broken(pages: tuple[Page, ...], written: Set[PurePosixPath]) -> tuple[str, ...]:
    """Return one line for each link that leads to none of the files in ``written``.

    A line reads ``guide.md: link target 'setup.md#linux' (no such heading)``. A link that
    a page repeats is reported once.
    """
    anchors = {page.target: page.anchors for page in pages}
    lines = (
        f"{page.source}: link target {link.written!r} ({reason})"
        for page in pages
        for link in page.links
        if (reason := _why_broken(link, anchors, written))
    )
    return tuple(dict.fromkeys(lines))


def _why_broken(
    link: Link, anchors: dict[PurePosixPath, frozenset[str]], written: Set[PurePosixPath]
) -> str | None:
    if link.leads_out:
        return "outside the source folder"
    if link.target not in written:
        return _what_is_missing(link)
    headings = anchors.get(link.target)
    if headings is not None and link.fragment not in headings | _ALWAYS_THERE:
        return "no such heading"
    return None


def _what_is_missing(link: Link) -> str:
    if link.target == link.source / INDEX:
        return "a folder without a README.md"
    return "no such page" if is_markdown(link.source) else "no such file"
