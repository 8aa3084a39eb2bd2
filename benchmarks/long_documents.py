"""Compare `Predictor` and `transformers.pipeline` with `stride` on long documents: speed, and spans at window edges.

    python benchmarks/long_documents.py --model runs/quickstart/model

A document has 3,000 words of generated sentences, some with an e-mail address or a telephone number. The sentences are
those that preprocessing does not change, and that both predict correctly when alone. Both use windows of the same
length, with the same overlap, in fp32 unless the name states otherwise; int8 is ONNX Runtime, if the model is exported
with `nlp-training export`. Each round reads other documents, the pipelines the first of them; seconds are medians.

A span is at an edge if it straddles or touches a position where a window of either begins or ends, or where the
Predictor switches to the next window. All are counted over the same spans, those of the documents that the pipelines
read. "Readable" are the spans at edges that the Predictor finds in the middle of a window. A model that was trained on
short texts is less accurate late in a window: `--window` sets shorter windows.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from planted_spans import Planted, Spans, at_edges, make_documents, sentences
from rich.console import Console
from rich.table import Table
from side_by_side import rounds_in_turn
from transformers import AutoTokenizer, pipeline

from nlp_inference import Document, Predictor, Processor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.backends.onnx_files import exported

PLANTED = {"EMAIL", "PHONE"}
PREDICTOR, PIPELINE = "Predictor", "pipeline, stride"
Read = Callable[[Sequence[str]], list[Spans]]


def ours(predictor: Predictor) -> Read:
    """Return a function that predicts spans with the Predictor."""
    return lambda texts: [
        {(span.start, span.end, span.label) for span in document.predicted.spans}
        for document in predictor.predict(texts)
    ]


def stock_pipeline(model: Path, *, window: int, overlap: int, batch_size: int) -> Read:
    """Return a function that predicts spans with `transformers.pipeline`, with the same windows."""
    tokenizer = AutoTokenizer.from_pretrained(model, model_max_length=window)
    stock = pipeline(
        "token-classification",
        model=str(model),
        tokenizer=tokenizer,
        stride=overlap,
        aggregation_strategy="simple",
        device="cpu",
    )
    return lambda texts: [
        {(one["start"], one["end"], one["entity_group"]) for one in found}
        for found in stock(list(texts), batch_size=batch_size)
    ]


def easy(made: Sequence[Planted], processor: Processor, readers: Sequence[Read]) -> list[Planted]:
    """Return the texts that preprocessing does not change and that every reader predicts correctly."""
    texts = [one.text for one in made]
    predictions = zip(*(read(texts) for read in readers), strict=True)
    right = (one for one, found in zip(made, predictions, strict=True) if all(spans == one.spans for spans in found))
    return [one for one in right if processor.preprocess(Document(raw_text=one.text)).text == one.text]


def found_of(planted: Sequence[Spans], predictions: Sequence[Spans]) -> str:
    """Format how many of the spans were found exactly."""
    right = sum(len(spans & found) for spans, found in zip(planted, predictions, strict=True))
    return f"{right:,} of {sum(map(len, planted)):,}"


def counter(documents: Sequence[Planted], predictor: Predictor) -> Callable[[Sequence[Spans]], list[str]]:
    """Return a function that counts the planted spans that were found, and all other predicted spans."""
    edges = [at_edges(document, predictor.processor) for document in documents]
    near: list[Spans] = [set(one) for one in edges]
    middle = [(number, span, text) for number, one in enumerate(edges) for span, text in one.items()]
    readable: list[Spans] = [set() for _ in documents]
    for (number, span, text), found in zip(middle, ours(predictor)([text.text for *_, text in middle]), strict=True):
        if text.spans <= found:
            readable[number].add(span)
    far = [document.spans - at for document, at in zip(documents, near, strict=True)]

    def count(predictions: Sequence[Spans]) -> list[str]:
        more = sum(len(found - document.spans) for document, found in zip(documents, predictions, strict=True))
        return [*(found_of(spans, predictions) for spans in (near, readable, far)), f"{more:,}"]

    return count


def with_windows(predictor: Predictor, window: int | None) -> Predictor:
    """Return the Predictor with another window length and the same overlap."""
    if window is None:
        return predictor
    known = predictor.processor
    windows = known.windows.model_copy(update={"max_length": window})
    other = Processor(known.tokenizer, known.task, known.preprocess, known.postprocess, windows)
    return predictor.with_processor(other)


COLUMNS = ("", "documents", "per minute", "× best pipeline", "at edges", "readable", "elsewhere", "false positives")


def main(
    model: Annotated[Path, typer.Option(help="A folder that training wrote.")] = Path("runs/quickstart/model"),
    documents: Annotated[int, typer.Option(help="Number of texts in all rounds.")] = 1_000,
    pipeline_documents: Annotated[int, typer.Option(help="Number of texts for the pipelines.")] = 100,
    words: Annotated[int, typer.Option(help="Words of a document.")] = 3_000,
    window: Annotated[int | None, typer.Option(help="Tokens of a window; default: that of the model.")] = None,
    rounds: Annotated[int, typer.Option(help="Number of rounds that share the texts.")] = 5,
) -> None:
    """Measure and print the table."""
    if not model.is_dir():
        raise typer.BadParameter(f"no model in {model}; create one with: make quickstart")
    quiet_libraries()
    warnings.filterwarnings("ignore")  # the pipeline warns about how it is called
    predictor = with_windows(Predictor.from_pretrained(model, device="cpu", backend="torch"), window)
    processor = predictor.processor
    narrow = {
        f"{PREDICTOR}, {dtype}": with_windows(Predictor.from_pretrained(model, device="cpu", dtype=dtype), window)
        for dtype in ("bfloat16", "int8")
        if dtype in ("bfloat16", *exported(model))
    }
    window, overlap = processor.layout.max_length, processor.windows.overlap_within(processor.layout.capacity(None))
    readers = {
        PREDICTOR: ours(predictor),
        **{
            f"{PIPELINE}, batch {size}": stock_pipeline(model, window=window, overlap=overlap, batch_size=size)
            for size in (1, 8)
        },
        **{name: ours(one) for name, one in narrow.items()},
    }
    telling, chatter = (
        easy(list(sentences(bank, labels)), processor, list(readers.values())[:2])
        for bank, labels in (("say", PLANTED), ("chatter", set()))
    )
    made = make_documents(documents, words, telling=telling, chatter=chatter)
    share = {name: (pipeline_documents if name.startswith(PIPELINE) else documents) // rounds for name in readers}
    begins = [number * (documents // rounds) for number in range(rounds)]
    common = share[f"{PIPELINE}, batch 1"]
    predictions: dict[str, list[Spans]] = {name: [] for name in readers}

    def read(name: str, number: int) -> None:
        part = made[begins[number] :][: share[name]]
        predictions[name] += readers[name]([document.text for document in part])[:common]

    seconds = rounds_in_turn({name: lambda number, name=name: read(name, number) for name in readers}, rounds)
    rates = {name: share[name] / value for name, value in seconds.items()}
    best = max(rate for name, rate in rates.items() if name.startswith(PIPELINE))
    count = counter([document for begin in begins for document in made[begin:][:common]], predictor)
    table = Table(title=f"documents of {words:,} words; windows of {window} tokens with overlap {overlap}")
    for column in COLUMNS:
        table.add_column(column, justify="left" if not column else "right")
    for name, rate in rates.items():
        figures = (f"{rounds * share[name]:,}", f"{60 * rate:.0f}", f"{rate / best:.2f}")
        table.add_row(name, *figures, *count(predictions[name]))
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
