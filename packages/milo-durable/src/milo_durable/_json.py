"""What JSON holds, in a column of either database."""

from __future__ import annotations

import json
from typing import Any

from milo_durable.errors import SagaDataError

_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def check_json(data: Any, what: str) -> Any:
    """``data`` as it will be read again, if JSON and both databases can hold it.

    Raises:
        SagaDataError: they cannot.
    """
    try:
        text = _encode(data)
        text.encode()  # refuses halves of characters, as PostgreSQL does
        stored = json.loads(text)
    except (TypeError, ValueError, RecursionError) as cause:
        raise SagaDataError(f"{what} cannot be stored as JSON: {cause}") from cause
    if "\\u0000" in text and _has_null(stored):
        raise SagaDataError(f"{what} cannot be stored as JSON: it has a NUL character")
    return stored


def _has_null(data: Any) -> bool:
    """Whether there is a text with a NUL, which PostgreSQL does not take."""
    if isinstance(data, dict):
        return any(_has_null(each) for pair in data.items() for each in pair)
    if isinstance(data, list):
        return any(map(_has_null, data))
    return isinstance(data, str) and "\0" in data
