"""What comes back: plain frozen data that outlives the connection.

>>> response = HttpResponse(200, {"content-type": "application/json"}, b'{"name": "Ada"}', "...")
>>> response.json()
{'name': 'Ada'}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from milo_example_http.errors import HttpStatusError


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the server answered.

    Args:
        status: such as 200.
        headers: by lower-case name; the values of a repeated one are joined by commas.
        content: the body, decompressed.
        url: where it came from, after redirects.
        encoding: how ``text`` reads the body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str
    encoding: str = "utf-8"

    @property
    def text(self) -> str:
        """The body as text; what cannot be decoded is replaced."""
        return self.content.decode(self.encoding, errors="replace")

    def json(self) -> Any:
        """What the body says in JSON.

        Raises:
            ValueError: it is no JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as cause:
            raise ValueError(
                f"{self.url} answered {self.status} with a body that is no JSON and begins with "
                f"{self.content[:80]!r}"
            ) from cause

    def raise_for_status(self) -> HttpResponse:
        """This response, unless the server reports an error.

        Raises:
            HttpStatusError: the status is 400 or above.
        """
        if self.status >= 400:
            raise HttpStatusError(self)
        return self
