"""A server of `nlp_inference.serving` on a free port of this machine, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette

from nlp_inference.serving.server import Server


@contextmanager
def running(app: Starlette, *, wait: bool = True, **options: Any) -> Iterator[str]:
    """Serve an application, and yield its URL when it is ready or has failed; without `wait`, when it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(app, port=port, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    models = server.service.models
    until = time.monotonic() + 60
    while not (server.started and (not wait or models.ready or models.failures)) and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()
