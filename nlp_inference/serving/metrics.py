"""Metrics in the format of Prometheus. Their labels are bounded: names of routes and models, never paths or texts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from nlp_inference.serving.scheduler import Scheduler

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_TOKENS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 16384)


class Metrics:
    """The metrics of one server.

    Args:
        scheduler: the scheduler whose queue is measured.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "nlp_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "nlp_request_seconds",
            "Time from the first byte of a request to its response.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.documents = Counter(
            "nlp_documents", "Documents by model and outcome.", ("model", "outcome"), registry=self.registry
        )
        in_flight = Gauge("nlp_documents_in_flight", "Documents that wait or run.", registry=self.registry)
        in_flight.set_function(lambda: scheduler.documents)
        waiting = Gauge("nlp_wait_seconds", "Estimated time until they are predicted.", registry=self.registry)
        waiting.set_function(lambda: scheduler.wait_seconds)
        batch_tokens = Histogram(
            "nlp_batch_tokens",
            "Tokens of the batches, without padding.",
            buckets=_TOKENS,
            registry=self.registry,
        )
        scheduler.observers.append(batch_tokens.observe)

    def response(self) -> Response:
        """Return the current values."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
