"""The descriptor: frozen data that refuses what cannot be meant."""

import pytest

from milo_example_http import Http, HttpTimeouts


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"method": ""}, "a method such as 'GET', was given ''"),
        ({"method": "GET /"}, "a method such as 'GET'"),
        ({"method": None}, "a method such as 'GET', was given None"),
        ({"url": "/path"}, "its scheme and host, was given '/path'"),
        ({"url": "file:///etc/hosts"}, "its scheme and host"),
        ({"url": "http://[::1"}, "its scheme and host"),
        ({"url": b"http://localhost"}, "its scheme and host"),
        ({"json": {}, "content": b""}, "json or content, was given both"),
        ({"timeout": 0}, r"Http\(timeout=...\) takes seconds of more than 0, was given 0"),
        ({"timeout": float("nan")}, "seconds of more than 0"),
        ({"timeout": "5"}, "was given '5'"),
    ],
)
def test_wrong_values_are_refused_where_they_are_written(arguments, problem):
    """Making the effect raises ``ValueError`` that says what was given and what is expected."""
    with pytest.raises(ValueError, match=problem):
        Http(**{"method": "GET", "url": "http://localhost/", **arguments})


@pytest.mark.parametrize("name", ["headers", "params"])
def test_pairs_are_not_a_mapping(name):
    """Headers and parameters are mappings; anything else is a ``TypeError``."""
    with pytest.raises(TypeError, match=rf"Http\({name}=...\) takes a mapping, was given"):
        Http("GET", "http://localhost/", **{name: [("a", "b")]})


def test_a_part_of_the_time_is_checked_too():
    """``HttpTimeouts`` names the part that is wrong."""
    with pytest.raises(ValueError, match=r"HttpTimeouts\(read=...\) takes seconds"):
        HttpTimeouts(read=-1)


@pytest.mark.parametrize(
    ("given", "parts"),
    [(2.5, HttpTimeouts(2.5, 2.5, 2.5, 2.5)), (HttpTimeouts(read=None), HttpTimeouts(read=None))],
)
def test_one_number_stands_for_all_parts(given, parts):
    """``timeout=2.5`` gives each part 2.5 seconds; ``HttpTimeouts`` is taken as it is."""
    assert Http("GET", "http://localhost/", timeout=given).timeouts == parts


def test_effects_compare_by_value_and_keep_their_headers_to_themselves():
    """A saga can be stepped with ``==``; a token in a header does not get into logs."""
    effect = Http("GET", "http://localhost/", headers={"Authorization": "secret"})
    assert effect == Http("GET", "http://localhost/", headers={"Authorization": "secret"})
    assert effect != Http("GET", "http://localhost/")
    assert "secret" not in repr(effect)
