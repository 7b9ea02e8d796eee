"""The Markdown dialect of the site, and the colours of its code blocks."""

from __future__ import annotations

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_LIGHT, _DARK = "default", "github-dark"


def markdown() -> MarkdownIt:
    """Return a parser and renderer of CommonMark with tables, strikethrough and anchors.

    Headings get the anchors GitHub gives them. Raw HTML is shown as text, never passed
    through, so a page cannot bring a script.
    """
    options = {"html": False, "highlight": _highlight}
    dialect = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    return dialect.use(anchors_plugin, max_level=6).use(front_matter_plugin)


def code_styles() -> str:
    """Return the CSS of highlighted code, for light screens and for dark ones."""
    return f"{_style(_LIGHT)}\n@media (prefers-color-scheme: dark) {{\n{_style(_DARK)}\n}}\n"


def _highlight(code: str, language: str, _attributes: str) -> str:
    """Return ``code`` as coloured HTML; ``""`` lets markdown-it show it as plain text."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def _style(name: str) -> str:
    css: str = HtmlFormatter(style=name).get_style_defs("pre code")  # type: ignore[no-untyped-call]  # untyped in types-pygments
    return css
