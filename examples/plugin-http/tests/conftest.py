"""A real server on this machine, and a store."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from milo_core import Action, Store

DEADLINE = 30.0
"""Seconds that only a hang exceeds."""


class Received(NamedTuple):
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers on 127.0.0.1; what it does depends on the path.

    Attributes:
        arrived: set when a request for ``/hang`` has come, which is never answered.
        hung_up: set when the client has closed the connection of such a request.
        meeting: where 50 requests for ``/meet`` wait for each other.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.arrived = threading.Event()
        self.hung_up = threading.Event()
        self.meeting = threading.Barrier(50, timeout=DEADLINE)
        self._changed = threading.Condition()
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._http = _Listening(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}{path}"

    def connection_opened(self, connection: socket.socket) -> None:
        with self._changed:
            self.connections += 1
            self._open.add(connection)

    def connection_closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.remove(connection)
            self._changed.notify_all()

    def all_closed(self) -> bool:
        """Whether the clients have closed every connection, waiting for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, DEADLINE)

    def close(self) -> None:
        """End every connection that is left, and every thread."""
        self._http.shutdown()
        self._thread.join()
        self.meeting.abort()
        with self._changed:
            for connection in self._open:
                with suppress(OSError):  # the client may be just ahead of us
                    connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()


class _Listening(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for all of them
    request_queue_size = 100

    def __init__(self, state: Server) -> None:
        self.state = state
        super().__init__(("127.0.0.1", 0), _Answering)


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.state.connection_opened(self.connection)

    def finish(self) -> None:
        super().finish()
        self.server.state.connection_closed(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def __getattr__(self, name: str) -> Any:
        """One answer to every method; the base class looks for ``do_GET`` and the like."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self) -> None:
        state: Server = self.server.state
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        state.received.append(Received(self.command, self.path, headers, body))
        match self.path.partition("?")[0]:
            case "/echo":
                told = {"method": self.command, "headers": headers, "body": body.decode()}
                self.reply(200, json.dumps(told).encode(), "application/json")
            case "/hang":
                state.arrived.set()
                if self.connection.recv(1) == b"":
                    state.hung_up.set()
                self.close_connection = True
            case "/drop":
                self.close_connection = True
            case "/meet":
                state.meeting.wait()
                self.reply(200, b"all here")
            case "/latin":
                self.reply(200, "né".encode("latin-1"), "text/plain; charset=latin-1")
            case "/cookie":
                self.reply(200, b"", set_cookie="name=value")
            case "/moved":
                self.reply(302, b"", location="/echo")
            case _:
                self.reply(404, b"no such page")

    def reply(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go to this machine, whatever proxy its user has set."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def store(server: Server) -> Iterator[Store[Any]]:
    """Two workers; the store is shut down before the server."""

    def reducer(state: Any, action: Action) -> Any:
        return state

    with Store(reducer, None, max_workers=2) as running:
        yield running


@pytest.fixture
def run(store: Store[Any]) -> Any:
    """Runs a saga to its end and returns its result."""
    return lambda saga: store.run_saga(saga).result(DEADLINE)
