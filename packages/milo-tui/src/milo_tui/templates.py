"""Templates in place of views: kida renders them, on Python 3.14 and later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from milo_pipeline import PipelineState, PipelineViewState
from milo_tui.errors import TemplateError
from milo_tui.frames import Size
from milo_tui.pipeline_picture import picture_of
from milo_tui.pipeline_view import pipeline_view

PIPELINE: Final = "pipeline.kida"
OURS: Final = Path(__file__).with_name("kida")
NEEDED: Final = "kida-templates>=0.12"


def template_view(name: str, folder: str | os.PathLike[str] | None) -> Callable[[Any, Size], Any]:
    """The view that template ``name`` is; looked for in ``folder`` first, then among ours.

    A template is given ``state`` and ``size``; of a pipeline also ``picture``, all that is shown of
    it. Without kida, ``pipeline.kida`` is the view of the same name.

    Raises:
        TemplateError: it is not there or has a mistake, or kida is not installed.
    """
    try:
        import kida
    except ImportError as missing:
        if name == PIPELINE and folder is None:
            return pipeline_view
        raise TemplateError(
            f"template {name!r} needs kida, which cannot be imported ({missing}); install it, on "
            f"Python 3.14 or later, with: pip install '{NEEDED}', or give App a view"
        ) from missing
    if folder is not None and not Path(folder).is_dir():
        raise TemplateError(f"there is no folder {str(folder)!r} to look for templates in")
    folders = [str(each) for each in (folder, OURS) if each is not None]
    environment = kida.Environment(
        loader=kida.FileSystemLoader(folders),
        autoescape="terminal",
        terminal_color="256",
        bytecode_cache=False,  # it would write into those folders
    )
    try:
        template = environment.get_template(name)
    except kida.TemplateNotFoundError as missing:
        files = (path for each in folders for path in Path(each).iterdir() if path.is_file())
        there = ", ".join(sorted({path.name for path in files}))
        raise TemplateError(
            f"there is no template {name!r} in {' or '.join(folders)}; there are: {there or 'none'}"
        ) from missing
    except kida.TemplateError as mistake:
        raise TemplateError(_told(name, mistake)) from mistake

    def view(state: Any, size: Size) -> Text:
        try:
            rendered = template.render(state=state, size=size, picture=_picture(state, size))
        except kida.TemplateError as mistake:
            raise TemplateError(_told(name, mistake)) from mistake
        return Text.from_ansi(rendered, no_wrap=True, overflow="crop")

    return view


def _picture(state: Any, size: Size) -> Any:
    if isinstance(state, PipelineState):
        state = PipelineViewState(state)
    if isinstance(state, PipelineViewState):
        return picture_of(state, size, time.monotonic())
    return None


def _told(name: str, mistake: Any) -> str:
    """File, line, and the first thing that kida says."""
    line = getattr(mistake, "lineno", None)
    message = getattr(mistake, "message", None) or str(mistake).strip().splitlines()[0]
    return f"template {name}{'' if line is None else f', line {line}'}: {message}"
