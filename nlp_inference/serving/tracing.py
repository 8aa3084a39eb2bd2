"""Spans of OpenTelemetry (https://opentelemetry.io/docs/languages/python/): one for each request and for each stage.

Only the API of OpenTelemetry is used. What collects and exports the spans is configured outside, such as by
`opentelemetry-instrument`. Spans have no texts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from nlp_inference._utils.extras import require_installed

_NAME = "nlp_inference.serving"

Stages = dict[str, tuple[int, int]]
"""Start and end of each stage of a document, in nanoseconds since the epoch."""


class Tracing:
    """Spans of requests and of the stages of their documents.

    Raises:
        MissingExtraError: `opentelemetry-api` is not installed.
    """

    def __init__(self) -> None:
        require_installed(["opentelemetry"], extra="otel")
        from opentelemetry import propagate, trace

        self._propagate, self._trace = propagate, trace
        self._tracer = trace.get_tracer(_NAME)

    @contextmanager
    def request(self, request: Request, route: str) -> Iterator["list[Response]"]:
        """Record the span of a request; its parent is the current span, or the one that the `traceparent` header names.

        Args:
            request: the request.
            route: the name of the route.

        Yields:
            A list to which the caller adds the response.
        """
        current = self._trace.get_current_span().get_span_context().is_valid
        parent = None if current else self._propagate.extract(dict(request.headers))
        kind = self._trace.SpanKind.INTERNAL if current else self._trace.SpanKind.SERVER
        attributes = {"http.request.method": request.method, "http.route": route}
        responses: list[Response] = []
        with self._tracer.start_as_current_span(
            f"{request.method} {route}", context=parent, kind=kind, attributes=attributes
        ) as span:
            yield responses
            for response in responses:
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code >= 500:
                    span.set_status(self._trace.StatusCode.ERROR)

    def stages(self, stages: Stages, attributes: Mapping[str, str | int]) -> None:
        """Record the spans of a document under the current span."""
        for name, (start, end) in stages.items():
            span = self._tracer.start_span(f"nlp.{name}", start_time=start, attributes=dict(attributes))
            span.end(end)
