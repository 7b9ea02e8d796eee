"""Serving over HTTP: on the loopback only, unless there is a token and a host is named."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings

PATH: Final = "/mcp"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_GRACE: Final = 1
"""Seconds that open streams have to end in, when the server is told to."""

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Listener:
    """A socket, bound at once, and the HTTP server on it.

    Requests whose ``Host`` or ``Origin`` is another are refused (421 and 403), so that no web
    page can reach it by a name of its own; with a token, those without it are, too (401). On all
    addresses of a machine (``0.0.0.0``) it has names that nobody here knows, so there the token
    alone decides.

    Args:
        server: what answers.
        port: 0 for one that is free.
        host: an address of this machine.
        token: what clients send as ``Authorization: Bearer TOKEN``.

    Raises:
        ValueError: ``host`` can be reached from outside, and there is no token; or the token
            is empty or has other characters than ASCII's.
        OSError: the address cannot be had.
    """

    def __init__(
        self,
        server: Server[Any],
        port: int,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
    ) -> None:
        if token is not None and not (token and token.isascii() and token.isprintable()):
            raise ValueError("token must be ASCII text without control characters, and not empty")
        if token is None and not _is_loopback(host):
            raise ValueError(
                f"host {host!r} can be reached from other machines; give a token, or leave the "
                "host out"
            )
        self._socket = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        self.port: int = self._socket.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self.port}{PATH}"
        """Where clients find it."""
        names = dict.fromkeys((*_LOOPBACK, name))
        app: App = server.streamable_http_app(
            streamable_http_path=PATH,
            transport_security=TransportSecuritySettings(
                enable_dns_rebinding_protection=not _is_every_address(host),
                allowed_hosts=[f"{each}:*" for each in names],
                allowed_origins=[f"http://{each}:*" for each in names],
            ),
        )
        config = uvicorn.Config(
            app if token is None else _guarded(app, token),
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        self._uvicorn = uvicorn.Server(config)

    async def serve(self) -> None:
        """Answer until ``stop``, or a SIGINT or SIGTERM where this is the main thread."""
        await self._uvicorn.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Have ``serve`` return; from any thread."""
        self._uvicorn.should_exit = True


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_every_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _guarded(app: App, token: str) -> App:
    """``app`` for those who know ``token``."""
    expected = f"bearer {token}".encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        kind, _, value = given.partition(b" ")
        if scope["type"] != "http" or hmac.compare_digest(kind.lower() + b" " + value, expected):
            await app(scope, receive, send)
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        body = b"This server takes a token: send the header Authorization: Bearer TOKEN\n"
        await send({"type": "http.response.body", "body": body})

    return guarded
