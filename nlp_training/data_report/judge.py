"""Conversion of measures that are out of bounds to findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nlp_inference import Processor
from nlp_training.data.overlaps import DroppedSpan
from nlp_training.data.unknown_labels import DroppedLabels
from nlp_training.data_report.duplicates import Duplicates
from nlp_training.data_report.findings import SHOWN, Finding, Severity, Tally, listed, percent, place_of
from nlp_training.data_report.gold_limit import advice_on, lost_too_much, percent_of
from nlp_training.data_report.numbers import outliers
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.data_report.surfaces import Surface, Surfaces
from nlp_training.gold import document_metric

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
TRAIN = "train"
_UNKNOWN = 0.01
"""The share of unknown tokens above which they are a warning."""
_INCONSISTENT = 0.05
"""The share of spans above which inconsistent annotation is a warning."""

Measures = Mapping[str, SplitMeasures]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of errors and of rare labels.

    Args:
        min_ceiling: the smallest score of perfect outputs that is not an error.
        max_lost_gold: the largest share of gold that no model can predict that is not an error.
        max_leakage: the largest share of a split's documents whose text is also in the training split that is not an
            error.
        rare: a label with fewer examples is rare.
    """

    min_ceiling: float = 0.9
    max_lost_gold: float = 0.1
    max_leakage: float = 0.01
    rare: int = 10


def judge(
    measures: Measures, duplicates: Duplicates, surfaces: Surfaces, *, processor: Processor, bounds: Bounds
) -> Iterator[Finding]:
    """Yield the findings of all measures."""
    metric = document_metric(processor.task.needs)
    best, is_share = metric.best, metric.greater_is_better(metric.best)
    for split, measured in measures.items():
        labels = getattr(processor.task, "labels", None)
        yield from _judge_ceiling(split, measured, best=best, is_share=is_share, bounds=bounds, labels=labels)
    yield from _judge_duplicates(measures, duplicates, bounds)
    yield from _judge_labels(measures, getattr(processor.task, "labels", ()), bounds)
    for split, measured in measures.items():
        yield from _judge_spans(split, measured)
        yield from _judge_numbers(split, measured)
        yield from _judge_texts(split, measured)
    yield from _judge_surfaces(surfaces)
    yield from _judge_transforms(measures, processor)


def _judge_ceiling(
    split: str, measured: SplitMeasures, *, best: str, is_share: bool, bounds: Bounds, labels: tuple[str, ...] | None
) -> Iterator[Finding]:
    yield from measured.failed.finding(ERROR, "failed", split, "document that cannot be encoded or decoded")
    if not measured.lost:
        return
    ceiling = measured.ceiling.get(best)
    stops = lost_too_much(measured, bounds.max_lost_gold)
    too_low = is_share and ceiling is not None and ceiling < bounds.min_ceiling
    text = f"gold annotation, of {measured.annotations:,}, that no model can predict"
    text += "" if ceiling is None else f": {best} {ceiling:.4f} at best"
    if stops:
        allowed = percent_of(bounds.max_lost_gold)
        text += f"; more than data.max_lost_gold allows ({allowed}): {advice_on(measured.lost)}"
    examples = tuple(f"{place_of(one.document)}: {one.description}: {one.cause}" for one in measured.lost[:SHOWN])
    yield Finding(ERROR if too_low or stops else WARNING, "ceiling", split, len(measured.lost), text, examples)
    scores: dict[str, Any] = measured.ceiling.get("per_label", {})
    hopeless = [
        label
        for label, one in scores.items()
        if (labels is None or label in labels) and one["support"] >= max(1, bounds.rare) and one["recall"] == 0
    ]
    if hopeless:
        text = f"label that no model can predict correctly: {listed(hopeless)}"
        yield Finding(ERROR, "hopeless-label", split, len(hopeless), text)


def _judge_duplicates(measures: Measures, duplicates: Duplicates, bounds: Bounds) -> Iterator[Finding]:
    for (earlier, split), tally in duplicates.exact.items():
        share = percent(tally.count, measures[split].documents)
        if earlier == split:
            yield from tally.finding(NOTE, "repeated", split, f"document with the text of an earlier one ({share})")
            continue
        too_many = earlier == TRAIN and tally.count > bounds.max_leakage * measures[split].documents
        text = f"document whose text is also in {earlier} ({share})"
        yield from tally.finding(ERROR if too_many else WARNING, "leaked", split, text)
    for (earlier, split), tally in duplicates.near.items():
        share = percent(tally.count, measures[split].documents)
        if earlier == split:
            yield from tally.finding(
                NOTE, "near-repeated", split, f"document almost the same as an earlier one ({share})"
            )
        else:
            text = f"document almost the same as one of {earlier} ({share})"
            yield from tally.finding(WARNING, "near-leaked", split, text)
    for split, tally in duplicates.contradictions.items():
        text = "document with the text of an earlier one, but different gold"
        yield from tally.finding(WARNING, "contradiction", split, text)


def _judge_labels(measures: Measures, known: tuple[str, ...], bounds: Bounds) -> Iterator[Finding]:
    learnt = measures[TRAIN].labels if TRAIN in measures else {}
    labels = list(dict.fromkeys([*known, *learnt]))
    for split, measured in measures.items():
        missing = [label for label in labels if label not in measured.labels]
        if missing:
            text = (
                "label of the task that does not occur and cannot be learned"
                if split == TRAIN
                else "label that does not occur and is not measured"
            )
            yield Finding(WARNING, "missing-label", split, len(missing), f"{text}: {listed(missing)}")
        counts = sorted((count, label) for label, count in measured.labels.items() if count < bounds.rare)
        if counts:
            names = listed([f"{label} {count}" for count, label in counts])
            text = f"label with fewer than {bounds.rare} examples: {names}"
            yield Finding(WARNING if split == TRAIN else NOTE, "rare-label", split, len(counts), text)


def _judge_numbers(split: str, measured: SplitMeasures) -> Iterator[Finding]:
    for name, pairs in measured.numbers.items():
        numbers = [number for number, _ in pairs]
        if len(numbers) > 1 and min(numbers) == max(numbers):
            text = f"value {name!r} that is {numbers[0]:g} in all documents: R² and correlations are undefined"
            yield Finding(WARNING, "constant-value", split, 1, text)
        tally = Tally()
        for index, away in outliers(numbers):
            number, place = pairs[index]
            told = "{}: {} is {:g}, {:.0f} standard deviations from the mean of the others"
            tally.add(partial(told.format, place, name, number, away))
        yield from tally.finding(WARNING, "outlier", split, f"value {name!r} that is far from all others")


def _judge_spans(split: str, measured: SplitMeasures) -> Iterator[Finding]:
    yield from measured.blank_edges.finding(WARNING, "blank-edge", split, "span with white space at an edge")
    yield from measured.punctuation_edges.finding(NOTE, "punctuation-edge", split, "span with punctuation at an edge")
    yield from measured.divided.finding(
        WARNING,
        "divided",
        split,
        "span that no window contains completely; increase windows.max_length or windows.overlap",
    )


def _judge_texts(split: str, measured: SplitMeasures) -> Iterator[Finding]:
    yield from measured.empty.finding(WARNING, "empty-text", split, "document with an empty text")
    yield from measured.emptied.finding(WARNING, "emptied-text", split, "text that preprocessing leaves empty")
    share = percent(measured.truncated.count, measured.documents)
    yield from measured.truncated.finding(WARNING, "truncated", split, f"text that is not read to its end ({share})")
    share = percent(measured.long.count, measured.documents)
    yield from measured.long.finding(NOTE, "long-text", split, f"text of more than one window ({share})")
    unknown = measured.unknown_tokens.total()
    if unknown:
        severity = WARNING if unknown > _UNKNOWN * measured.tokens else NOTE
        surfaces = tuple(f"{surface!r} {count}" for surface, count in measured.unknown_tokens.most_common(SHOWN))
        text = f"token that the tokenizer does not know ({percent(unknown, measured.tokens)})"
        yield Finding(severity, "unknown-token", split, unknown, text, surfaces)


def _judge_surfaces(surfaces: Surfaces) -> Iterator[Finding]:
    spans, minority, missed = surfaces.annotated, surfaces.minority, surfaces.inconsistent
    if minority:
        severity = WARNING if minority > _INCONSISTENT * spans else NOTE
        text = f"span with a different label than most spans of the same words ({percent(minority, spans)})"
        examples = tuple(_show(surface) for surface in surfaces.ambiguous(shown=SHOWN))
        yield Finding(severity, "ambiguous-surface", "all", minority, text, examples)
    if missed:
        severity = WARNING if missed > _INCONSISTENT * spans else NOTE
        text = (
            "occurrence that is annotated although the same words mostly are not, or the reverse "
            f"({percent(missed, spans)} of the number of spans)"
        )
        examples = tuple(_show(surface) for surface in surfaces.missed(shown=SHOWN))
        yield Finding(severity, "inconsistent-surface", "all", missed, text, examples)


def _show(surface: Surface) -> str:
    labels = ", ".join(f"{label} {count}" for label, count in surface.labels.items())
    rest = f", not annotated {surface.unannotated}" if surface.unannotated else ""
    return f"{surface.text!r}: {labels}{rest}"


def _judge_transforms(measures: Measures, processor: Processor) -> Iterator[Finding]:
    for split, measured in measures.items():
        if measured.changed_documents:
            text = f"document changed by transforms: {', '.join(measured.changed_shares())}"
            yield Finding(NOTE, "changed", split, measured.changed_documents, text)
    names = dict.fromkeys(step.name for step in processor.preprocess)
    idle = [name for name in names if not any(measured.changed[name] for measured in measures.values())]
    if idle and measures:
        yield Finding(NOTE, "idle-transform", "all", len(idle), f"transform that changed no document: {listed(idle)}")


def of_problems(kind: str, split: str, texts: list[str]) -> Finding:
    """Return the finding for problems of one kind in a split, for which training would raise an error."""
    examples = tuple(text.removeprefix(f"{split}: ") for text in texts)
    return Finding(ERROR, kind, split, len(texts), _PROBLEMS[kind], examples)


def of_unknown_labels(split: str, texts: list[str]) -> Finding:
    """Return the finding for labels of a validation or test split that the task does not have."""
    examples = tuple(text.removeprefix(f"{split}: ") for text in texts)
    return Finding(
        WARNING, "unknown-label", split, len(texts), "label that the task does not have: all are misses", examples
    )


def of_dropped(split: str, dropped: Sequence[DroppedSpan], how: str) -> Finding:
    """Return the finding for the overlapping gold spans that `data.overlapping_spans` dropped."""
    text = f"overlapping gold span that was dropped, in training and evaluation (data.overlapping_spans: {how})"
    return Finding(WARNING, "overlap-dropped", split, len(dropped), text, tuple(map(str, dropped)))


def of_dropped_labels(split: str, dropped: DroppedLabels) -> Finding:
    """Return the finding for the gold that `data.unknown_labels: drop` dropped."""
    text = "gold annotation that was dropped, because the task does not have its label (data.unknown_labels: drop)"
    return Finding(WARNING, "label-dropped", split, dropped.labels.total(), text, (str(dropped),))


_PROBLEMS = {
    "unreadable": "record or source that cannot be read",
    "no-split": "split that cannot be split off from the training documents",
    "empty": "empty split",
    "nothing-to-learn": "split without anything to learn",
    "no-processor": "processor that cannot be built, so no further checks were made",
    "repeated-id": "document with the id of another one",
    "unknown-label": "label that the task does not have",
    "no-gold": "document without gold",
    "overlap": "span that overlaps another one, which the task cannot express",
    "wrong-gold": "document with another kind of gold than the task learns from",
}
