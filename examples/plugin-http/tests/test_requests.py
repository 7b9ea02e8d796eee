"""What is sent, and what comes back."""

import json

import pytest

from milo_effects import All
from milo_example_http import Http, HttpResponse, HttpStatusError


def only(effect):
    return (yield effect)


def test_json_goes_and_comes(server, run):
    """``json=`` becomes the body with its content type, and ``.json()`` reads the answer."""
    response = run(only(Http("POST", server.url("/echo"), json={"name": "Ada", "tags": [1, None]})))
    told = response.json()
    assert json.loads(told["body"]) == {"name": "Ada", "tags": [1, None]}
    assert told["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize("content", ["grün", "grün".encode()])
def test_content_is_sent_as_it_is(server, run, content):
    """``content=`` is the body; text is sent in UTF-8."""
    run(only(Http("POST", server.url("/echo"), content=content)))
    assert server.received[0].body == "grün".encode()


def test_method_headers_and_params_are_sent(server, run):
    """The server sees the method, the headers and the parameters that the effect names."""
    run(only(Http("DELETE", server.url("/echo"), headers={"X-Of": "mine"}, params={"q": "a b"})))
    (received,) = server.received
    assert (received.method, received.path) == ("DELETE", "/echo?q=a+b")
    assert received.headers["x-of"] == "mine"


def test_without_params_the_url_keeps_its_query(server, run):
    """A query that is part of the URL arrives."""
    run(only(Http("GET", server.url("/echo?a=1"))))
    assert server.received[0].path == "/echo?a=1"


def test_a_response_is_plain_data(server, run):
    """Status, lower-case headers, body and address are there after the connection is gone."""
    response = run(only(Http("GET", server.url("/latin"))))
    assert (response.status, response.url) == (200, server.url("/latin"))
    assert response.headers["content-type"] == "text/plain; charset=latin-1"
    assert (response.content, response.text) == (b"n\xe9", "né")


def test_a_bad_status_is_a_response_until_asked(server, run):
    """A 404 comes back like any response; ``raise_for_status`` makes an error of it."""
    response = run(only(Http("GET", server.url("/nowhere"))))
    assert response.status == 404
    with pytest.raises(HttpStatusError, match="answered 404: no such page") as caught:
        response.raise_for_status()
    assert caught.value.response is response


def test_a_good_status_is_passed_on():
    """``raise_for_status`` returns the response, so that it can be written in one line."""
    response = HttpResponse(204, {}, b"", "http://localhost/")
    assert response.raise_for_status() is response


def test_a_body_that_is_no_json_says_where_it_came_from(server, run):
    """``.json()`` of something else names the address and shows how the body begins."""
    response = run(only(Http("GET", server.url("/nowhere"))))
    with pytest.raises(ValueError, match=r"/nowhere answered 404 .* begins with b'no such page'"):
        response.json()


@pytest.mark.parametrize(
    ("follow", "status", "path"), [(False, 302, "/moved"), (True, 200, "/echo")]
)
def test_redirects_are_followed_on_request(server, run, follow, status, path):
    """A redirect is a response of its own unless ``follow_redirects`` is set."""
    response = run(only(Http("GET", server.url("/moved"), follow_redirects=follow)))
    assert (response.status, response.url) == (status, server.url(path))


def test_cookies_of_one_request_do_not_reach_the_next(server, run):
    """A server's cookie is a header of the response and nothing that later requests send."""

    def saga():
        first = yield Http("GET", server.url("/cookie"))
        yield Http("GET", server.url("/echo"))
        return first

    assert run(saga()).headers["set-cookie"] == "name=value"
    assert "cookie" not in server.received[1].headers


def test_fifty_requests_wait_at_once_on_two_workers(server, run):
    """The server answers none of fifty requests until all have come; two workers suffice."""
    responses = run(only(All(tuple(Http("GET", server.url("/meet")) for _ in range(50)))))
    assert [response.text for response in responses] == ["all here"] * 50
