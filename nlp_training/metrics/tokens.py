"""Token scores of spans."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import evaluate
import regex

from nlp_inference.document import Span
from nlp_training.metrics.counts import as_floats, averages, tabulate
from nlp_training.metrics.spans import count_spans, per_label, span_feature

_TOKEN = regex.compile(r"\w+|[^\w\s]")


class TokenF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Precision, recall and F1 of labelled tokens: a token is right if its label is; tokens outside do not count.

    Works offline. Half a name found is half right, and a long span weighs more than a short one. The averages over
    labels are as those of `SpanF1`.

    Example:
        >>> gold = [[{"start": 0, "end": 3, "label": "PERSON"}]]  # tokens 0, 1 and 2
        >>> found = [[{"start": 1, "end": 3, "label": "PERSON"}]]
        >>> scores = TokenF1().compute(predictions=found, references=gold)
        >>> scores["precision"], round(scores["recall"], 3), scores["f1"]
        (1.0, 0.667, 0.8)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of labelled tokens.",
            citation="",
            inputs_description="For each document a list of spans; start and end are numbers of tokens.",
            features=datasets.Features({"predictions": [span_feature()], "references": [span_feature()]}),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[dict[str, Any]]], references: Sequence[Sequence[dict[str, Any]]]
    ) -> dict[str, Any]:
        pairs = zip(predictions, references, strict=True)
        table = tabulate(count_spans(_tokens(found), _tokens(gold)) for found, gold in pairs)
        mean = as_floats(averages(table.totals()))
        support = int(table.totals()[:, 2].sum())
        return {**mean["micro"], "support": support, "averages": mean, "per_label": per_label(table)}


def token_spans(text: str, *annotations: Iterable[Span]) -> list[list[dict[str, Any]]]:
    """Spans of a text as stretches of its tokens, whatever tokenizer a model has.

    A token is a run of letters, digits and underscores, or any other character that is not white space. A span has the
    tokens that it shares a character with.

    Args:
        text: the raw text.
        annotations: sets of spans in its code points.

    Example:
        >>> token_spans("Ana-Maria, Rome", [Span(start=4, end=15, label="X")])
        [[{'start': 2, 'end': 5, 'label': 'X'}]]
    """
    sets = [list(spans) for spans in annotations]
    if not any(sets):
        return [[] for _ in sets]
    places = [match.span() for match in _TOKEN.finditer(text)]
    starts, ends = [start for start, _ in places], [end for _, end in places]
    return [
        [
            {"start": bisect_right(ends, span.start), "end": bisect_left(starts, span.end), "label": span.label}
            for span in spans
        ]
        for spans in sets
    ]


def _tokens(spans: Iterable[dict[str, Any]]) -> set[tuple[int, int, str]]:
    return {(token, token + 1, span["label"]) for span in spans for token in range(span["start"], span["end"])}
