"""What a webhook is posted to: a small HTTP server that keeps what it is told, and answers as a test wants it to."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.support.waiting import wait_for

SECRET = "T0/B1/x-secret-token"
HANG = 0  # instead of a status: the connection stays open, and nothing is said

Document = dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """`answers` are the statuses of the next requests, 200 after that; `taken` are the documents answered with 200."""

    port: int = 0
    is_tls: bool = False
    answers: list[int] = field(default_factory=list)
    asked: list[Document] = field(default_factory=list)
    taken: list[Document] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    ends: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}/services/{SECRET}?thread=1"

    def told(self, number: int, within: float = 30.0) -> list[Document]:
        """The documents that it took, once there are so many."""
        wait_for(lambda: len(self.taken) >= number, f"{number} messages, of {self.states()}", within=within)
        return self.taken

    def states(self) -> list[tuple[str, str]]:
        """Of what it took, in order: event and state."""
        return [(document["event"], document["state"]) for document in self.taken]


@contextmanager
def receiver(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """A receiver on a port of its own; with a certificate and its key it speaks TLS."""
    state = Receiver(is_tls=certificate is not None)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.heads.append({"path": self.path, **self.headers})
            state.asked.append(body)
            status = state.answers.pop(0) if state.answers else 200
            if status == HANG:
                state.ends.wait(60)
                return
            if status == 200:
                state.taken.append(body)
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{state.port}/elsewhere")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """What was received is kept, and not printed."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # whoever asked has hung up

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.ends.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
