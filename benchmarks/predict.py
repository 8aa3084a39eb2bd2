"""Documents a second of `Predictor` beside `transformers.pipeline` and the bare limit, with one model in one run.

    python benchmarks/predict.py --model runs/quickstart/model

The pipeline runs at batch sizes 1, 8 and 32, in fp32 like the others, and its best counts. The bare limit is what no
library can beat in this process: tokenise, sort, run batches of the same token budget, argmax; no Documents, no spans;
once with the model as transformers loads it, and once with its linear layers packed as the Predictor packs them. Rounds
are interleaved, and each figure is the median of its rounds.
"""

import random
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from nlp_inference import Predictor
from nlp_inference.backends.packing import packed
from nlp_inference.batching import token_budget_batches
from nlp_inference.quiet import quiet_libraries
from nlp_training.data import generate_documents

WORDS_MEAN, WORDS_SIGMA, WORDS_MAX = 49, 0.8, 200
LETTERS_MAX = 8  # no text is longer than the 512 tokens that a pipeline reads


def make_texts(count: int) -> list[str]:
    """Texts of log-normal length, `WORDS_MEAN` words in the mean, joined of made-up documents."""
    rng = random.Random(0)
    documents = generate_documents(split="test", size=2000)
    words = [word for document in documents for word in document.raw_text.split() if len(word) <= LETTERS_MAX]
    texts = []
    for _ in range(count):
        length = min(WORDS_MAX, max(1, round(rng.lognormvariate(np.log(WORDS_MEAN) - WORDS_SIGMA**2 / 2, WORDS_SIGMA))))
        start = rng.randrange(len(words) - length)
        texts.append(" ".join(words[start : start + length]))
    return texts


def bare_limit(
    model: Path, token_budget: int, *, prepare: Callable[[torch.nn.Module], torch.nn.Module]
) -> Callable[[list[str]], None]:
    """Tokenise, sorted batches, forward, argmax."""
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
    """`transformers.pipeline` as a user would call it."""
    stock = pipeline("token-classification", model=str(model), aggregation_strategy="simple", device="cpu")

    def run(texts: list[str]) -> None:
        stock(texts, batch_size=batch_size)

    return run


def main(
    model: Annotated[Path, typer.Option(help="A folder that training wrote.")] = Path("runs/quickstart/model"),
    documents: Annotated[int, typer.Option(help="How many texts.")] = 512,
    rounds: Annotated[int, typer.Option(help="How often each is measured.")] = 5,
) -> None:
    """Measure and print the table."""
    if not model.is_dir():
        raise typer.BadParameter(f"there is no model in {model}; make one with: make quickstart")
    quiet_libraries()
    warnings.filterwarnings("ignore")  # of the pipeline, about its own use
    texts = make_texts(documents)
    predictor = Predictor.from_pretrained(model, device="cpu")
    runs: dict[str, Callable[[list[str]], object]] = {
        "bare limit": bare_limit(model, predictor.backend.token_budget, prepare=lambda network: network),
        "bare limit, packed": bare_limit(model, predictor.backend.token_budget, prepare=packed),
        "nlp_inference.Predictor": predictor.predict,
        **{f"pipeline, batch {size}": stock_pipeline(model, size) for size in (1, 8, 32)},
    }
    for run in runs.values():
        run(texts[:32])
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(texts)
            seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    best = min(value for name, value in median.items() if name.startswith("pipeline"))
    table = Table(
        title=f"{documents} documents, {sum(len(text.split()) for text in texts) / documents:.0f} words in the mean"
    )
    for column in ("", "documents / s", "× best pipeline", "of the bare limit"):
        table.add_column(column, justify="left" if not column else "right")
    for name, value in median.items():
        table.add_row(name, f"{documents / value:.0f}", f"{best / value:.2f}", f"{median['bare limit'] / value:.0%}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
