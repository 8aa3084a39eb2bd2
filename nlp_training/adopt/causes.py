"""The causes of differences between an adopted model and the stock way of using its checkpoint."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from types import MappingProxyType

import numpy as np

from nlp_inference import Annotation, Document, Span, Task
from nlp_inference.tasks import TokenClassification
from nlp_training.adopt.heads.base import StockPrediction

SAME_SPAN = "lower-cased word"
"""The cause of spans that agree, but for which the pipeline does not return their text."""

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "the pipeline fails": "The stock code raises an error, usually because the text is too long for the model.",
        "it fails": "The adopted model raises an error on this text.",
        "truncation": "The stock code reads only the beginning of the text and does not say so.",
        "unknown tags": "The pipeline knows only B- and I-: other letters become part of the label, or cut spans.",
        "preprocessing": "The transforms that were added changed the text.",
        "chosen settings": "Settings that were stated or chosen on the data, such as aggregation or thresholds.",
        "offsets": "The same words, but with spaces or half a character at an edge.",
        "cut word": "The pipeline decides for each piece of a word, and begins or ends a span inside of it.",
        "invalid tag sequence": "The best tags form no valid sequence; the pipeline keeps them, decoding repairs them.",
        "impossible answer": "The best end is before the best start, or in the question; the best valid pair is taken.",
        "window merge": "The text has several windows, whose outputs are joined before decoding.",
        "activation": "The pipeline applies a sigmoid to a number.",
        "other": "None of the above, such as another rule for adjacent spans.",
        SAME_SPAN: "The same span, but the pipeline returns it in lower case, with other spaces or without accents.",
    }
)
"""The causes, in the order of tables, each with its meaning."""

Spans = Sequence[Span]


@dataclass(frozen=True)
class Case:
    """A text, with what is known about both predictions.

    Attributes:
        document: with the prediction of the adopted model.
        stock: the stock prediction.
        plain: the prediction of the adopted model without added transforms and chosen settings, if there are any.
        has_preprocessing: whether transforms were added.
        task: the task.
        tag_ids: the id in the scheme of each tag of the checkpoint, for a token classifier.
    """

    document: Document
    stock: StockPrediction
    plain: Annotation | None
    has_preprocessing: bool
    task: Task
    tag_ids: Mapping[str, int]


def cause_of(case: Case, stock: Spans, adopted: Spans) -> str:
    """Return the cause of a difference, a key of `CAUSES`.

    Args:
        case: the text.
        stock: the differing spans of the stock prediction; empty for predictions about the complete text.
        adopted: those of the adopted model.
    """
    for name, applies in _TESTS:
        if applies(case, stock, adopted):
            return name
    return "other"


def _fails(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001 - one signature
    return case.stock.annotation is None


def _truncated(case: Case, stock: Spans, adopted: Spans) -> bool:
    return bool(adopted) and not stock and all(span.end > case.stock.read for span in adopted)


def _unknown_tags(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001
    labels = getattr(case.task, "labels", None)
    return bool(case.tag_ids) and labels is not None and any(span.label not in labels for span in stock)


def _preprocessed(case: Case, stock: Spans, adopted: Spans) -> bool:
    return case.has_preprocessing and bool(case.document.edits) and _plain_agrees(case, stock, adopted)


def _chosen(case: Case, stock: Spans, adopted: Spans) -> bool:
    return _plain_agrees(case, stock, adopted)


def _plain_agrees(case: Case, stock: Spans, adopted: Spans) -> bool:
    """Return whether the prediction without changes equals the stock one where they differ."""
    if case.plain is None or case.stock.annotation is None:
        return False
    if not stock and not adopted:
        labels = [{one.label for one in found.categories} for found in (case.plain, case.stock.annotation)]
        return (
            labels[0] == labels[1] and not case.plain.values and case.plain.generated == case.stock.annotation.generated
        )
    begin, end = _region((*stock, *adopted))
    touching = {_key(span) for span in case.plain.spans if span.start < end and begin < span.end}
    return touching == {_key(span) for span in stock}


def _only_edges(case: Case, stock: Spans, adopted: Spans) -> bool:
    """Return whether the spans differ only by spaces and combining characters at their edges."""
    text = case.document.raw_text
    return (
        len(stock) == len(adopted) > 0
        and [span.label for span in stock] == [span.label for span in adopted]
        and [_core(text, span) for span in stock] == [_core(text, span) for span in adopted]
    )


def _core(text: str, span: Span) -> str:
    return "".join(one for one in text[span.start : span.end].strip() if not unicodedata.combining(one))


def _cuts_word(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001
    text = case.document.raw_text
    return any(is_inside_word(text, edge) for span in stock for edge in (span.start, span.end))


def is_inside_word(text: str, index: int) -> bool:
    """Return whether an index is between two characters of a word.

    Example:
        >>> is_inside_word("New York", 2), is_inside_word("New York", 3)
        (True, False)
    """
    if not 0 < index < len(text):
        return False
    before, after = text[index - 1], text[index]
    return before.isalnum() and (after.isalnum() or unicodedata.combining(after) > 0)


def _invalid_tags(case: Case, stock: Spans, adopted: Spans) -> bool:
    """Return whether the best tags of the words are no valid sequence around the difference."""
    task = case.task
    if not case.tag_ids or not isinstance(task, TokenClassification):
        return False
    text = case.document.raw_text
    first = [one for one in case.stock.tags if not is_inside_word(text, one[0])]
    ids = np.array([case.tag_ids.get(tag, 0) for _, _, tag in first], dtype=np.int64)
    begin, end = _region((*stock, *adopted))
    wrong = task.tag_scheme.misplaced(ids)
    return any(first[max(0, position - 1)][0] < end and first[position][1] >= begin for position in wrong)


def _impossible(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001
    return case.stock.is_impossible


def _several_windows(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001
    return case.document.coverage is not None and case.document.coverage.windows > 1


def _squashed(case: Case, stock: Spans, adopted: Spans) -> bool:  # noqa: ARG001
    """Return whether the numbers of the pipeline are the sigmoid of those of the model."""
    values = case.document.predicted.values if case.document.predicted is not None else {}
    other = case.stock.annotation.values if case.stock.annotation is not None else {}
    return bool(other) and all(
        name in values and abs(_sigmoid(values[name]) - value) < 1e-3 for name, value in other.items()
    )


def _sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value)) if value > -500 else 0.0


def _key(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def _region(spans: Sequence[Span]) -> tuple[int, int]:
    return min((span.start for span in spans), default=0), max((span.end for span in spans), default=0)


def is_rewritten(word: str, surface: str) -> bool:
    """Return whether the text that a pipeline returns for a span is not that of the document.

    Example:
        >>> is_rewritten("rome", "Rome"), is_rewritten(" Rome", "Rome")
        (True, False)
    """
    return word.strip() != surface.strip()


_TESTS: tuple[tuple[str, Callable[[Case, Spans, Spans], bool]], ...] = (
    ("the pipeline fails", _fails),
    ("truncation", _truncated),
    ("unknown tags", _unknown_tags),
    ("preprocessing", _preprocessed),
    ("chosen settings", _chosen),
    ("offsets", _only_edges),
    ("cut word", _cuts_word),
    ("invalid tag sequence", _invalid_tags),
    ("activation", _squashed),
    ("impossible answer", _impossible),
    ("window merge", _several_windows),
)
"""How each cause is recognized; the first one that applies is the cause."""
