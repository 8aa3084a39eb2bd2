"""Compare documents per second of `Predictor`, `transformers.pipeline` and the bare limit, with one model in one run.

    python benchmarks/predict.py --model runs/quickstart/model

The pipeline runs at batch sizes 1, 8 and 32, in fp32, and every precision of the Predictor is compared with its best.
The bare limit is the minimal work in this process in fp32: tokenize, sort, run batches of the same token budget,
argmax; no Documents, no spans. It is measured with the model as transformers loads it, and with linear layers packed as
in the Predictor. ONNX Runtime and OpenVINO run the exports of `nlp-training export`. Rounds are interleaved, and each
figure is the median of its rounds.

"Outside" is the share of the time in which no batch is in the model's forward pass: once with one worker, where batches
run sequentially, and once with the default, where batches run in parallel. Creating the arrays of a batch counts as
outside, unless another batch is in its forward pass.
"""

import statistics
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from side_by_side import make_texts, rounds_in_turn, share_outside
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from nlp_inference import Predictor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.backends.descriptors import find_backend
from nlp_inference.backends.packing import packed
from nlp_inference.predict.batching import token_budget_batches

PRECISIONS = (
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("onnx", "float32"),
    ("onnx", "int8"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
)
WARM_UP = 64


def bare_limit(
    model: Path, token_budget: int, *, prepare: Callable[[torch.nn.Module], torch.nn.Module]
) -> Callable[[list[str]], None]:
    """Return a function that tokenizes, sorts into batches, runs the model and takes the argmax."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = prepare(AutoModelForTokenClassification.from_pretrained(model, dtype="float32").eval())

    def run(texts: list[str]) -> None:
        ids = tokenizer(texts, return_attention_mask=False, return_token_type_ids=False)["input_ids"]
        for positions in token_budget_batches([len(one) for one in ids], token_budget):
            rows = [ids[position] for position in positions]
            width = max(map(len, rows))
            input_ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
            with torch.inference_mode():
                network(input_ids=input_ids, attention_mask=mask).logits.argmax(-1).numpy()

    return run


def stock_pipeline(model: Path, batch_size: int) -> Callable[[list[str]], None]:
    """Return a function that calls `transformers.pipeline` as a user would."""
    stock = pipeline("token-classification", model=str(model), aggregation_strategy="simple", device="cpu")

    def run(texts: list[str]) -> None:
        stock(texts, batch_size=batch_size)

    return run


def load_predictors(model: Path) -> dict[str, Predictor | None]:
    """Load a Predictor for each precision, by name; `None` if it is not exported or not installed."""
    found: dict[str, Predictor | None] = {}
    for backend, dtype in PRECISIONS:
        descriptor = find_backend(backend)
        available = descriptor.is_installed() and descriptor.holds(model, dtype=dtype)
        found[f"Predictor, {backend} {dtype}"] = (
            Predictor.from_pretrained(model, device="cpu", backend=backend, dtype=dtype) if available else None
        )
    return found


def outside(predictor: Predictor, texts: list[str], rounds: int) -> tuple[str, str]:
    """Return the share of the time outside the forward pass, with one worker and with the default."""
    alone = predictor.with_processor(predictor.processor, workers=1)
    alone.predict(texts[:WARM_UP])  # one worker gets all threads
    shares = [[share_outside(one, texts) for _ in range(rounds)] for one in (alone, predictor)]
    with_one, as_it_runs = (f"{statistics.median(values):.1%}" for values in shares)
    return with_one, as_it_runs


def make_table(
    title: str, documents: int, median: Mapping[str, float], shares: Mapping[str, tuple[str, str] | None]
) -> Table:
    """Return a table with a line for each measurement and each precision that is not available."""
    best = min(value for name, value in median.items() if name.startswith("pipeline"))
    table = Table(title=title)
    for column in ("", "documents / s", "× best pipeline", "of the bare limit", "outside, 1 worker", "outside"):
        table.add_column(column, justify="left" if not column else "right")
    for name, value in median.items():
        speed = (f"{documents / value:.0f}", f"{best / value:.2f}", f"{median['bare limit'] / value:.0%}")
        table.add_row(name, *speed, *(shares.get(name) or ()))
    for name in (name for name, share in shares.items() if share is None):
        table.add_row(name, "not exported, or not installed")
    return table


def main(
    model: Annotated[Path, typer.Option(help="A folder that training wrote.")] = Path("runs/quickstart/model"),
    documents: Annotated[int, typer.Option(help="Number of texts.")] = 512,
    rounds: Annotated[int, typer.Option(help="Number of measurements of each.")] = 5,
) -> None:
    """Measure and print the table."""
    if not model.is_dir():
        raise typer.BadParameter(f"no model in {model}; create one with: make quickstart")
    quiet_libraries()
    warnings.filterwarnings("ignore")  # the pipeline warns about how it is called
    texts = make_texts(documents)
    predictors = load_predictors(model)
    usable = {name: predictor for name, predictor in predictors.items() if predictor is not None}
    token_budget = usable["Predictor, torch float32"].token_budget
    runs: dict[str, Callable[[list[str]], object]] = {
        "bare limit": bare_limit(model, token_budget, prepare=lambda network: network),
        "bare limit, packed": bare_limit(model, token_budget, prepare=packed),
        **{name: predictor.predict for name, predictor in usable.items()},
        **{f"pipeline, batch {size}": stock_pipeline(model, size) for size in (1, 8, 32)},
    }
    for run in runs.values():
        run(texts[:WARM_UP])
    median = rounds_in_turn({name: lambda _, run=run: run(texts) for name, run in runs.items()}, rounds)
    shares = {
        name: None if predictor is None else outside(predictor, texts, rounds) for name, predictor in predictors.items()
    }
    words = sum(len(text.split()) for text in texts) / documents
    Console(width=120).print(
        make_table(f"{documents} documents, {words:.0f} words on average", documents, median, shares)
    )


if __name__ == "__main__":
    typer.run(main)
