"""Where a link leads: from what an author wrote to a file of the site."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from sitekit.discover import INDEX, Sources


@dataclass(frozen=True, slots=True)
class Link:
    """One link or image of a page that leads to a file of the same site.

    Attributes:
        written: the target as the author wrote it.
        url: the same target as the page's HTML has to write it.
        source: the file of the source folder it names, whether there is one or not.
        target: the file of the site it leads to; it starts with ``..`` when it leads out.
        fragment: the heading it names, or ``""``.
    """

    written: str
    url: str
    source: PurePosixPath
    target: PurePosixPath
    fragment: str

    @property
    def leads_out(self) -> bool:
        """Whether the link leaves the source folder."""
        return self.target.parts[:1] == ("..",)


def resolve(url: str, page: PurePosixPath, sources: Sources) -> Link | None:
    """Return where ``url``, written in the source file ``page``, leads.

    ``x.md`` leads to the HTML file it becomes, a folder to its index page, a path that
    begins with ``/`` starts at the source folder. ``None`` means an external link.

    >>> from pathlib import Path
    >>> pages = {PurePosixPath(name): PurePosixPath(html) for name, html in [
    ...     ("README.md", "index.html"), ("guide/setup.md", "guide/setup.html")]}
    >>> link = resolve("../README.md#run", PurePosixPath("guide/setup.md"), Sources(Path(), pages))
    >>> link.url
    '../index.html#run'
    """
    parts = _split(url)
    if parts is None:
        return None
    source = _named_file(unquote(parts.path), page)
    target = _target(source, sources)
    link = Link(unquote(url), url, source, target, unquote(parts.fragment))
    if link.leads_out or not parts.path:
        return link
    path = quote(_relative(target, sources.targets[page].parent))
    return replace(link, url=urlunsplit(("", "", path, parts.query, parts.fragment)))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # a malformed host, so it names another site
        return None
    return None if parts.scheme or parts.netloc else parts


def _named_file(path: str, page: PurePosixPath) -> PurePosixPath:
    if not path:
        return page
    start = PurePosixPath() if path.startswith("/") else page.parent
    return PurePosixPath(posixpath.normpath(start / path.lstrip("/")))


def _relative(target: PurePosixPath, start: PurePosixPath) -> str:
    # Between absolute paths, or the answer would depend on the current folder.
    return posixpath.relpath(f"/{target}", f"/{start}")


def _target(source: PurePosixPath, sources: Sources) -> PurePosixPath:
    if source in sources.targets:
        return sources.targets[source]
    # os.path and not Path: a link can be too long for a file name, and that is no crash.
    if os.path.isdir(sources.root / source):
        return source / INDEX
    return source
