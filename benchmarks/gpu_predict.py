"""Documents per second, latency and memory of prediction; for benchmarks/gpu.py."""

import gc
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from gpu_machine import operations_per_document, read_peaks, save_untrained, wait
from gpu_settings import Clock, Row, Settings, failure, no_time
from side_by_side import make_texts, share_outside
from transformers import pipeline
from transformers.utils import is_flash_attn_2_available

from nlp_inference import Predictor
from nlp_inference._utils.quiet import quiet_libraries

Run = Callable[[Sequence[str]], object]
SLOW = 3.0
"""Seconds of a round above which an eighth of the texts is measured."""


class Variant(NamedTuple):
    """A way to predict.

    Attributes:
        name: the name in the table.
        load: loads it.
        precision: the name of its peak.
        of_pipeline: whether it is the baseline.
        compiled: whether the first texts compile the model.
    """

    name: str
    load: Callable[[], Run]
    precision: str
    of_pipeline: bool = False
    compiled: bool = False


def predictor_run(
    model: Path, settings: Settings, dtype: str, *, attention: str | None = None, compiled: bool = False, **options: Any
) -> Run:
    """Return the `predict` of a Predictor, with another attention or a compiled model."""
    predictor = Predictor.from_pretrained(model, backend="torch", device=settings.device, dtype=dtype, **options)
    backend: Any = predictor.backend
    if attention is not None:
        backend.model.set_attn_implementation(attention)
    if compiled:
        backend.model = torch.compile(backend.model, dynamic=True)
    return predictor.predict


def pipeline_run(model: Path, settings: Settings, dtype: str, *, batch_size: int, by_length: bool = False) -> Run:
    """Return a call of `transformers.pipeline` as a user would write it, or with texts sorted by length."""
    stock = pipeline(
        "token-classification",
        model=str(model),
        aggregation_strategy="simple",
        device=settings.device,
        dtype=getattr(torch, dtype),
    )

    def run(texts: Sequence[str]) -> object:
        ordered = sorted(texts, key=len) if by_length else list(texts)
        return stock(ordered, batch_size=batch_size)

    return run


def variants(model: Path, settings: Settings) -> Iterator[Variant]:
    """Yield what is compared. The baseline is in the lowest precision that users choose on the device."""
    low = "float16" if settings.on_gpu else "float32"
    for size in settings.batch_sizes:
        yield Variant(
            f"pipeline, {low}, batch {size}",
            lambda size=size: pipeline_run(model, settings, low, batch_size=size),
            low,
            of_pipeline=True,
        )
    best = settings.batch_sizes[-2]
    yield Variant(
        f"pipeline, {low}, batch {best}, texts sorted by length",
        lambda: pipeline_run(model, settings, low, batch_size=best, by_length=True),
        low,
        of_pipeline=True,
    )
    for dtype in ("float32", "bfloat16", "float16"):
        for attention in ("eager", "sdpa"):
            yield Variant(
                f"Predictor, {dtype}, {attention}",
                lambda dtype=dtype, attention=attention: predictor_run(model, settings, dtype, attention=attention),
                dtype,
            )
    for budget in settings.budgets:
        yield Variant(
            f"Predictor, bfloat16, sdpa, batches of {budget:,} tokens",
            lambda budget=budget: predictor_run(model, settings, "bfloat16", token_budget=budget),
            "bfloat16",
        )
    if settings.on_gpu and is_flash_attn_2_available():
        yield Variant(
            "Predictor, bfloat16, flash_attention_2 (unpadded)",
            lambda: predictor_run(model, settings, "bfloat16", attention="flash_attention_2"),
            "bfloat16",
        )
    for dtype in ("bfloat16", "float16") if settings.compile else ():
        yield Variant(
            f"Predictor, {dtype}, sdpa, torch.compile",
            lambda dtype=dtype: predictor_run(model, settings, dtype, compiled=True),
            dtype,
            compiled=True,
        )


def predict_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield documents per second of each variant, measured one after the other, with a free device for each."""
    be_quiet()
    model = save_untrained(folder / "untrained", settings.shape)
    texts = make_texts(settings.documents)
    processor = Predictor.from_pretrained(model, device="cpu").processor
    lengths = [len(ids) for ids in processor.tokenizer(texts)["input_ids"]]
    peaks, work = read_peaks(folder), operations_per_document(settings.shape, lengths)
    words = sum(len(text.split()) for text in texts) / len(texts)
    yield {"": f"({len(texts):,} texts, {words:.0f} words and {sum(lengths) / len(lengths):.0f} tokens on average)"}
    best = 0.0
    for variant in variants(model, settings):
        if not clock.has(12):
            yield no_time(variant.name)
            continue
        try:
            measured = measure(variant, texts, settings)
        except Exception as error:  # noqa: BLE001 - an attention or a compiler that is not available here
            yield failure(variant.name, error)
            continue
        finally:
            _free(settings)
        best = max(best, measured["rate"]) if variant.of_pipeline else best
        yield _row(variant, measured, best=best, work=work, peak=peaks.get(variant.precision))


def measure(variant: Variant, texts: Sequence[str], settings: Settings) -> dict[str, float]:
    """Return the documents per second, the seconds of the first round, memory and the share outside."""
    before = torch.cuda.memory_allocated(settings.device) if settings.on_gpu else 0
    run = variant.load()
    few = texts[: max(1, len(texts) // 8)]
    first = _seconds(run, few, settings)  # compiles, and allocates
    if variant.compiled:
        run(texts)  # so that no shape of a batch is new
    used = few if _seconds(run, few, settings) * 8 > SLOW else texts
    if settings.on_gpu:
        torch.cuda.reset_peak_memory_stats(settings.device)
    seconds = statistics.median(_seconds(run, used, settings) for _ in range(settings.rounds))
    found = {"rate": len(used) / seconds, "first": first}
    if settings.on_gpu:
        found["memory"] = torch.cuda.max_memory_allocated(settings.device) - before
    predictor = getattr(run, "__self__", None)
    if isinstance(predictor, Predictor):
        found["outside"] = share_outside(predictor, used)
    return found


def _row(variant: Variant, measured: dict[str, float], *, best: float, work: float, peak: float | None) -> Row:
    row: Row = {"": variant.name, "documents / s": f"{measured['rate']:.0f}"}
    if not variant.of_pipeline and best:
        row["× best pipeline"] = f"{measured['rate'] / best:.2f}"
    if peak:
        row["of the peak"] = f"{measured['rate'] * work / peak:.1%}"
    if "outside" in measured:
        row["outside"] = f"{measured['outside']:.0%}"
    if "memory" in measured:
        row["GPU memory"] = f"{measured['memory'] / 2**30:.2f} GiB"
    row["first texts"] = f"{measured['first']:.1f} s"
    return row


def latency_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield the latency of single texts of about 20 words."""
    be_quiet()
    model = save_untrained(folder / "untrained_for_latency", settings.shape)
    texts = make_texts(settings.calls, words_mean=20, words_sigma=0.4, words_max=60)
    low = "float16" if settings.on_gpu else "float32"
    found = [
        Variant(f"pipeline, {low}", lambda: pipeline_run(model, settings, low, batch_size=1), low),
        *(
            Variant(f"Predictor, {dtype}", lambda dtype=dtype: predictor_run(model, settings, dtype), dtype)
            for dtype in ("float32", "bfloat16", "float16")
        ),
    ]
    if settings.compile:
        found.append(
            Variant(f"Predictor, {low}, torch.compile", lambda: predictor_run(model, settings, low, compiled=True), low)
        )
    for variant in found:
        if not clock.has(10):
            yield no_time(variant.name)
            continue
        try:
            run = variant.load()
            for text in texts:
                run([text])
            seconds = sorted(_seconds(run, [text], settings) for text in texts)
        except Exception as error:  # noqa: BLE001 - as in predict_rows
            yield failure(variant.name, error)
            continue
        finally:
            _free(settings)
        at = {
            name: 1000 * seconds[min(len(seconds) - 1, int(share * len(seconds)))]
            for name, share in PERCENTILES.items()
        }
        yield {"": variant.name, **{name: f"{value:.2f} ms" for name, value in at.items()}}


PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _seconds(run: Run, texts: Sequence[str], settings: Settings) -> float:
    wait(settings)
    started = time.perf_counter()
    run(texts)
    wait(settings)
    return time.perf_counter() - started


def _free(settings: Settings) -> None:
    if settings.compile:
        torch._dynamo.reset()  # noqa: SLF001 - the documented way to forget compiled code
    if settings.on_gpu:
        gc.collect()
        torch.cuda.empty_cache()


def be_quiet() -> None:
    """Hide warnings and progress bars."""
    quiet_libraries()
    warnings.filterwarnings("ignore")  # the pipeline warns about how it is called
