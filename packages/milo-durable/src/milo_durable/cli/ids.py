"""Which saga is meant: an id, or how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from milo_durable.errors import SagaDefinitionError, SagaError

if TYPE_CHECKING:
    from milo_durable.admin import SagaAdmin

_MOST_NAMED = 5


class NoSuchSagaError(SagaError):
    """No id begins as was said."""


async def find(admin: SagaAdmin[Any], text: str) -> UUID:
    """The id that ``text`` is, or that alone begins with it.

    Raises:
        ClickException: it is none, or several begin so.
        NoSuchSagaError: none begins so.
    """
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found = await admin.list_sagas(id_prefix=text, limit=_MOST_NAMED + 1)
    except SagaDefinitionError as cause:
        raise click.ClickException(
            f"ID must be a saga's id, or how it begins, such as 3f2a9c1e, not {text!r}"
        ) from cause
    if not found:
        raise NoSuchSagaError(f"there is no saga whose id begins with {text}; see milo saga list")
    if len(found) > 1:
        few = ", ".join(str(each.id) for each in found[:_MOST_NAMED])
        more = " and more" if len(found) > _MOST_NAMED else ""
        raise click.ClickException(f"{text} begins several ids: {few}{more}; give more of it")
    return found[0].id
