"""Two processes train one model, and share an evaluation so that every document is counted exactly once."""

import json
import os
import subprocess
import sys
from pathlib import Path

from made_up_records import span_records, write_jsonl

from nlp_inference import Predictor
from nlp_training import RunConfig, load_documents
from nlp_training.config import save_config
from nlp_training.evaluation import evaluate_documents

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
from pathlib import Path
from nlp_training import load_config, train
from nlp_training import trainer
trainer.BATCH = 2  # several rounds, the last of them with an empty share
result = train(load_config(sys.argv[1]))
import torch.distributed
Path(sys.argv[2], str(torch.distributed.get_rank())).write_text(repr(result.metrics))
"""


def test_two_processes_evaluate_as_one(span_run: RunConfig, tmp_path: Path) -> None:
    content = span_run.model_dump(exclude_none=True)
    content["data"]["test"] = {"test": str(write_jsonl(tmp_path / "uneven.jsonl", span_records("test", 5)))}
    content["training"] |= {"max_steps": 2, "num_train_epochs": 1}
    run = RunConfig.model_validate(content)
    save_config(run, tmp_path / "run.yaml")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "metrics").mkdir()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, str(tmp_path / "script.py"), str(tmp_path / "run.yaml"), str(tmp_path / "metrics")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = run.folder / "model"
    metrics = json.loads((model / "metrics.json").read_text())
    assert [path.read_text() for path in sorted((tmp_path / "metrics").iterdir())] == [repr(metrics)] * 2
    predictor = Predictor.from_pretrained(model)
    for name, source in {"validation": run.data.validation, **run.data.test}.items():
        documents = load_documents(source)
        assert metrics[name]["coverage"]["documents"] == len(documents)
        assert metrics[name] == evaluate_documents(predictor, documents)
