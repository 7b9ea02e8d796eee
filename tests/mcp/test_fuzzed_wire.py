"""Whatever a client writes to the wire, the server goes on and answers the next request."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATIENCE = 30
SERVED = Path(__file__).with_name("served.py")
METHODS = [
    *("initialize", "notifications/initialized", "ping", "server/discover"),
    *("resources/list", "resources/read", "resources/subscribe", "resources/unsubscribe"),
    *("resources/templates/list", "subscriptions/listen", "notifications/cancelled"),
    *("tools/list", "tools/call", "no/such/method", ""),
]
URIS = [
    "milo://pipeline/timeline",
    "milo://pipeline/run-1/timeline",
    "milo://pipeline/run-1/phases/wait/logs?cursor=0",
    "milo://pipeline/run-1/phases/wait/logs?cursor=99999999999999999999",
    "milo://pipeline/%ff/timeline",
    "http://[",
    "",
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
params = (
    values
    | st.builds(lambda uri: {"uri": uri}, st.sampled_from(URIS) | values)
    | st.builds(
        lambda uris: {"notifications": {"resourceSubscriptions": uris}},
        st.lists(st.sampled_from(URIS), max_size=3) | values,
    )
)
messages = st.builds(
    lambda base, extra: {**base, **extra},
    st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.just("2.0") | values,
            "id": st.integers(0, 50) | st.text(max_size=5) | values,
            "method": st.sampled_from(METHODS) | values,
            "params": params,
            "result": values,
            "error": values,
        },
    ),
    st.just({}) | st.dictionaries(st.text(max_size=8), values, max_size=2),
)
lines = (
    messages.map(json.dumps)
    | values.map(json.dumps)
    | st.text(max_size=60).map(lambda text: text.replace("\n", " "))
)


class Wire:
    """A server process, and its answers as they come."""

    def __init__(self, gate):
        self._process = subprocess.Popen(
            [sys.executable, str(SERVED), str(gate), "captured"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._pings = 0
        self._answers = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write(self, line):
        self._process.stdin.write(line.encode("utf-8", "replace") + b"\n")
        self._process.stdin.flush()

    def still_answers(self):
        """Whether a ping, whose id no other message has, is answered."""
        self._pings += 1
        wanted = f"our ping {self._pings}"
        self.write(json.dumps({"jsonrpc": "2.0", "id": wanted, "method": "ping", "params": {}}))
        while True:
            answer = self._answers.get(timeout=PATIENCE)
            if answer.get("id") == wanted:
                return True

    def close(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(json.loads(line))  # nothing else may stand on the wire


@pytest.mark.parametrize("opening", ["handshake", "nothing"])
def test_no_message_ends_the_server(opening, tmp_path):
    """1,000 lines of all kinds, from JSON-RPC that is nearly right to no JSON at all."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wire = Wire(gate)
    if opening == "handshake":
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "fuzz", "version": "1"},
        }
        wire.write(
            json.dumps({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello})
        )
        wire.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    try:

        @settings(
            max_examples=100,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(lines, min_size=10, max_size=10))
        def no_lines_do(sent):
            for line in sent:
                wire.write(line)
            assert wire.still_answers()

        no_lines_do()
    finally:
        wire.close()
