"""An object store is the source and the output of a job of several actors; a local server plays S3.

str the extra `ray`, and `pip install s3fs "moto[server]"`. Run by hand where they are installed:
`pytest -m slow tests/inference/test_object_store.py`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nlp_inference import Predictor
from nlp_inference.files.records import to_json_line

BUCKET, SHARDS, LINES = "mails", 3, 40
REGION = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def local_s3(monkeypatch) -> Iterator[None]:
    """For this process and those that it starts, `s3://` is a local server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {**REGION, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "RAY_USAGE_STATS_ENABLED": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield
    server.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("local_s3")
@pytest.mark.filterwarnings("ignore")  # those of moto and of botocore
def test_a_job_reads_and_writes_an_object_store(saved_model) -> None:
    import s3fs

    store = s3fs.S3FileSystem()
    store.mkdir(BUCKET)
    texts = [f"Ana {number} is in Rome" for number in range(SHARDS * LINES)]
    for shard in range(SHARDS):
        lines = texts[shard * LINES : (shard + 1) * LINES]
        store.pipe(f"{BUCKET}/in/{shard}.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in lines).encode())
    command = [sys.executable, "-m", "nlp_inference.cli", "predict", str(saved_model), f"s3://{BUCKET}/in/*.jsonl"]
    command += ["-o", f"s3://{BUCKET}/out", "--engine", "ray", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    parts = sorted(store.glob(f"{BUCKET}/out/part-*"))
    written = [line for part in parts for line in store.cat(part).decode().splitlines()]
    assert len(parts) == SHARDS
    assert store.exists(f"{BUCKET}/out/_SUCCESS")
    with Predictor.from_pretrained(saved_model, device="cpu") as predictor:
        expected = [to_json_line(one) for one in predictor.predict(texts)]
    assert [_without_id(line) for line in written] == [_without_id(line) for line in expected]


def _without_id(line: str) -> dict[str, Any]:
    """A record but for its id, which is its place in the source where a line has none."""
    return {key: value for key, value in json.loads(line).items() if key != "id"}
