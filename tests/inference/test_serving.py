"""The endpoints of the server, over HTTP."""

import json
import logging

import httpx2
import pytest
from served import running
from tiny_models import tiny_model

from nlp_inference import Predictor
from nlp_inference.serving import ServerSettings, create_app

JSON = {"Content-Type": "application/json"}
TEXT = "<b>Ana</b> lives in Rome 😀. Bob lives in Paris."


@pytest.fixture(scope="module")
def predictor(token_processor):
    from nlp_inference.backends.torch import TorchBackend

    return Predictor(token_processor, TorchBackend(tiny_model(token_processor.task), task=token_processor.task))


@pytest.fixture(scope="module")
def multi(multi_processor):
    from nlp_inference.backends.torch import TorchBackend

    return Predictor(multi_processor, TorchBackend(tiny_model(multi_processor.task), task=multi_processor.task))


@pytest.fixture(scope="module")
def http(predictor, multi):
    settings = ServerSettings(max_body_bytes=20_000, max_characters=5_000, max_documents=50, body_timeout=1)
    with (
        running(create_app({"spans": predictor, "multi": multi}, settings=settings)) as url,
        httpx2.Client(base_url=url, timeout=30) as client,
    ):
        yield client


def spans(document):
    return [[span.start, span.end, span.label] for span in document.predicted.spans]


def test_one_document(http, predictor):
    output = http.post("/documents", json={"text": TEXT, "id": "a", "metadata": {"lang": "en"}}).json()
    expected = predictor.predict(TEXT)
    assert output == {
        "id": "a",
        "predicted": expected.predicted.model_dump(mode="json"),
        "complete": expected.coverage.complete,
        "coverage": expected.coverage.model_dump(mode="json", exclude_defaults=True),
        "metadata": {"lang": "en"},
    }
    assert spans(expected)


def test_several_documents_with_one_that_fails(http, predictor):
    long = "word " * 2_000
    output = http.post("/documents", json={"documents": ["Ana", {"text": TEXT, "id": 7}]}).json()
    assert [one["id"] for one in output["documents"]] == ["0", "7"]
    assert output["model"] == "spans"
    assert output["revision"] == predictor.processor.digest()[:12]
    refused = http.post("/documents", json={"documents": ["Ana", long]})
    assert (refused.status_code, refused.json()["error_type"]) == (413, "TooLargeError")


def test_offsets_in_other_units(http, predictor):
    expected = predictor.predict(TEXT)
    for unit in ("codepoint", "utf-16", "utf-8"):
        output = http.post("/documents", params={"offsets": unit, "explain": "true"}, json={"text": TEXT}).json()
        converted = expected.to_offsets(unit)
        assert output["predicted"] == converted["predicted"]
        assert output["explanation"]["edits"] == json.loads(json.dumps(converted["edits"]))
        data = TEXT.encode("utf-16-le" if unit == "utf-16" else "utf-8" if unit == "utf-8" else "utf-32-le")
        size, codec = {"codepoint": (4, "utf-32-le"), "utf-16": (2, "utf-16-le"), "utf-8": (1, "utf-8")}[unit]
        token = next(one for one in output["explanation"]["tokens"] if one["text"] == "Paris")
        assert data[size * token["start"] : size * token["end"]].decode(codec) == "Paris"


def test_an_explanation_contains_the_journey_of_the_text(http):
    explanation = http.post("/documents?explain=true", json={"text": "<b>Ana</b> lives"}).json()["explanation"]
    assert explanation["text"] == "Ana lives"
    assert explanation["edits"] == [
        {"transform": "strip_html", "version": 2, "edits": [[0, 3, ""], [6, 10, ""]]},
    ]
    assert explanation["tokens"] == [
        {"text": "Ana", "start": 3, "end": 6, "text_start": 0, "text_end": 3},
        {"text": "lives", "start": 11, "end": 16, "text_start": 4, "text_end": 9},
    ]
    assert explanation["windows"] == [{"start": 0, "end": 2, "owned_start": 0, "owned_end": 2}]


def test_heads_of_a_model(http, multi):
    expected = multi.predict(TEXT).predicted
    output = http.post("/documents?model=multi", json={"text": TEXT}).json()["predicted"]["heads"]
    assert sorted(output) == ["chain", "slots", "stars", "topic"]
    assert output["topic"] == expected.heads["topic"].model_dump(mode="json")
    only = http.post("/documents?model=multi&heads=topic,stars", json={"text": TEXT}).json()["predicted"]["heads"]
    assert only == {name: output[name] for name in ("topic", "stars")}


def test_a_stream_of_json_lines(http, predictor):
    lines = [json.dumps({"text": f"Ana {number} lives in Rome", "id": number}) for number in range(300)]
    lines[7] = '{"text": 7}'
    lines[8] = json.dumps({"text": "word " * 2_000})
    lines[9] = "{"
    body = "\n".join(lines).encode()
    response = http.post("/documents/stream", content=body, headers={"Content-Type": "application/jsonl"})
    results = [json.loads(line) for line in response.text.splitlines()]
    assert [one["id"] for one in results] == [str(number) for number in range(300)]
    assert [one.get("error_type") for one in results[6:11]] == [
        None,
        "ValidationError",
        "TooLargeError",
        "InvalidJson",
        None,
    ]
    expected = predictor.predict("Ana 299 lives in Rome").predicted
    assert [span["label"] for span in results[299]["predicted"]["spans"]] == [span.label for span in expected.spans]


def test_a_file_of_windows_is_a_stream(http):
    body = '\ufeff{"text":"Ana"}\r\n\r\n{"text":"Bo"}'.encode()
    response = http.post("/documents/stream", content=body, headers={"Content-Type": "application/jsonl"})
    assert [sorted(json.loads(line)) for line in response.text.splitlines()] == [
        ["complete", "coverage", "id", "predicted"]
    ] * 2
    assert http.post("/documents", content=body.split(b"\r")[0], headers=JSON).status_code == 200


def test_a_stream_returns_a_result_before_the_next_line_is_sent(http):
    seen = []

    def lines():
        yield b'{"text": "Ana"}\n'
        seen.append("second")
        yield b'{"text": "Bob"}\n'

    headers = {"Content-Type": "application/x-ndjson"}
    with http.stream("POST", "/documents/stream", content=lines(), headers=headers) as response:
        assert [json.loads(line)["id"] for line in response.iter_lines()] == ["0", "1"]
    assert seen == ["second"]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"json": {"text": "a", "txt": "b"}}, 422, "unknown key 'txt'"),
        ({"json": {"text": 7}}, 422, "text: Input should be a valid string"),
        ({"json": {"text": None}}, 422, "text: "),
        ({"json": {}}, 422, "text: Field required"),
        ({"json": []}, 422, "valid dictionary"),
        ({"json": "a"}, 422, "valid dictionary"),
        ({"json": {"documents": "a"}}, 422, "documents"),
        ({"json": {"documents": [None]}}, 422, "documents.0"),
        ({"json": {"documents": ["a"] * 51}}, 413, "the limit is 50"),
        ({"json": {"text": "a" * 5_001}}, 413, "5001 characters"),
        ({"json": {"text": "a" * 20_000}}, 413, "20000 bytes"),
        ({"json": {"text": "a"}, "params": {"model": "none"}}, 404, "this server has spans, multi"),
        ({"json": {"text": "a"}, "params": {"heads": "topic"}}, 422, "it has no heads"),
        ({"json": {"text": "a"}, "params": {"heads": "x", "model": "multi"}}, 422, "it has the heads slots, chain"),
        ({"json": {"text": "a"}, "params": {"offsets": "bytes"}}, 422, "expected one of codepoint, utf-16, utf-8"),
        ({"json": {"text": "a"}, "params": {"explain": "yes"}}, 422, "expected true or false"),
        ({"json": {"text": "a"}, "params": {"explian": "true"}}, 422, "unknown query parameter 'explian'"),
        ({"json": {"text": "a"}, "headers": {"X-Request-Timeout": "soon"}}, 422, "positive number of seconds"),
        ({"content": b'{"text": "a"}'}, 415, "send application/json"),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "send application/json"),
        ({"content": b"{}", "headers": {"Content-Type": "application/json; charset=latin-1"}}, 415, "in UTF-8"),
    ],
)
def test_requests_that_are_refused(http, options, status, message):
    response = http.post("/documents", **options)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "not valid JSON"),
        (b"{", 400, "not valid JSON"),
        (b'{"text": "a"', 400, "not valid JSON"),
        (b'{"text": "\xff"}', 400, "not valid UTF-8 at byte 10"),
        (b'{"text": "a", "text": "b"}', 400, "the key 'text' occurs twice"),
        (b'{"text": "a", "metadata": {"n": NaN}}', 400, "NaN is not a JSON number"),
        (b'{"text": "a", "metadata": {"n": -Infinity}}', 400, "-Infinity is not a JSON number"),
        (b'{"text": "a", "metadata": {"n": 1e999}}', 422, "finite"),
        (b'{"text": "a", "metadata": {"n": ' + b"9" * 5_000 + b"}}", 400, "not valid JSON"),
        (b'{"text": "\\ud83d"}', 400, "lone surrogate"),
        (b'{"text": "a", "id": "\\ud83d"}', 400, "lone surrogate"),
        (b'{"text": "a", "metadata": {"\\udc00": 1}}', 400, "lone surrogate"),
        (b"[" * 9_000 + b"]" * 9_000, 400, "nested too deeply"),
        (b'{"text": "a", "metadata": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}", 400, "nested too deeply"),
        (b'{"text": "a", "metadata": ' + b'{"a":' * 2_000 + b"1" + b"}" * 2_000 + b"}", 400, "nested too deeply"),
    ],
)
def test_bodies_that_are_refused(http, body, status, message):
    response = http.post("/documents", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, message in response.json()["error"]) == (status, True), response.text


def test_a_hundred_levels_are_read(http):
    body = b'{"text": "a", "metadata": ' + b'{"a":' * 99 + b"1" + b"}" * 99 + b"}"
    response = http.post("/documents", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text


def test_compressed_bodies_are_refused(http):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = http.post("/documents", content=b"\x1f\x8b", headers=headers)
    assert (response.status_code, "compression" in response.json()["error"]) == (415, True)


def test_paths_and_methods_that_do_not_exist(http):
    assert http.get("/nothing").status_code == 404
    response = http.get("/documents")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_health_and_info(http, predictor):
    assert [http.get(path).status_code for path in ("/livez", "/readyz", "/ping", "/health")] == [200] * 4
    assert http.get("/health").json()["models"] == {"spans": "ready", "multi": "ready"}
    info = http.get("/info").json()
    spans_model, multi_model = info["models"]
    assert info["default"] == "spans"
    assert spans_model["labels"] == {"": list(predictor.processor.task.labels)}
    assert spans_model["preprocess"] == ["fix_encoding", "strip_html", "collapse_whitespace"]
    assert (spans_model["max_length"], spans_model["verified"]) == (24, False)
    assert multi_model["heads"] == ["slots", "chain", "topic", "stars"]
    assert info["limits"]["max_characters"] == 5_000


def test_metrics_count_requests_and_documents(http):
    http.post("/documents", json={"text": "Ana"})
    http.post("/documents", json={"text": 1})
    lines = http.get("/metrics").text.splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    assert values['nlp_documents_total{model="spans",outcome="predicted"}'] >= 1
    assert values['nlp_requests_total{route="documents",status="422"}'] >= 1
    assert values["nlp_documents_in_flight"] == 0
    assert not any("Ana" in name for name in values)


def test_the_profile_counts_what_was_served(http):
    http.post("/documents", json={"text": "Ana lives in Rome"})
    assert http.get("/models/spans/profile").json()["documents"] >= 1


def test_every_response_has_security_headers_and_a_request_id(http):
    for path in ("/livez", "/info", "/openapi.json"):
        headers = http.get(path, headers={"X-Request-ID": "mine-1"}).headers
        assert headers["X-Request-ID"] == "mine-1"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    for hostile in ("a" * 65, "a b", 'a"b'):
        assert http.get("/livez", headers={"X-Request-ID": hostile}).headers["X-Request-ID"] != hostile


def test_logs_contain_neither_texts_nor_keys(http, caplog):
    with caplog.at_level(logging.DEBUG, logger="nlp_inference.serving"):
        headers = {"Authorization": "Bearer hunter2", "X-Request-ID": "r-1"}
        http.post("/documents?model=spans", json={"text": "Ana Secret"}, headers=headers)
        http.post("/documents", json={"text": 7, "Ana Secret": 1}, headers=headers)
    records = [json.loads(one.message) for one in caplog.records if one.name == "nlp_inference.serving.access"]
    assert [(one["request_id"], one["route"], one["status"]) for one in records] == [
        ("r-1", "documents", 200),
        ("r-1", "documents", 422),
    ]
    assert "Secret" not in caplog.text
    assert "hunter2" not in caplog.text


def test_an_unexpected_error_shows_no_stack_trace(predictor, caplog):
    app = create_app(predictor)
    app.state.service.models.states = lambda: 1 / 0
    with running(app) as url:
        response = httpx2.get(f"{url}/health")
    assert response.status_code == 500
    assert set(response.json()) == {"error", "error_type", "request_id"}
    assert "Traceback" not in response.text
    assert response.json()["request_id"] in caplog.text


def test_the_openapi_document_names_every_endpoint(http):
    document = http.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/",
        "/analyze",
        "/anonymize",
        "/anonymizers",
        "/documents",
        "/documents/stream",
        "/health",
        "/info",
        "/invocations",
        "/livez",
        "/metrics",
        "/models/{model}",
        "/models/{model}/profile",
        "/models/{model}/reload",
        "/models/{model}/{head}",
        "/ping",
        "/readyz",
        "/recognizers",
        "/supportedentities",
    }
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    assert all(one["summary"].endswith(".") for one in operations)


def test_the_server_can_be_mounted_in_another_application(predictor):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = create_app(predictor)
    outer = Starlette(routes=[Mount("/nlp", app)])
    outer.state = app.state
    with running(outer) as url:
        assert httpx2.post(f"{url}/nlp/documents", json={"text": TEXT}).json()["id"] == "0"
        assert httpx2.get(f"{url}/nlp/readyz").text == "ready\n"
