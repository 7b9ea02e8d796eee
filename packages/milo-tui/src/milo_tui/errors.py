"""What can go wrong with an application.

MiloError
  AppError        it is not what it should be
    TemplateError its template is missing, needs kida, or cannot be rendered
  ViewError       its view has raised; the cause says what
"""

from __future__ import annotations

from milo_core.errors import MiloError


class AppError(MiloError):
    """An ``App`` that cannot be made or run; says what was given and what to do."""


class TemplateError(AppError):
    """A template that is not there, or cannot be rendered; names the file and the line."""


class ViewError(MiloError):
    """A view has raised. The terminal is as it was; the cause is what the view raised."""
