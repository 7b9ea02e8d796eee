"""The graph in the language of Graphviz."""

from __future__ import annotations

from typing import Final

from milo_pipeline.exports._look import LOOKS, label, statuses_of
from milo_pipeline.exports._text import visible
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState

_HEAD = (
    "rankdir=LR;",
    'bgcolor="transparent";',
    'node [shape=box, style="rounded,filled", fillcolor="#f2f2f2", fontname="sans-serif"];',
    'edge [color="#888888"];',
)

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_dot(pipeline: Pipeline, state: PipelineState | None = None) -> str:
    """A ``digraph`` of the phases, in the order of their declaration; to be kept as UTF-8.

    With a ``state``, each has the sign and the colour of its status.

    >>> from milo_pipeline import Phase
    >>> print(to_dot(Pipeline("p", Phase("a", print), Phase("b", print, depends_on=["a"]))))
    digraph pipeline {
        label="p";
    ...
        p0 [label="a"];
        p1 [label="b"];
        p0 -> p1;
    }
    <BLANKLINE>
    """
    plan = pipeline.plan
    statuses = statuses_of(plan, state)
    nodes = [
        f"p{i} [label={_quoted(label(phase.name, status))}{_colours(status)}];"
        for i, (phase, status) in enumerate(zip(plan.phases, statuses, strict=True))
    ]
    edges = [f"p{j} -> p{i};" for i, needed in enumerate(plan.dependencies) for j in needed]
    lines = [f"label={_quoted(pipeline.name)};", *_HEAD, *nodes, *edges]
    return "\n".join(["digraph pipeline {", *(f"    {line}" for line in lines), "}", ""])


def _quoted(text: str) -> str:
    """A label; in one, Graphviz reads backslash escapes, and the entities of HTML as well."""
    plain = visible(text).translate(_ESCAPES)
    return f'"{plain}"'


def _colours(status: str) -> str:
    if not status:
        return ""
    look = LOOKS[status]
    return f', fillcolor="{look.pale}", color="{look.strong}"'
