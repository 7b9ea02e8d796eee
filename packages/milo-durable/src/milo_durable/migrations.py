"""Migrations with Alembic: how the tables here are written in one."""

from __future__ import annotations

from typing import Any, Literal

from milo_durable.models import JSON_TYPE, UtcDateTime


def render_item(kind: str, item: object, autogen_context: Any) -> str | Literal[False]:
    """Have ``alembic revision --autogenerate`` write plain types, so that migrations run alone.

    For ``env.py``: ``context.configure(..., render_item=render_item)``. Without it migrations
    name classes of this package that they do not import. Other types are left to Alembic.
    """
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and item is JSON_TYPE:
        autogen_context.imports.add("from sqlalchemy.dialects import postgresql")
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False
