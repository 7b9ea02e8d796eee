"""Templates in place of views: kida renders them, on Python 3.14 and later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from milo_tui.errors import TemplateError
from milo_tui.frames import Size
from milo_tui.pipeline_view import pipeline_view

PIPELINE: Final = "pipeline.kida"
OURS: Final = Path(__file__).with_name("kida")


def template_view(name: str, folder: str | os.PathLike[str] | None) -> Callable[[Any, Size], Any]:
    """The view that template ``name`` is; looked for in ``folder`` first, then among ours.

    Raises:
        TemplateError: it is not there, or kida is not and it is not ``pipeline.kida``.
    """
    if name == PIPELINE and folder is None:
        return pipeline_view
    raise TemplateError(f"no template {name!r}")
