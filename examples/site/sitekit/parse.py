"""One Markdown file as a page: its title, its headings, its links and its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sitekit.discover import Sources
from sitekit.errors import SiteError
from sitekit.links import Link, resolve
from sitekit.markdown import markdown

_URL_ATTRIBUTES = {"link_open": "href", "image": "src"}
_TITLE_TOKENS = frozenset({"text", "code_inline", "softbreak"})


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page. Its tokens already hold the addresses of the site, not of the sources.

    Attributes:
        source: the Markdown file, relative to the source folder.
        target: the HTML file, relative to the site.
        title: the text of the first heading, else the name of the file.
        anchors: what ``#...`` may name on this page.
        links: the links and images that lead to this site, in order.
        tokens: the Markdown tokens, ready to be rendered.
    """

    source: PurePosixPath
    target: PurePosixPath
    title: str
    anchors: frozenset[str]
    links: tuple[Link, ...]
    tokens: Sequence[Token]


def parse(sources: Sources) -> tuple[Page, ...]:
    """Return the pages of ``sources``, in the same order.

    Raises:
        SiteError: a file cannot be read; the message names it and says why.
    """
    dialect = markdown()
    return tuple(_parse_page(source, sources, dialect) for source in sources.targets)


def _parse_page(source: PurePosixPath, sources: Sources, dialect: MarkdownIt) -> Page:
    tokens = dialect.parse(_read(source, sources))
    return Page(
        source=source,
        target=sources.targets[source],
        title=_title(tokens) or source.stem,
        anchors=frozenset(_anchors(tokens)),
        links=tuple(_redirect_links(tokens, source, sources)),
        tokens=tokens,
    )


def _read(source: PurePosixPath, sources: Sources) -> str:
    try:
        return (sources.root / source).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SiteError(f"cannot read {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SiteError(
            f"cannot read {source}: it is not UTF-8 text "
            f"(byte 0x{error.object[error.start]:02x} at offset {error.start})"
        ) from error


def _title(tokens: Sequence[Token]) -> str:
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = (child for child in inline.children or () if child.type in _TITLE_TOKENS)
            return "".join(word.content or " " for word in words).strip()
    return ""


def _anchors(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "heading_open":
            yield str(token.attrs["id"])


def _redirect_links(
    tokens: Sequence[Token], source: PurePosixPath, sources: Sources
) -> Iterator[Link]:
    """Yield every link of a page, and write its new address into the token it came from."""
    for inline in tokens:
        for token in inline.children or ():
            attribute = _URL_ATTRIBUTES.get(token.type)
            if attribute is None:
                continue
            link = resolve(str(token.attrs[attribute]), source, sources)
            if link is not None:
                token.attrs[attribute] = link.url
                yield link
