"""Law 10: a toy of each kind from another package works from training to serving, without a change elsewhere.

`toy_kinds` beside this file is installed as pip would install it: its modules in a folder of `sys.path`, and a
`.dist-info` whose entry points name them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console
from tiny_models import save_tiny_base
from toy_distributions import write_distribution

from nlp_inference import PostTransform, Predictor, Task, Transform

pytest.importorskip("torch")
pytest.importorskip("datasets")

from nlp_training import RunResult, load_config, train
from nlp_training.augment import Augmentation
from nlp_training.export import Exported, export_model
from nlp_training.gold import GoldKind, document_metric
from nlp_training.losses import Loss
from nlp_training.metrics import Metric

ROOT = Path(__file__).parents[2]
KINDS = (Transform, PostTransform, Task, GoldKind, Loss, Metric, Augmentation)
ENTRY_POINTS = """
[nlp_inference.transforms]
toy-drop-hashes = toy_kinds.inference:DropHashes

[nlp_inference.post_transforms]
toy-at-most = toy_kinds.inference:AtMost

[nlp_inference.tasks]
toy-topics = toy_kinds.inference:ToyTopics

[nlp_training.gold_kinds]
toy-topics = toy_kinds.training:Topics

[nlp_training.losses]
toy-cross-entropy = toy_kinds.training:ToyCrossEntropy

[nlp_training.metrics]
toy-wrong-topics = toy_kinds.training:WrongTopics

[nlp_training.augmentations]
toy-add-hash = toy_kinds.training:AddHash

[nlp_training.formats]
toy-topic-lines = toy_kinds.training:TOPIC_LINES
"""
CONFIG = """
name: toys
output_dir: {folder}/runs
cpu_threads: 1
model: {{base: {base}}}
data: {{train: {folder}/train.topics, validation: {folder}/validation.topics, test: {folder}/test.topics}}
processor:
  preprocess: [toy-drop-hashes]
  task: {{toy-topics: {{threshold: 0.4}}}}
  postprocess: [{{toy-at-most: 2}}]
loss: toy-cross-entropy
metrics: [toy-wrong-topics]
augment: [toy-add-hash]
training:
  num_train_epochs: 10
  per_device_train_batch_size: 4
  learning_rate: 0.003
  bf16: false
  report_to: none
  metric_for_best_model: toy-wrong-topics
"""
TEXTS = ["#piano", "football", "bread", "football and bread", "football and piano and bread", "nothing"]
WORDS = {"sport": "football", "music": "piano", "food": "bread"}


def topic_lines(count: int, seed: int) -> str:
    draw = Random(seed)  # noqa: S311 - texts
    chosen = [[label for label in WORDS if draw.random() < 0.4] for _ in range(count)]
    return "".join(
        f"{' '.join(sorted(one))}|We talk of {' and '.join(map(WORDS.get, one)) or 'nothing'}\n" for one in chosen
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(Path(__file__).with_name("toy_kinds"), folder / "toy_kinds")
    write_distribution(folder, "toy_kinds", entry_points=ENTRY_POINTS)
    members = [dict(kind.members) for kind in KINDS]
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for kind, kept in zip(KINDS, members, strict=True):
        kind.members.clear()
        kind.members.update(kept)
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_kinds"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(site: Path, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("toys")
    save_tiny_base(folder / "base", tokenizer, hidden_size=32, intermediate_size=64, hidden_dropout_prob=0.0)
    for seed, (split, count) in enumerate({"train": 64, "validation": 24, "test": 24}.items()):
        (folder / f"{split}.topics").write_text(topic_lines(count, seed))
    (folder / "run.yaml").write_text(CONFIG.format(folder=folder, base=folder / "base"))
    return train(load_config(folder / "run.yaml"), console=Console(quiet=True))


def test_law_10_what_a_package_offers_is_trained_with_and_scored(trained: RunResult) -> None:
    scores = trained.metrics["test"]
    assert scores["f1"] > 0.5
    assert scores["toy-wrong-topics"] < 0.8
    assert set(scores["per_label"]) == set(WORDS)
    log = json.loads((trained.model / "training_log.json").read_text())
    steps = {one["step"]: one["eval_toy-wrong-topics"] for one in log if "eval_toy-wrong-topics" in one}
    state = json.loads(max(trained.model.parent.glob("checkpoints/*/trainer_state.json")).read_text())
    assert steps[state["best_global_step"]] == min(steps.values())  # smaller is better, as the metric says


def test_law_10_it_is_reported(trained: RunResult) -> None:
    page = (trained.model.parent / "report.html").read_text()
    assert "a gold label that was not predicted" in page
    assert "toy-wrong-topics" in page
    assert "toy-topics" in (trained.model / "README.md").read_text()


def test_law_10_it_predicts_and_verifies_in_a_new_process(trained: RunResult, site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    for words in (["verify", str(trained.model)], ["predict", str(trained.model), "-"]):
        done = subprocess.run(
            [sys.executable, "-m", "nlp_inference.cli", *words],
            input="".join(f"{text}\n" for text in TEXTS),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[0]["edits"] == [{"transform": "toy-drop-hashes", "version": 1, "edits": [[0, 1, ""]]}]
    here = Predictor.from_pretrained(trained.model).predict(TEXTS)
    assert [one["predicted"] for one in documents] == [
        one.predicted.model_dump(mode="json", exclude_defaults=True) for one in here
    ]
    assert any(one.predicted.categories for one in here)


def test_law_10_it_is_exported(trained: RunResult) -> None:
    [exported] = export_model(trained.model, dtypes=("float32",), max_drop=100)
    assert isinstance(exported, Exported)
    of_torch, of_onnx = (
        Predictor.from_pretrained(trained.model, backend=backend).predict(TEXTS) for backend in ("torch", "onnx")
    )
    for one, other in zip(of_torch, of_onnx, strict=True):
        assert [category.label for category in one.predicted.categories] == [
            category.label for category in other.predicted.categories
        ]


def test_law_10_its_metric_says_which_direction_is_better(site: Path) -> None:
    del site
    metric = document_metric("toy-topics", [Metric.from_spec("toy-wrong-topics")])
    assert not metric.greater_is_better("toy-wrong-topics")
    assert metric.greater_is_better("f1")
