"""The server as a process: SIGHUP while requests run, and its memory under a long load (slow)."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import httpx2
import psutil
import pytest

from nlp_inference import Processor
from nlp_inference.golden import record_artefact

SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
"""The length of the long load; 1800 for half an hour."""

SIZES = 5
"""The number of different lengths; the memory settles late with many, because oneDNN keeps code for each shape."""

MAX_GROWTH = 0.05
"""Of the memory after the first third of the load."""


@pytest.fixture(scope="module")
def model(saved_model, tmp_path_factory):
    folder = shutil.copytree(saved_model, tmp_path_factory.mktemp("verified") / "model")
    record_artefact(folder)
    return folder


def save_with(folder, preprocess):
    """Save the processor with other transforms, with which the golden records are not reproduced."""
    processor = Processor.from_pretrained(folder)
    Processor(processor.tokenizer, processor.task, preprocess, windows=processor.windows).save_pretrained(folder)


@contextmanager
def served(folder, log, *options):
    """Run the command, and yield its process and its URL when it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, arguments = f"http://127.0.0.1:{port}", ["serve", f"a={folder}", "--port", str(port), *options]
    with (
        log.open("w") as stream,
        subprocess.Popen([sys.executable, "-m", "nlp_inference.cli", *arguments], stderr=stream) as process,
    ):
        try:
            wait_for(lambda: httpx2.get(f"{url}/readyz").status_code == 200, process)
            yield process, url
        finally:
            process.terminate()


def wait_for(condition, process):
    until = time.monotonic() + 120
    while True:
        assert process.poll() is None
        assert time.monotonic() < until
        with suppress(httpx2.TransportError):
            if condition():
                return
        time.sleep(0.1)


@contextmanager
def load(url, *, clients):
    """Send different texts until the end of the block, and yield the statuses."""
    statuses, stop = [], threading.Event()

    def send(number):
        with httpx2.Client(timeout=60) as client:
            while not stop.is_set():
                text = f"Client {number} lives in Rome. " * (1 + len(statuses) % SIZES) + str(len(statuses))
                statuses.append(client.post(f"{url}/documents", json={"text": text}).status_code)

    threads = [threading.Thread(target=send, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_sighup_loads_every_model_again_and_loses_no_request(model, tmp_path):
    folder, log = shutil.copytree(model, tmp_path / "model"), tmp_path / "log"

    def revision():
        return httpx2.get(f"{url}/info").json()["models"][0]["revision"]

    with served(folder, log) as (process, url), load(url, clients=2) as statuses:
        first = revision()
        save_with(folder, ["lowercase"])
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "is not replaced: VerificationError" in log.read_text(), process)
        assert revision() == first  # the old model stays
        record_artefact(folder)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: revision() != first, process)
        seen = len(statuses)
        wait_for(lambda: len(statuses) > seen + 5, process)
    assert set(statuses) == {200}
    assert all(json.loads(line) for line in log.read_text().splitlines())


@pytest.mark.slow
def test_memory_does_not_grow_under_a_long_load(model, tmp_path):
    with served(model, tmp_path / "log", "--log-level", "warning") as (process, url):
        memory, until = [], time.monotonic() + SOAK_SECONDS
        with load(url, clients=4) as statuses:
            while time.monotonic() < until:
                time.sleep(SOAK_SECONDS / 50)
                memory.append(psutil.Process(process.pid).memory_info().rss)
    assert set(statuses) == {200}
    settled, last = max(memory[:17]), max(memory[-10:])
    megabytes = [size >> 20 for size in memory]
    assert last < settled * (1 + MAX_GROWTH), f"{len(statuses)} requests, memory in MB: {megabytes}"
