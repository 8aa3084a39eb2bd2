"""Running the application with uvicorn: start, readiness, draining."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from nlp_inference.serving.service import Service

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 0.01
_SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """A server that refuses requests while it stops, completes those it accepted, and exits if no model loads.

    Args:
        app: the application; see `create_app`.
        host, port: the address; port 0 chooses a free one.
        shutdown_delay: seconds between the signal and the closing of the port, in which `/readyz` gives 503, so that a
            load balancer stops sending requests.
        shutdown_timeout: seconds in which accepted requests must be completed.
        max_connections: connections above this number get status 503.
        settled: is called when the models are ready, and after each replacement of a model.

    Attributes:
        failure: the error of a model that cannot be loaded.
    """

    def __init__(
        self,
        app: Starlette,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        shutdown_delay: float = 0.0,
        shutdown_timeout: float = 60.0,
        max_connections: int = 1000,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            access_log=False,
            log_config=None,
            server_header=False,
            limit_concurrency=max_connections,
            timeout_graceful_shutdown=int(shutdown_timeout),
            lifespan="on",
        )
        super().__init__(config)
        self.service: Service = app.state.service
        self.failure: Exception | None = None
        self._shutdown_delay = shutdown_delay
        self._settled = self.service.models.replaced = settled

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, and stop at once on the second."""
        if self.service.draining or not self._shutdown_delay:
            self.service.draining = True
            super().handle_exit(sig, frame)
            return
        self.service.draining = True
        self._captured_signals.append(sig)
        asyncio.get_event_loop().call_later(self._shutdown_delay, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    async def main_loop(self) -> None:
        """Serve until a signal, or until a model cannot be loaded."""
        watching = asyncio.ensure_future(self._watch())
        try:
            await super().main_loop()
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        models = self.service.models
        while not models.ready:
            if models.failures:
                self.failure = next(iter(models.failures.values()))
                self.should_exit = True
                return
            await asyncio.sleep(_POLL_SECONDS)
        self._settled()
        _LOGGER.info("ready")


def share_interpreter() -> None:
    """Let threads take turns every half millisecond, and tokenize in the thread that encodes.

    A worker that returns from the model, and the event loop, need the interpreter for a moment. With the usual interval
    of 5 ms they wait that long for a thread that encodes or decodes, after every window. Threads of the tokenizer would
    compete with the workers for the same cores.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def reload_on_hangup(service: Service) -> None:
    """Load every model again on SIGHUP, where the system has this signal. Call it in the main thread."""
    if sys.platform == "win32":
        return

    def reload(_: int, __: FrameType | None) -> None:
        threading.Thread(target=_reload_all, args=[service], name="nlp-reload", daemon=True).start()

    signal.signal(signal.SIGHUP, reload)


def _reload_all(service: Service) -> None:
    for model in service.models.served():
        if model.source is not None:
            try:
                service.models.reload(model.name)
            except Exception as error:  # noqa: BLE001 - the old model continues, whatever the new one raises
                _LOGGER.error(  # noqa: TRY400 - one line
                    "the model %s is not replaced: %s: %s", model.name, type(error).__name__, error
                )
