"""What goes wrong with a request.

    EffectError (of milo-effects)
    ├── HttpError                 there is no response: it cannot be sent, or not be read
    │   ├── HttpTimeout           a part of it took too long; a TimeoutError too
    │   ├── HttpUnreachable       no connection could be made
    │   └── HttpConnectionLost    the connection ended early, and the server may have acted
    └── HttpStatusError           a response of 400 or above, when the saga asked

What httpx raised is chained as the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from milo_effects import EffectError

if TYPE_CHECKING:
    from milo_example_http.effect import Http
    from milo_example_http.response import HttpResponse


class HttpError(EffectError):
    """There is no response to ``request``."""

    def __init__(self, request: Http, problem: str) -> None:
        self.request = request
        super().__init__(f"{request.method} {request.url}: {problem}")


class HttpTimeout(HttpError, TimeoutError):
    """``part`` of the request, a name in ``HttpTimeouts``, took more than its seconds."""

    def __init__(self, request: Http, part: str) -> None:
        self.part = part
        seconds = getattr(request.timeouts, part)
        super().__init__(
            request, f"{part} took more than {seconds} s; HttpTimeouts({part}=...) gives it more"
        )


class HttpUnreachable(HttpError):
    """No connection to the server could be made."""


class HttpConnectionLost(HttpError):
    """The connection ended before the response did, so the server may or may not have acted."""


class HttpStatusError(EffectError):
    """The server answered, with a status that reports an error."""

    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        super().__init__(
            f"{response.url} answered {response.status}: {response.text[:200].strip() or 'nothing'}"
        )
