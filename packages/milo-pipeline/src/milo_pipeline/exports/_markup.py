"""The few pieces of HTML that the parts of a report are put together from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from milo_pipeline.exports._look import LOOKS
from milo_pipeline.exports._text import counted, markup, shortened
from milo_pipeline.phase_status import PhaseStatus

_MOST_OF_A_NAME: Final = 200


def section(title: str, body: str) -> str:
    """``body``, which is markup, under a heading."""
    return f"<section><h2>{title}</h2>\n{body}\n</section>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of text, in which all columns but the first hold numbers.

    >>> table(("phase", "took"), [("<parse>", "1 s")]).partition("<tbody>")[2]
    '<tr><td>&lt;parse&gt;</td><td class="number">1 s</td></tr></tbody></table>'
    """
    body = "".join(_cells(row, "td") for row in rows)
    return f"<table><thead>{_cells(head, 'th')}</thead><tbody>{body}</tbody></table>"


def more(number: int, noun: str) -> str:
    """A note that as many are left out; nothing where none is."""
    return f'<p class="faint">{counted(number, noun)} left out.</p>' if number > 0 else ""


def sign(status: str) -> str:
    """The status as a sign, and its word for those who hear the page."""
    return (
        f'<span class="sign {status}" role="img" title="{status}" aria-label="{status}">'
        f"{LOOKS[status].sign}</span>"
    )


def named(name: str) -> str:
    """A phase's name as markup; of one that is no name any more, the beginning."""
    return markup(shortened(name, _MOST_OF_A_NAME))


def from_source(phase: PhaseStatus) -> str:
    """Where the phase's result came from, which its handler did not make in this run."""
    return f"from {named(phase.source)}"


def filtered(phase: PhaseStatus) -> str:
    """The attributes that the page's filter goes by."""
    return f'data-name="{named(phase.name)}" data-status="{phase.status}"'


def _cells(row: Sequence[str], kind: str) -> str:
    first, *numbers = map(named, row)
    rest = "".join(f'<{kind} class="number">{each}</{kind}>' for each in numbers)
    return f"<tr><{kind}>{first}</{kind}>{rest}</tr>"
