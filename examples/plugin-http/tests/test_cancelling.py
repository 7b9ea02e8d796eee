"""Whoever stops waiting hangs up."""

import pytest

from milo_core import Action
from milo_effects import Race, SagaCancelled, Take, Timeout
from milo_example_http import Http


def only(effect):
    return (yield effect)


def test_cancelling_the_saga_closes_the_connection(server, store):
    """The server sees the end of the connection, and the saga is cancelled."""
    task = store.run_saga(only(Http("GET", server.url("/hang"), timeout=None)))
    assert server.arrived.wait(30)
    task.cancel()
    assert server.hung_up.wait(30)
    with pytest.raises(SagaCancelled):
        task.result(30)


def test_a_lost_race_closes_the_connection(server, store):
    """When the other saga of a ``Race`` is first, the request ends with it."""
    hanging = Http("GET", server.url("/hang"), timeout=None)
    task = store.run_saga(only(Race((hanging, Take("STOP")))))
    assert server.arrived.wait(30)
    store.dispatch(Action("STOP"))
    assert task.result(30).type == "STOP"
    assert server.hung_up.wait(30)


def test_timeout_bounds_the_whole_request(server, run):
    """``Timeout`` around the effect ends it, whatever the parts may take."""
    with pytest.raises(TimeoutError, match=r"timed out after 0.1s"):
        run(only(Timeout(Http("GET", server.url("/hang"), timeout=None), 0.1)))
    if server.arrived.is_set():  # on a busy machine the time may be over before that
        assert server.hung_up.wait(30)


def test_shutting_down_the_store_closes_the_connection(server, store):
    """``shutdown`` cancels what is under way and returns when it has ended."""
    task = store.run_saga(only(Http("GET", server.url("/hang"), timeout=None)))
    assert server.arrived.wait(30)
    store.shutdown()
    assert task.done()
    assert server.all_closed()
