"""milo-tui: terminal applications around a store.

app            ``App``: keys become actions, states become frames
loop           waiting for keys, changes, signals and the time for a frame
keys, mouse    from bytes to ``Key`` and ``Mouse``
frames         from what a view returns to rows of text
screen         from rows to the least that has to be written
terminal       a terminal that is borrowed and given back
apart          what others print meanwhile
pipeline_app   a pipeline that is run and shown; replaying: one that is over
pipeline_view  what is shown of it; pipeline_picture: the same as data
templates      templates in place of views
testing        an application on a virtual terminal
"""

from typing import TYPE_CHECKING, Any

from milo_tui.errors import AppError, TemplateError, ViewError

if TYPE_CHECKING:
    from milo_tui.app import App
    from milo_tui.frames import Size
    from milo_tui.mouse import Mouse

__version__ = "0.1.0"

__all__ = ["App", "AppError", "Mouse", "Size", "TemplateError", "ViewError"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    homes = {"App": "milo_tui.app", "Mouse": "milo_tui.mouse", "Size": "milo_tui.frames"}
    if name in homes:
        return globals().setdefault(name, getattr(import_module(homes[name]), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
