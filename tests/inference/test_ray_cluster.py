"""On a Ray cluster of two machines, an actor that is killed in the middle costs no document and doubles none.

str the extra `ray`, which is 240 MB. Run by hand where that is installed:
`pytest -m slow tests/inference/test_ray_cluster.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlp_inference.cli.predict import INTERRUPTED
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.reading import open_source

ROOT = Path(__file__).parents[2]
COUNT = 20_000
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    records = (
        {"id": str(number), "text": f"Ana {number} is in Rome " + "now " * (number % 9)} for number in range(COUNT)
    )
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("output_format", [FileFormat.LINES, FileFormat.PARQUET])
def test_an_actor_that_is_killed_costs_no_document(saved_model, source, tmp_path, output_format) -> None:
    output = tmp_path / "out"
    script = Path(__file__).with_name("ray_cluster_run.py")
    command = [sys.executable, str(script), str(saved_model), str(source), str(output), output_format.value]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["nodes"] == 2
    assert len(told["killed"]) == 1
    assert told["seen"] == list(range(told["summary"]["shards"]))
    assert told["summary"]["records"] == COUNT
    ids = []
    for part in sorted(output.glob("part-*")):
        with open_source(str(part)) as opened:
            ids += [item["id"] for item in opened.items]
    assert ids == [str(number) for number in range(COUNT)]
    assert (output / "_SUCCESS").is_file()


@pytest.mark.slow
def test_a_driver_that_is_stopped_is_gone_on_with(saved_model, source, tmp_path) -> None:
    output = tmp_path / "out"
    base = [sys.executable, "-m", "nlp_inference.cli", "predict", str(saved_model), str(source), "-o", str(output)]
    command = [*base, "--engine", "ray", "--device", "cpu"]
    running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and len(list(output.glob("part-*"))) < 3:
        pass
    running.send_signal(2)
    running.communicate(timeout=100)
    assert running.returncode == INTERRUPTED
    assert not (output / "_SUCCESS").exists()
    done = subprocess.run([*command, "--resume"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads((output / "_SUCCESS").read_text())
    assert summary["records"] == COUNT
    assert summary["resumed"] >= 3
    lines = [line for part in sorted(output.glob("part-*")) for line in part.read_text().splitlines()]
    assert [json.loads(line)["id"] for line in lines] == [str(number) for number in range(COUNT)]
