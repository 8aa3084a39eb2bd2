"""Processes that accelerate starts share the documents of a file: each is answered once, in the order of the file."""

import json
import os
import subprocess
import sys
from pathlib import Path

from nlp_inference import Predictor
from nlp_inference.files.reading import open_source

ROOT = Path(__file__).parents[2]


COUNT = 7  # shares of unequal size


def test_two_processes_answer_each_document_once_and_in_order(saved_model: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"text": f"Ana number {number} lives in Rome"}) for number in range(COUNT)]
    lines[COUNT // 2] = '{"id": "poisoned"}'
    source.write_text("\n".join(lines) + "\n")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    command = [*launch, str(ROOT / "scripts" / "predict.py"), str(saved_model), str(source), str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in output.read_text().splitlines()]
    expected = [str(number) for number in range(COUNT)]
    expected[COUNT // 2] = "poisoned"
    assert [record["id"] for record in records] == expected
    with open_source(str(source)) as opened:
        alone = Predictor.from_pretrained(saved_model, device="cpu").predict(opened.items, on_error="record")
    found = [[(s["start"], s["end"], s["label"]) for s in r.get("predicted", {}).get("spans", ())] for r in records]
    assert found == [
        [(s.start, s.end, s.label) for s in one.predicted.spans] if hasattr(one, "predicted") else [] for one in alone
    ]
    assert not list(tmp_path.glob("out.jsonl.*"))
