"""The descriptor: what a saga yields. Frozen data, checked when it is made.

>>> Http("GET", "http://localhost/users") == Http("GET", "http://localhost/users")
True
>>> Http("GET", "localhost/users")
Traceback (most recent call last):
...
ValueError: Http takes a URL with its scheme and host, was given 'localhost/users'; write ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

_METHOD: Final = re.compile("[A-Za-z][A-Za-z-]*")


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """How many seconds each part of a request may take; ``None`` stands for any time.

    Args:
        connect: until there is a connection to the server.
        read: from one piece of the response to the next, and until the first.
        write: from one piece of the request to the next.
        pool: until one of the client's own connections is free.
    """

    connect: float | None = 5.0
    read: float | None = 5.0
    write: float | None = 5.0
    pool: float | None = None

    def __post_init__(self) -> None:
        for name in ("connect", "read", "write", "pool"):
            _check_seconds(f"HttpTimeouts({name}=...)", getattr(self, name))


@dataclass(frozen=True, slots=True)
class Http:
    """Send an HTTP request. Sends back an ``HttpResponse``, whatever its status.

    No worker waits for the server, and cancelling the saga closes the connection. Thrown at
    the ``yield``: ``HttpTimeout``, ``HttpUnreachable``, ``HttpConnectionLost``, or their base
    ``HttpError`` when the request cannot be sent as it is.

    Args:
        method: ``"GET"``, ``"POST"``, ...
        url: with scheme and host.
        headers: not part of the ``repr``, which ends up in logs, because they hold tokens.
        params: replaces the query of ``url``.
        json: what the body is made of, unless it is ``None``.
        content: the body as it is.
        timeout: for each part of the request; one number, or ``None``, is for all of them.
            How long the whole may take is for Milo to say: ``Timeout(Http(...), 30)``.
        follow_redirects: ask again where the server points to, up to 20 times.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | str | None = None
    timeout: float | HttpTimeouts | None = field(default_factory=HttpTimeouts)
    follow_redirects: bool = False

    def __post_init__(self) -> None:
        if not _is_method(self.method):
            raise ValueError(f"Http takes a method such as 'GET', was given {self.method!r}")
        if not _is_web_address(self.url):
            raise ValueError(
                f"Http takes a URL with its scheme and host, was given {self.url!r}; "
                "write 'https://host/path'"
            )
        for name in ("headers", "params"):
            if not isinstance(getattr(self, name), Mapping):
                raise TypeError(
                    f"Http({name}=...) takes a mapping, was given {getattr(self, name)!r:.200}"
                )
        if self.json is not None and self.content is not None:
            raise ValueError("Http takes json or content, was given both; a request has one body")
        if not isinstance(self.timeout, HttpTimeouts):
            _check_seconds("Http(timeout=...)", self.timeout)

    @property
    def timeouts(self) -> HttpTimeouts:
        """A number for each part of the request."""
        if isinstance(self.timeout, HttpTimeouts):
            return self.timeout
        return HttpTimeouts(*[self.timeout] * 4)


def _is_method(name: object) -> bool:
    return isinstance(name, str) and _METHOD.fullmatch(name) is not None


def _is_web_address(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an IPv6 address without its closing bracket
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _check_seconds(where: str, value: object) -> None:
    if value is not None and not (isinstance(value, int | float) and value > 0):
        raise ValueError(f"{where} takes seconds of more than 0, was given {value!r}")
