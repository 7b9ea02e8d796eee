"""The handler: what the entry point ``http`` of the group ``milo.effects`` names.

It is made of effects that Milo has: a saga of one step runs in the place of the one that
yielded ``Http``, and its ``Call`` of an ``async def`` runs on the runtime's event loop. So
parking, cancellation and errors are Milo's, and here is only what is about HTTP.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Final

import httpx

from milo_core.runtime import StorePort
from milo_effects import Call, EffectResult, SagaTask, handles
from milo_effects.children import delegate
from milo_example_http._client import client_of_this_loop
from milo_example_http.effect import Http
from milo_example_http.errors import HttpConnectionLost, HttpError, HttpTimeout, HttpUnreachable
from milo_example_http.response import HttpResponse

PARTS: Final[dict[type[httpx.TimeoutException], str]] = {
    httpx.ConnectTimeout: "connect",
    httpx.ReadTimeout: "read",
    httpx.WriteTimeout: "write",
    httpx.PoolTimeout: "pool",
}


@handles(Http)
def http(effect: Http, context: SagaTask, store: StorePort) -> EffectResult:
    """Send the request from the event loop; the saga parks."""
    return delegate(context, _sending(effect))


def _sending(effect: Http) -> Generator[Call, HttpResponse, HttpResponse]:
    return (yield Call(send, (effect,)))


async def send(effect: Http) -> HttpResponse:
    """The response to ``effect``, read to its end.

    Raises:
        HttpError: there is none.
    """
    client = await client_of_this_loop()
    request = _request(client, effect)
    try:
        response = await client.send(request, follow_redirects=effect.follow_redirects)
    except httpx.TimeoutException as cause:
        raise HttpTimeout(effect, PARTS[type(cause)]) from cause
    except httpx.HTTPError as cause:
        raise _kind(cause)(effect, _words(cause)) from cause
    return HttpResponse(
        response.status_code,
        dict(response.headers),
        response.content,
        str(response.url),
        response.encoding or "utf-8",
    )


def _request(client: httpx.AsyncClient, effect: Http) -> httpx.Request:
    try:
        return client.build_request(
            effect.method,
            effect.url,
            headers=effect.headers,
            params=effect.params or None,  # an empty mapping would take the query from the URL
            json=effect.json,
            content=effect.content,
            timeout=httpx.Timeout(**asdict(effect.timeouts)),
        )
    except (TypeError, ValueError, httpx.InvalidURL) as cause:
        raise HttpError(effect, f"no request can be made of this: {_words(cause)}") from cause


def _kind(error: httpx.HTTPError) -> type[HttpError]:
    if isinstance(error, httpx.ConnectError):
        return HttpUnreachable
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return HttpConnectionLost
    return HttpError


def _words(error: Exception) -> str:
    """What an error says, and its name, for some say nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
