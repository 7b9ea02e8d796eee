"""What is thrown into the saga when there is no response."""

import socket

import httpx
import pytest

from milo_example_http import (
    Http,
    HttpConnectionLost,
    HttpError,
    HttpTimeout,
    HttpTimeouts,
    HttpUnreachable,
)


def only(effect):
    return (yield effect)


@pytest.mark.parametrize("timeout", [0.05, HttpTimeouts(read=0.05)])
def test_a_server_that_never_answers_is_a_timeout(server, run, timeout):
    """When the read time is over, the saga gets a ``TimeoutError`` that names the part."""
    effect = Http("GET", server.url("/hang"), timeout=timeout)
    with pytest.raises(HttpTimeout, match=r"GET .*/hang: read took more than 0.05 s") as caught:
        run(only(effect))
    assert caught.value.part == "read"
    assert caught.value.request == effect
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)
    assert server.hung_up.wait(30)


def test_a_saga_goes_on_after_a_timeout(server, run):
    """The error can be caught at the ``yield``, and the next request is answered."""

    def saga():
        try:
            yield Http("GET", server.url("/hang"), timeout=0.05)
        except HttpTimeout:
            return (yield Http("GET", server.url("/echo")))

    assert run(saga()).status == 200


def test_a_refused_connection_is_unreachable(run):
    """A port on which nothing listens gives ``HttpUnreachable``."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(HttpUnreachable, match="ConnectError"):
            run(only(Http("GET", url)))


def test_a_connection_that_ends_early_is_lost(server, run):
    """A server that closes without a word gives ``HttpConnectionLost``."""
    with pytest.raises(HttpConnectionLost, match="RemoteProtocolError: Server disconnected"):
        run(only(Http("GET", server.url("/drop"))))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"json": object()}, "no request can be made of this: TypeError"),
        ({"headers": {"X-Name": "grün\u20ac"}}, "no request can be made of this: Unicode"),
        ({"headers": {"X-Name": "two\nlines"}}, "LocalProtocolError"),
    ],
    ids=["json", "header", "line break"],
)
def test_a_request_that_cannot_be_sent_is_an_error(server, run, arguments, problem):
    """What only httpx can judge is thrown into the saga as ``HttpError``, and nothing is sent."""
    with pytest.raises(HttpError, match=problem):
        run(only(Http("POST", server.url("/echo"), **arguments)))
    assert server.received == []
