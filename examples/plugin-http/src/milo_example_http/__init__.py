"""An ``Http`` effect for Milo's sagas: a sample plugin, complete with its tests.

effect      ``Http`` and ``HttpTimeouts``: what a saga yields
response    ``HttpResponse``: what it is sent back
errors      what is thrown at the ``yield`` when there is no response
_handler    carries the effect out; what the entry point names
_client     the httpx client of an event loop

Importing this package imports no HTTP library. The first saga that yields an ``Http`` makes
Milo look through the entry points of the group ``milo.effects``, and that imports ``_handler``.
"""

from milo_example_http.effect import Http, HttpTimeouts
from milo_example_http.errors import (
    HttpConnectionLost,
    HttpError,
    HttpStatusError,
    HttpTimeout,
    HttpUnreachable,
)
from milo_example_http.response import HttpResponse

__all__ = [
    "Http",
    "HttpConnectionLost",
    "HttpError",
    "HttpResponse",
    "HttpStatusError",
    "HttpTimeout",
    "HttpTimeouts",
    "HttpUnreachable",
]
