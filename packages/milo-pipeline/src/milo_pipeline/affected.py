"""From files that have changed to the phases that read them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from milo_pipeline.patterns import PathPattern
from milo_pipeline.pipeline import Pipeline


def affected_by(
    pipeline: Pipeline,
    changed: Iterable[str | os.PathLike[str]],
    *,
    root: str | os.PathLike[str] = ".",
) -> frozenset[str]:
    """The names of the phases that declare one of the files ``changed`` as an input.

    Files and inputs are relative to ``root``. A file counts by its name, so it may be deleted
    or new. Phases that wait for these are not among them; ``Pipeline.run(changed=...)`` runs
    those too.

    >>> from milo_pipeline import Cache, Phase
    >>> reads_pages = Cache(inputs=["pages/*.md"])
    >>> site = Pipeline("site", Phase("render", print, cache=reads_pages), Phase("tidy", print))
    >>> affected_by(site, ["pages/about.md", "README.md"])
    frozenset({'render'})
    """
    files = [os.path.join(root, path) for path in changed]

    def reads_any(path: str) -> bool:
        return any(map(PathPattern(path, root).meets, files))

    return frozenset(
        phase.name
        for phase in pipeline.phases
        if phase.cache is not None and any(map(reads_any, phase.cache.inputs))
    )
