"""SQL that the two databases write differently: JSON in place, fresh tokens, waking workers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from milo_durable.models import JSON_TYPE


class json_append(FunctionElement[Any]):  # noqa: N801  # reads as the SQL function it becomes
    """``json_append(array, element)``: the array with one element more."""

    type = JSON_TYPE
    inherit_cache = True


class json_put(FunctionElement[Any]):  # noqa: N801  # as above
    """``json_put(object, outer, key, value)``: the object with ``object[outer][key] = value``."""

    type = JSON_TYPE
    inherit_cache = True


class fresh_token(FunctionElement[UUID]):  # noqa: N801  # as above
    """A new token for each row."""

    type = Uuid()
    inherit_cache = True


class wake(FunctionElement[Any]):  # noqa: N801  # as above
    """``wake(channel)``: whoever listens on the channel hears of it when this is committed."""

    inherit_cache = True


def _parts(element: FunctionElement[Any], compiler: Any, **kw: Any) -> list[str]:
    clauses: list[ColumnElement[Any]] = list(element.clauses)
    return [compiler.process(each, **kw) for each in clauses]


@compiles(json_append, "sqlite")
def _append_sqlite(element: json_append, compiler: Any, **kw: Any) -> str:
    array, item = _parts(element, compiler, **kw)
    return f"json_insert({array}, '$[#]', json({item}))"


@compiles(json_append, "postgresql")
def _append_postgresql(element: json_append, compiler: Any, **kw: Any) -> str:
    array, item = _parts(element, compiler, **kw)
    return f"({array} || jsonb_build_array({item}))"


@compiles(json_put, "sqlite")
def _put_sqlite(element: json_put, compiler: Any, **kw: Any) -> str:
    target, outer, key, value = _parts(element, compiler, **kw)
    path = f"""'$."' || {outer} || '"."' || {key} || '"'"""
    return f"json_set({target}, {path}, json({value}))"


@compiles(json_put, "postgresql")
def _put_postgresql(element: json_put, compiler: Any, **kw: Any) -> str:
    target, outer, key, value = _parts(element, compiler, **kw)
    return f"jsonb_set({target}, ARRAY[{outer}, {key}]::text[], {value})"


@compiles(fresh_token, "sqlite")
def _token_sqlite(element: fresh_token, compiler: Any, **kw: Any) -> str:
    return "lower(hex(randomblob(16)))"


@compiles(fresh_token, "postgresql")
def _token_postgresql(element: fresh_token, compiler: Any, **kw: Any) -> str:
    return "gen_random_uuid()"


@compiles(wake, "sqlite")
def _wake_sqlite(element: wake, compiler: Any, **kw: Any) -> str:
    return "NULL"  # nobody can be told; workers look again by themselves


@compiles(wake, "postgresql")
def _wake_postgresql(element: wake, compiler: Any, **kw: Any) -> str:
    (channel,) = _parts(element, compiler, **kw)
    return f"pg_notify({channel}, '')"
