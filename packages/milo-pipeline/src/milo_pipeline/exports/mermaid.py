"""The graph in Mermaid, as Markdown on many sites shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from milo_pipeline.exports._look import LOOKS, label, statuses_of
from milo_pipeline.exports._text import visible
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState

# Everything of ASCII that means something to Mermaid or to the HTML it makes, also where
# its preprocessor looks for it: within quotes. A number between # and ; is that sign.
_MEANINGFUL: Final = re.compile(r"[^\w \-.,()/]|_", re.ASCII)


def to_mermaid(pipeline: Pipeline, state: PipelineState | None = None) -> str:
    """A ``flowchart LR`` of the phases, in the order of their declaration.

    With a ``state``, each has the sign and the colour of its status.

    >>> from milo_pipeline import Phase
    >>> print(to_mermaid(Pipeline("p", Phase("a", print), Phase("b", print, depends_on=["a"]))))
    flowchart LR
        p0["a"]
        p1["b"]
        p0 --> p1
    <BLANKLINE>
    """
    plan = pipeline.plan
    statuses = statuses_of(plan, state)
    nodes = [
        f'p{i}["{_quoted(label(phase.name, status))}"]'
        for i, (phase, status) in enumerate(zip(plan.phases, statuses, strict=True))
    ]
    edges = [f"p{j} --> p{i}" for i, needed in enumerate(plan.dependencies) for j in needed]
    lines = [*nodes, *edges, *_classes(statuses)]
    return "\n".join(["flowchart LR", *(f"    {line}" for line in lines), ""])


def _quoted(text: str) -> str:
    return _MEANINGFUL.sub(_entity, visible(text))


def _entity(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};" if found[0].isascii() else found[0]


def _classes(statuses: list[str]) -> list[str]:
    members = defaultdict(list)
    for i, status in enumerate(statuses):
        members[status].append(f"p{i}")
    lines = []
    for status, look in LOOKS.items():
        if status in members:
            lines.append(f"classDef {status} fill:{look.pale},stroke:{look.strong},color:#000")
            lines.append(f"class {','.join(members[status])} {status}")
    return lines
