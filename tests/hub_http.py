"""HTTP that breaks where a test wants it to."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Fault:
    """What goes wrong with the next requests that fit.

    Args:
        method: of the request.
        path: a pattern that its path holds.
        kind: `cut` breaks the connection after half of the body that goes up or down; `silent` takes the request and
            breaks the connection before the answer; `short` sends half a body with the length of that half; `damage`
            sends zeros for the other half; `403` refuses.
        times: how often.
    """

    method: str
    path: str
    kind: str
    times: int = 1


class Answer(Exception):  # noqa: N818 - it is no error
    """Ends the handling of a request."""

    def __init__(self, status: int, body: Any = b"", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers or {}


def refusal(status: int, code: str, message: str) -> Answer:
    """An error as the Hub says it."""
    return Answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})


class FaultyServer(ThreadingHTTPServer):
    """A server on this machine that is told what to do wrong.

    Attributes:
        faults: what goes wrong next.
        before: what happens before a request is answered, by what its path holds.
        requests: method and path of every request so far.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type["FaultyHandler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.faults: list[Fault] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self._listen()

    def _listen(self) -> None:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening, and break what is open."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Be away for a while."""
        self.stop()
        try:
            yield
        finally:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()
            self.server_activate()
            self._listen()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are meant to be; a test sees what the client makes of them."""

    def fault_for(self, method: str, path: str) -> str | None:
        with self.lock:
            for fault in self.faults:
                if fault.method == method and re.search(fault.path, path) and fault.times:
                    fault.times -= 1
                    return fault.kind
        return None


class FaultyHandler(BaseHTTPRequestHandler):
    """Reads requests and sends answers, or breaks the connection."""

    protocol_version = "HTTP/1.1"
    server: Any  # ThreadingHTTPServer's handlers are told of it when they are made

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        """Quiet; `Hub.requests` knows."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _serve(self) -> None:
        self.path, _, _ = self.path.partition("#")
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.server.requests.append(f"{self.command} {unquote(url.path)}")
        for part in [part for part in self.server.before if part in self.path]:
            self.server.before.pop(part)()
        self.fault = self.server.fault_for(self.command, unquote(url.path))
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = self._read(length)
            if self.fault == "403":
                raise refusal(403, "Forbidden", "this link has expired")
            self.answer(url.path, body)
        except Answer as answer:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - as http.server calls them

    def _read(self, length: int) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            return self._read_chunks()
        if self.fault == "cut" and self.command in {"PUT", "POST"}:
            self.rfile.read(length // 2)
            self._break()
        return self.rfile.read(length)

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
            if self.fault == "cut":
                self._break()
        self.rfile.readline()
        return b"".join(chunks)

    def _break(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def _send(self, answer: Answer) -> None:
        if self.fault == "silent":
            self._break()
        body, half = answer.body, len(answer.body) // 2
        if self.fault == "short":
            body = body[:half]
        if self.fault == "damage":
            body = body[:half] + bytes(len(body) - half)
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault == "cut" and self.command == "GET":
            self.wfile.write(body[:half])
            self.wfile.flush()
            self._break()
        self.wfile.write(body)

    def answer(self, path: str, body: bytes) -> None:
        """Answer a request, by raising an `Answer`."""
        raise Answer(501, {"error": f"{self.command} {path} is not spoken here: {len(body)} bytes"})
