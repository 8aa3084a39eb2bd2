"""Spans of OpenTelemetry: one for each request, and one for each stage of its documents."""

import httpx2
import pytest
from served import running

from nlp_inference import Predictor
from nlp_inference.errors import MissingExtraError
from nlp_inference.serving import ServerSettings, create_app
from nlp_inference.serving.tracing import Tracing

pytest.importorskip("opentelemetry.sdk.trace")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def exporter():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def post(url, **options):
    body = {"documents": ["Ana lives in Rome", "Bob lives in Paris"]}
    assert httpx2.post(f"{url}/documents", json=body, timeout=30, **options).status_code == 200


def test_a_request_and_its_stages_are_spans(saved_model, exporter):
    predictor = Predictor.from_pretrained(saved_model)
    with running(create_app(predictor, settings=ServerSettings(tracing=True))) as url:
        post(url, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert httpx2.post(f"{url}/documents", json={"texts": 1}).status_code == 422
    spans = exporter.get_finished_spans()
    request, refused = (span for span in spans if span.name == "POST documents")
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "documents",
        "http.response.status_code": 200,
    }
    assert (refused.attributes["http.response.status_code"], refused.parent) == (422, None)
    stages = [span for span in spans if span.name.startswith("nlp.")]
    assert sorted(span.name for span in stages) == sorted(2 * ["nlp.queue", "nlp.encode", "nlp.model", "nlp.decode"])
    for span in stages:
        assert span.parent.span_id == request.context.span_id
        assert request.start_time <= span.start_time <= span.end_time <= request.end_time
        assert dict(span.attributes) == {"nlp.model": "default", "nlp.outcome": "predicted"}
    assert "Rome" not in "".join(span.to_json() for span in spans)


def test_without_the_setting_nothing_is_recorded(saved_model, exporter):
    exporter.clear()
    with running(create_app(Predictor.from_pretrained(saved_model))) as url:
        post(url)
    assert exporter.get_finished_spans() == ()


def test_tracing_needs_its_extra(monkeypatch):
    monkeypatch.setattr("nlp_inference._utils.extras.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="otel"):
        Tracing()
