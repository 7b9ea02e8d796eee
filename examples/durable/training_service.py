"""The other side of http_and_queue.py: an HTTP service that takes jobs, and a queue it answers on.

Neither knows anything of sagas. As real queues do, this one hands each message out twice.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Any
from uuid import uuid4


class TrainingService:
    """Listens on a free port of this machine from ``with`` to the end of the block."""

    def __init__(self) -> None:
        self._jobs: dict[str, int] = {}
        self._queue: Queue[dict[str, Any]] = Queue()
        service = self

        class Handler(BaseHTTPRequestHandler):
            """Takes jobs at ``POST /jobs``."""

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                json.loads(self.rfile.read(length))
                number = service._take(self.headers["Idempotency-Key"])
                answer = json.dumps({"number": number}).encode()
                self.send_response(202)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                print("service:", format % args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def receive(self) -> list[dict[str, Any]]:
        """The next message of the queue, twice; waits until there is one."""
        message = self._queue.get(timeout=60)
        return [message, message]

    def _take(self, job_id: str) -> int:
        """The number of the job, which is trained at once, and once however often it comes."""
        if job_id not in self._jobs:
            self._jobs[job_id] = len(self._jobs) + 1
            self._queue.put(
                {
                    "event_id": str(uuid4()),
                    "event_type": "training.finished",
                    "correlation_id": job_id,
                    "payload": {"loss": 0.125},
                }
            )
        return self._jobs[job_id]

    def __enter__(self) -> TrainingService:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
