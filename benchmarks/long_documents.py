"""Long documents a minute of `Predictor` beside `transformers.pipeline` with `stride`, and the spans at window edges.

    python benchmarks/long_documents.py --model runs/quickstart/model

A document is 3,000 words of made-up sentences, some with an e-mail address or a telephone number; only sentences that
preprocessing leaves as they are, and that both read exactly right when they read them alone. Both read windows of as
many tokens, with the same overlap, in fp32 but where the name says otherwise; int8 is ONNX Runtime, if the model is
exported: `nlp-training export`. Each round reads other documents, the pipelines the first of them, and the
median of the seconds counts.

A span is at an edge if it straddles or touches a place where a window of either begins or ends, or from where another
window of ours answers. All are counted over the same spans, those of the documents that the pipelines read. "Readable"
are those at edges that our Predictor finds in the middle of a window, so that the model knows them. A model that was
trained on short texts knows less late in a window: `--window` takes shorter ones.
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
    """What the Predictor finds."""
    return lambda texts: [
        {(span.start, span.end, span.label) for span in document.predicted.spans}
        for document in predictor.predict(texts)
    ]


def stock_pipeline(model: Path, *, window: int, overlap: int, batch_size: int) -> Read:
    """What `transformers.pipeline` finds, with our windows."""
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
    """Those that preprocessing leaves as they are, and that every reader reads right."""
    texts = [one.text for one in made]
    answers = zip(*(read(texts) for read in readers), strict=True)
    right = (one for one, found in zip(made, answers, strict=True) if all(spans == one.spans for spans in found))
    return [one for one in right if processor.preprocess(Document(raw_text=one.text)).text == one.text]


def right_of(asked: Sequence[Spans], answers: Sequence[Spans]) -> str:
    """How many of the spans were found exactly."""
    right = sum(len(spans & found) for spans, found in zip(asked, answers, strict=True))
    return f"{right:,} of {sum(map(len, asked)):,}"


def counter(documents: Sequence[Planted], predictor: Predictor) -> Callable[[Sequence[Spans]], list[str]]:
    """Counts what was found of the planted spans of these documents, and what was named beside them."""
    edges = [at_edges(document, predictor.processor) for document in documents]
    near: list[Spans] = [set(one) for one in edges]
    middle = [(number, span, text) for number, one in enumerate(edges) for span, text in one.items()]
    readable: list[Spans] = [set() for _ in documents]
    for (number, span, text), found in zip(middle, ours(predictor)([text.text for *_, text in middle]), strict=True):
        if text.spans <= found:
            readable[number].add(span)
    far = [document.spans - at for document, at in zip(documents, near, strict=True)]

    def count(answers: Sequence[Spans]) -> list[str]:
        more = sum(len(found - document.spans) for document, found in zip(documents, answers, strict=True))
        return [*(right_of(asked, answers) for asked in (near, readable, far)), f"{more:,}"]

    return count


def with_windows(predictor: Predictor, window: int | None) -> Predictor:
    """The same Predictor with windows of another length, and the same overlap."""
    if window is None:
        return predictor
    known = predictor.processor
    windows = known.windows.model_copy(update={"max_length": window})
    other = Processor(known.tokenizer, known.task, known.preprocess, known.postprocess, windows)
    return predictor.with_processor(other)


COLUMNS = ("", "documents", "a minute", "× best pipeline", "at edges", "readable", "elsewhere", "others named")


def main(
    model: Annotated[Path, typer.Option(help="A folder that training wrote.")] = Path("runs/quickstart/model"),
    documents: Annotated[int, typer.Option(help="How many texts, in all rounds.")] = 1_000,
    pipeline_documents: Annotated[int, typer.Option(help="How many of them the pipelines read.")] = 100,
    words: Annotated[int, typer.Option(help="Of a document.")] = 3_000,
    window: Annotated[int | None, typer.Option(help="Tokens of a window; the model's own if it is left out.")] = None,
    rounds: Annotated[int, typer.Option(help="Over how many rounds they are shared out.")] = 5,
) -> None:
    """Measure and print the table."""
    if not model.is_dir():
        raise typer.BadParameter(f"there is no model in {model}; make one with: make quickstart")
    quiet_libraries()
    warnings.filterwarnings("ignore")  # of the pipeline, about its own use
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
    answers: dict[str, list[Spans]] = {name: [] for name in readers}

    def read(name: str, number: int) -> None:
        part = made[begins[number] :][: share[name]]
        answers[name] += readers[name]([document.text for document in part])[:common]

    seconds = rounds_in_turn({name: lambda number, name=name: read(name, number) for name in readers}, rounds)
    rates = {name: share[name] / value for name, value in seconds.items()}
    best = max(rate for name, rate in rates.items() if name.startswith(PIPELINE))
    count = counter([document for begin in begins for document in made[begin:][:common]], predictor)
    table = Table(title=f"documents of {words:,} words; windows of {window} tokens that share {overlap}")
    for column in COLUMNS:
        table.add_column(column, justify="left" if not column else "right")
    for name, rate in rates.items():
        figures = (f"{rounds * share[name]:,}", f"{60 * rate:.0f}", f"{rate / best:.2f}")
        table.add_row(name, *figures, *count(answers[name]))
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
