"""Operation of the server: keys, overload, deadlines, draining, reloading, verification, clients that go away."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx2
import pytest
from served import running
from starlette.applications import Starlette
from starlette.routing import Mount
from test_scheduler import Gated

from nlp_inference import Predictor, Processor
from nlp_inference.golden import record_artefact
from nlp_inference.serving import ModelSource, ServerSettings, create_app

KEY, ADMIN = "a-key", "an-admin-key"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def gated(token_processor):
    return Predictor(token_processor, Gated(token_processor))


@pytest.fixture(scope="module")
def verified_model(saved_model, tmp_path_factory):
    folder = shutil.copytree(saved_model, tmp_path_factory.mktemp("verified") / "model")
    record_artefact(folder)
    return folder


def change_preprocessing(folder):
    """Save another processor, with which the golden records are not reproduced."""
    processor = Processor.from_pretrained(folder)
    Processor(processor.tokenizer, processor.task, ["lowercase"], windows=processor.windows).save_pretrained(folder)


def post(url, text="Rome", **options):
    return httpx2.post(f"{url}/documents", json={"text": text}, timeout=30, **options)


def in_background(work):
    done = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    return thread, done


def test_keys_are_required_where_they_are_configured(gated):
    settings = ServerSettings(api_key_hashes=[digest(KEY)], admin_key_hashes=[digest(ADMIN)])
    with running(create_app(gated, settings=settings)) as url:
        assert [httpx2.get(f"{url}{path}").status_code for path in ("/livez", "/readyz", "/ping", "/health")] == [
            200
        ] * 4
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": "é"}):
            response = post(url, headers={name: value.encode() for name, value in headers.items()})
            assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        for path in ("/info", "/metrics", "/supportedentities"):
            assert httpx2.get(f"{url}{path}").status_code == 401
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}):
            assert post(url, headers=headers).status_code == 200
        reload = f"{url}/models/default/reload"
        assert httpx2.post(reload, headers={"X-API-Key": KEY}).status_code == 401
        assert httpx2.post(reload, headers={"X-API-Key": ADMIN}).status_code == 409  # it was passed as an object


def test_reloading_needs_an_administrators_key(gated):
    with running(create_app(gated)) as url:
        assert httpx2.post(f"{url}/models/default/reload").status_code == 403


def test_a_full_queue_refuses_requests_and_says_when_to_try_again(gated):
    gated.backend.gate.clear()
    with running(create_app(gated, settings=ServerSettings(max_queue=2))) as url:
        waiting = [in_background(lambda number=number: post(url, f"Rome {number}")) for number in range(2)]
        service_has(url, documents=2)
        for body in ({"text": "more"}, {"documents": ["more", "and more"]}):
            refused = httpx2.post(f"{url}/documents", json=body)
            assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (429, True)
        gated.backend.gate.set()
        for thread, done in waiting:
            thread.join()
            assert done[0].status_code == 200


def service_has(url, *, documents):
    until = time.monotonic() + 10
    while httpx2.get(f"{url}/health").json()["documents"] != documents:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_request_that_takes_too_long_gets_504_and_leaves_the_queue(gated):
    gated.backend.gate.clear()
    with running(create_app(gated)) as url:
        response = post(url, headers={"X-Request-Timeout": "0.05"})
        assert (response.status_code, response.json()["error_type"]) == (504, "Timeout")
        service_has(url, documents=0)
        gated.backend.gate.set()
        assert post(url, "Rome again").status_code == 200


def test_a_client_that_goes_away_leaves_the_queue(gated):
    gated.backend.gate.clear()
    with running(create_app(gated)) as url:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{url}/documents", json={"text": "Rome"}, timeout=0.2)
        service_has(url, documents=0)
        gated.backend.gate.set()


def raw(url, data, *, wait=5.0):
    """Send bytes, and return what comes back before the connection closes or nothing comes for some seconds."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(data)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received.decode("latin-1")


HEAD = b"POST /documents HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def test_slow_and_half_sent_bodies_do_not_hold_a_connection(gated):
    with running(create_app(gated, settings=ServerSettings(body_timeout=0.2))) as url:
        answer = raw(url, HEAD + b'Content-Length: 100\r\n\r\n{"text"')
        assert answer.startswith("HTTP/1.1 408")
        assert "did not arrive within 0.2 seconds" in answer
        assert post(url).status_code == 200


def test_a_large_body_is_refused_before_it_is_read(gated):
    with running(create_app(gated)) as url:
        answer = raw(url, HEAD + b"Content-Length: 104857600\r\n\r\n" + b"x" * 1000)
        assert answer.startswith("HTTP/1.1 413")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            answer = raw(url, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 11)
        except (ConnectionResetError, BrokenPipeError):
            answer = "HTTP/1.1 413"  # the server closed the connection while the test still sent
        assert answer.startswith("HTTP/1.1 413")
        assert post(url).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /documents HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\nX-Evil: b\r\nContent-Length: 0\r\n\r\n",
        b"POST /documents HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /documents HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"\x16\x03\x01\x00\xa5\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /documents HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_http_is_a_client_error(gated, request_bytes):
    with running(create_app(gated, settings=ServerSettings(body_timeout=0.5))) as url:
        answer = raw(url, request_bytes + b"\r\n\r\n", wait=3)
        assert answer == "" or answer.split()[1].startswith("4")
        assert "X-Evil" not in answer
        assert post(url).status_code == 200


def test_cors_is_off_unless_an_origin_is_allowed(gated):
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    with running(create_app(gated)) as url:
        assert "access-control-allow-origin" not in httpx2.options(f"{url}/documents", headers=preflight).headers
    with running(create_app(gated, settings=ServerSettings(cors_origins=["https://a.example"]))) as url:
        headers = httpx2.options(f"{url}/documents", headers=preflight).headers
        assert headers["access-control-allow-origin"] == "https://a.example"
        other = preflight | {"Origin": "https://b.example"}
        assert "access-control-allow-origin" not in httpx2.options(f"{url}/documents", headers=other).headers


def test_it_is_ready_after_the_golden_records_were_replayed(verified_model):
    with running(create_app({"a": str(verified_model)})) as url:
        assert httpx2.get(f"{url}/readyz").text == "ready\n"
        assert httpx2.get(f"{url}/info").json()["models"][0]["verified"]
        assert post(url).status_code == 200


def test_a_mounted_application_loads_its_models_with_the_first_request(verified_model):
    app = create_app({"a": ModelSource(str(verified_model))})
    outer = Starlette(routes=[Mount("/nlp", app)])
    outer.state = app.state  # for the server of the tests; the lifespan of the inner application does not run
    with running(outer, wait=False) as url:
        assert httpx2.get(f"{url}/nlp/readyz").text in ("loading\n", "ready\n")
        until = time.monotonic() + 60
        while httpx2.get(f"{url}/nlp/readyz").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert httpx2.post(f"{url}/nlp/documents", json={"text": "Rome"}).status_code == 200


def test_a_model_that_does_not_reproduce_its_records_is_not_served(verified_model, tmp_path):
    folder = shutil.copytree(verified_model, tmp_path / "model")
    change_preprocessing(folder)
    app = create_app({"a": ModelSource(str(folder))})
    with running(app):
        assert type(app.state.service.models.failures["a"]).__name__ == "VerificationError"
        assert app.state.service.models.states() == {"a": "failed"}


def test_a_new_revision_takes_over_while_requests_run(verified_model, tmp_path):
    folder = shutil.copytree(verified_model, tmp_path / "model")
    settings = ServerSettings(admin_key_hashes=[digest(ADMIN)])
    reload = {"headers": {"X-API-Key": ADMIN}, "timeout": 60}
    with running(create_app({"a": str(folder)}, settings=settings)) as url:
        first = httpx2.get(f"{url}/info", headers=reload["headers"]).json()["models"][0]["revision"]
        stop, statuses = threading.Event(), []

        def load():
            with httpx2.Client(timeout=30) as client:
                while not stop.is_set():
                    statuses.append(client.post(f"{url}/documents", json={"text": f"Rome {len(statuses)}"}).status_code)
                    time.sleep(0.01)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        change_preprocessing(folder)
        refused = httpx2.post(f"{url}/models/a/reload", **reload)
        assert (refused.status_code, "VerificationError" in refused.json()["error"]) == (409, True)
        record_artefact(folder)
        taken = httpx2.post(f"{url}/models/a/reload", **reload)
        assert taken.status_code == 200, taken.text
        assert taken.json()["revision"] != first
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}


def test_stopping_completes_what_was_accepted(gated):
    gated.backend.gate.clear()
    app = create_app(gated)
    with running(app) as url:
        waiting = [in_background(lambda number=number: post(url, f"Rome {number}")) for number in range(8)]
        service_has(url, documents=8)
        app.state.service.draining = True
        assert httpx2.get(f"{url}/readyz").status_code == 503
        assert post(url, "late").status_code == 503
        gated.backend.gate.set()
        for thread, done in waiting:
            thread.join()
            assert done[0].status_code == 200


def test_the_command_serves_and_stops(verified_model, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "nlp_inference.cli",
        "serve",
        f"a={verified_model}",
        "--port",
        str(port),
        "--no-verify",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until_ready(url, process)
            assert post(url, "Ana lives in Rome").status_code == 200
        finally:
            process.terminate()
        assert process.wait(30) == -signal.SIGTERM
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"route": "documents", "status": 200}.items() <= next(
        one for one in lines if one.get("route") == "documents"
    ).items()
    assert "Rome" not in (tmp_path / "log").read_text()


def wait_until_ready(url, process):
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < until
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.2)


def test_python_warnings_are_lines_of_json():
    code = (
        "import sys, warnings; from nlp_inference.serving.logs import write_logs; "
        "write_logs(sys.stderr, level='info'); warnings.warn('changed since it was saved')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = json.loads(result.stderr)
    assert (line["level"], line["event"]) == ("warning", "py.warnings")
    assert "UserWarning: changed since it was saved" in line["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/folder"], "cannot serve: ArtefactError"),
        (["m", "--host", "192.0.2.1"], "--allow-unauthenticated"),
        (["a=m", "a=n"], "two models have the name 'a'"),
    ],
)
def test_what_the_command_refuses(arguments, message):
    from typer.testing import CliRunner

    from nlp_inference.cli import app

    result = CliRunner().invoke(app, ["serve", "--port", "0", *arguments])
    assert (result.exit_code, message in result.stderr) == (1, True), result.output


@pytest.mark.slow
def test_every_accepted_request_is_answered_when_a_model_process_is_killed(verified_model):
    app = create_app({"a": str(verified_model)}, settings=ServerSettings(processes=2))
    with running(app) as url:
        expected = Predictor.from_pretrained(verified_model)
        (lane,) = app.state.service.scheduler._lanes.values()
        results, stop = [], threading.Event()

        def load(number):
            with httpx2.Client(timeout=60) as client:
                while not stop.is_set():
                    text = f"Rome {number} {len(results)}"
                    results.append((text, client.post(f"{url}/documents", json={"text": text})))

        threads = [threading.Thread(target=load, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(1)
            pid = lane.runner.pids[0]
            os.kill(pid, signal.SIGKILL)
            wait_for_another(lane.runner, pid)
        stop.set()
        for thread in threads:
            thread.join()
    assert {response.status_code for _, response in results} == {200}
    for text, response in results[::10]:
        found = [(span["start"], span["label"]) for span in response.json()["predicted"]["spans"]]
        assert found == [(span.start, span.label) for span in expected.predict(text).predicted.spans]


def wait_for_another(runner, pid):
    until = time.monotonic() + 60
    while runner.pids[0] == pid:
        assert time.monotonic() < until
        time.sleep(0.05)
