"""Two processes train one model, and share an evaluation so that every document is counted exactly once."""

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from made_up_records import span_records, write_jsonl

from nlp_inference import Document, Predictor, Processor
from nlp_training import RunConfig, load_documents
from nlp_training.config import save_config
from nlp_training.evaluation import evaluate_documents
from nlp_training.evaluation.prediction_files import PREDICTIONS, PredictionFile, read_predictions

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
from pathlib import Path
from nlp_training import DocumentCollator, load_config, train
from nlp_training import trainer
trainer.BATCH = 2  # several rounds, the last of them with an empty share
collate, batches = DocumentCollator.__call__, []
def collate_and_remember(self, items):
    batch = collate(self, items)
    batches.append([ids[:length].tolist() for ids, length in zip(batch["input_ids"], batch["attention_mask"].sum(1))])
    return batch
DocumentCollator.__call__ = collate_and_remember
result = train(load_config(sys.argv[1]))
import torch.distributed
rank = str(torch.distributed.get_rank())
Path(sys.argv[2], rank).write_text(repr(result.metrics))
Path(sys.argv[2]).with_name("batches").joinpath(rank).write_text(repr(batches))
from transformers import AutoModelForTokenClassification, TrainingArguments
from nlp_inference import Processor
from nlp_training import load_documents
from nlp_training.trainer import DocumentTrainer
processor = Processor.from_pretrained(result.model)
trained = DocumentTrainer(
    AutoModelForTokenClassification.from_pretrained(result.model, dtype="float32"),
    TrainingArguments(sys.argv[2], use_cpu=True, report_to="none"),
    processing_class=processor,
)
documents = load_documents(sys.argv[3])
told = {}
for count in (1, 2, 3, 7):  # fewer documents than processes, as many, and shares of unequal size
    scores = trained.evaluate(documents[:count])
    predicted = trained.predict_documents(documents[:count])
    told[count] = (scores["eval_f1"], scores["eval_coverage"]["documents"], [one.id for one in predicted])
Path(sys.argv[2]).with_name("counts").joinpath(rank).write_text(repr(told))
torch.distributed.destroy_process_group()  # else its threads may outlive the interpreter, which aborts then
"""


def test_two_processes_evaluate_as_one(span_run: RunConfig, tmp_path: Path) -> None:
    content = span_run.model_dump(exclude_none=True)
    train = span_records("train", 11)
    train[4]["text"] = " ".join([str(train[4]["text"])] * 40)  # seven windows of at most 32 tokens
    content["data"]["train"] = str(write_jsonl(tmp_path / "mixed.jsonl", train))
    content["processor"]["windows"] = {"max_length": 32}
    content["data"]["test"] = {"test": str(write_jsonl(tmp_path / "uneven.jsonl", span_records("test", 5)))}
    content["training"] |= {"num_train_epochs": 1, "per_device_train_batch_size": 2}
    content["loss"] = {"focal": {"class_weights": "inverse_frequency"}}  # whose weights the processes add up
    content["calibrate"] = True  # one of them fits the temperature, both go on with it
    run = RunConfig.model_validate(content)
    save_config(run, tmp_path / "run.yaml")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "batches").mkdir()
    (tmp_path / "counts").mkdir()
    counted = write_jsonl(tmp_path / "counted.jsonl", span_records("counted", 7))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, str(tmp_path / "script.py"), str(tmp_path / "run.yaml"), str(tmp_path / "metrics")]
    command.append(str(counted))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = run.folder / "model"
    metrics = json.loads((model / "metrics.json").read_text())
    assert [path.read_text() for path in sorted((tmp_path / "metrics").iterdir())] == [repr(metrics)] * 2
    assert metrics["validation"].pop("fitted") == ["temperature"]
    predictor = Predictor.from_pretrained(model)
    _check_batches(tmp_path / "batches", predictor.processor, load_documents(run.data.train))
    for name, source in {"validation": run.data.validation, **run.data.test}.items():
        documents = load_documents(source)
        assert metrics[name]["coverage"]["documents"] == len(documents)
        kept = [document for document, _ in read_predictions(PredictionFile(run.folder / PREDICTIONS, name))]
        assert [(document.id, document.gold) for document in kept] == [(one.id, one.gold) for one in documents]
        scores = evaluate_documents(predictor, documents)
        of_both, of_one = metrics[name].pop("calibration"), scores.pop("calibration")
        assert of_both["brier"] == pytest.approx(of_one["brier"], abs=1e-6)  # of scores whose last bits may differ
        assert metrics[name] == scores
    assert predictor.processor.task.temperature != 1
    _check_counts(tmp_path / "counts", predictor, load_documents(str(counted)))


def _check_counts(folder: Path, predictor: Predictor, documents: list[Document]) -> None:
    """However many documents: each is evaluated and predicted once, in its place, in every process."""
    expected = {
        count: (
            evaluate_documents(predictor, documents[:count])["f1"],
            count,
            [document.id for document in documents[:count]],
        )
        for count in (1, 2, 3, 7)
    }
    assert [ast.literal_eval((folder / rank).read_text()) for rank in "01"] == [expected] * 2


def _check_batches(folder: Path, processor: Processor, documents: list[Document]) -> None:
    """Both took five steps of two rows: every window, and the first three again to make the last batches whole."""
    seen = [ast.literal_eval((folder / rank).read_text()) for rank in "01"]
    assert [[len(batch) for batch in batches] for batches in seen] == [[2] * 5] * 2
    rows = Counter(tuple(row) for batches in seen for batch in batches for row in batch)
    expected = Counter(
        tuple(example.row.input_ids.tolist()) for one in processor.examples(documents) for example in one
    )
    assert expected.total() == 17
    assert not expected - rows
    assert (rows - expected).total() == 3
