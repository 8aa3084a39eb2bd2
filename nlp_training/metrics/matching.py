"""The four span scores of SemEval-2013, which distinguish errors of boundaries and labels."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import datasets
import evaluate

from nlp_training.metrics.counts import precision_recall_f1
from nlp_training.metrics.spans import SpanKey, span_feature, span_keys

_CITATION = """\
@inproceedings{segura-bedmar-etal-2013,
    title = "{S}em{E}val-2013 Task 9: Extraction of Drug-Drug Interactions from Biomedical Texts
             ({DDIE}xtraction 2013)",
    author = "Segura-Bedmar, Isabel and Mart{\\'\\i}nez, Paloma and Herrero-Zazo, Mar{\\'\\i}a",
    year = "2013", url = "https://aclanthology.org/S13-2056/",
}"""

SCHEMES = ("strict", "exact", "partial", "type")
"""What must be correct: boundaries and label; boundaries; boundaries, with overlaps counted as half; the label."""

OUTCOMES = ("correct", "incorrect", "partial", "missed", "spurious")


class SpanMatching(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """The four span scores of SemEval-2013 task 9.1, with their counts.

    Works offline. Each found span is paired with at most one gold span that shares a character with it: one with the
    same boundaries and label, or else with the same boundaries, or else the first unpaired one. For `type` it is the
    one with the same label and the nearest boundaries, or else the first. A found span without a partner is `spurious`,
    a gold span without a partner is `missed`.

    Precision is `(correct + partial / 2) / (correct + incorrect + partial + spurious)`; recall has `missed` instead of
    `spurious`.

    `per_label` of a scheme compares only the spans of one label with the gold of that label. So a span with a wrong
    label is `spurious` for its label, and the gold span is `missed`; `strict` and `exact` are then the same.

    Example:
        >>> gold = [[{"start": 0, "end": 9, "label": "PERSON"}]]
        >>> found = [[{"start": 0, "end": 3, "label": "PERSON"}]]
        >>> scores = SpanMatching().compute(predictions=found, references=gold)
        >>> {name: scores[name]["f1"] for name in scores}
        {'strict': 0.0, 'exact': 0.0, 'partial': 0.5, 'type': 1.0}
        >>> scores["partial"]["per_label"]["PERSON"]["f1"]
        0.5
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Strict, exact, partial and type scores of spans.",
            citation=_CITATION,
            inputs_description="For each document a list of spans with start, end and label.",
            features=datasets.Features({"predictions": [span_feature()], "references": [span_feature()]}),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[dict[str, Any]]], references: Sequence[Sequence[dict[str, Any]]]
    ) -> dict[str, Any]:
        overall = Counter[tuple[str, str]]()
        of_labels = defaultdict[str, Counter[tuple[str, str]]](Counter)
        for found, gold in zip(predictions, references, strict=True):
            found_keys, gold_keys = span_keys(found), span_keys(gold)
            overall.update(match_spans(found_keys, gold_keys))
            for label in {label for *_, label in found_keys | gold_keys}:
                of_labels[label].update(match_spans(_of_label(found_keys, label), _of_label(gold_keys, label)))
        return {
            scheme: {
                **_scores(overall, scheme),
                "per_label": {label: _scores(counts, scheme) for label, counts in sorted(of_labels.items())},
            }
            for scheme in SCHEMES
        }


def match_spans(found: set[SpanKey], gold: set[SpanKey]) -> Counter[tuple[str, str]]:
    """Count the outcomes under each scheme in one document.

    Example:
        >>> counts = match_spans({(0, 4, "A"), (6, 9, "B")}, {(0, 4, "B")})
        >>> counts["strict", "incorrect"], counts["exact", "correct"], counts["type", "spurious"]
        (1, 1, 1)
    """
    right = len(found & gold)
    found_rest, gold_rest = sorted(found - gold), sorted(gold - found)
    places = Counter[bool]()
    labels = Counter[bool]()
    if found_rest and gold_rest:
        places.update(one[:2] == other[:2] for one, other in pair_by_place(found_rest, gold_rest))
        labels.update(one[2] == other[2] for one, other in _pair_by_label(found_rest, gold_rest))
    counts = Counter[tuple[str, str]]()
    counts["strict", "incorrect"] = places.total()
    counts["exact", "correct"] = counts["partial", "correct"] = places[True]
    counts["exact", "incorrect"] = counts["partial", "partial"] = places[False]
    counts["type", "correct"], counts["type", "incorrect"] = labels[True], labels[False]
    for scheme in SCHEMES:
        pairs = labels.total() if scheme == "type" else places.total()
        counts[scheme, "correct"] += right
        counts[scheme, "missed"] = len(gold_rest) - pairs
        counts[scheme, "spurious"] = len(found_rest) - pairs
    return counts


def pair_by_place(found: Sequence[SpanKey], gold: Sequence[SpanKey]) -> Iterator[tuple[SpanKey, SpanKey]]:
    """Pair spans with the same boundaries, then, in text order, each with the first unpaired span that it overlaps.

    Args:
        found, gold: sorted spans, without those that are in both.

    Yields:
        A found span and its gold span; each at most once.

    Example:
        >>> list(pair_by_place([(0, 4, "A"), (6, 9, "B")], [(0, 4, "B")]))
        [((0, 4, 'A'), (0, 4, 'B'))]
    """
    free = _Free(gold)
    unpaired = []
    for one in found:
        same = [index for index in free.overlapping(one) if gold[index][:2] == one[:2]]
        if same:
            yield one, free.take(same[0])
        else:
            unpaired.append(one)
    for one in unpaired:
        others = free.overlapping(one)
        if others:
            yield one, free.take(others[0])


def _pair_by_label(found: Sequence[SpanKey], gold: Sequence[SpanKey]) -> Iterator[tuple[SpanKey, SpanKey]]:
    """Pair spans in text order, each with the nearest overlapping span of its label, or else with the first."""
    free = _Free(gold)
    for one in found:
        others = free.overlapping(one)
        same_label = [index for index in others if gold[index][2] == one[2]]
        if same_label:
            yield one, free.take(min(same_label, key=lambda index: _distance(one, gold[index])))
        elif others:
            yield one, free.take(others[0])


def _distance(one: SpanKey, other: SpanKey) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


class _Free:
    """Unpaired gold spans."""

    def __init__(self, gold: Sequence[SpanKey]) -> None:
        self._gold = gold
        self._starts = [start for start, *_ in gold]
        self._reach = list(accumulate((end for _, end, _ in gold), max))
        self._taken: set[int] = set()

    def overlapping(self, span: SpanKey) -> list[int]:
        """Return the indices of those that share a character with `span`."""
        start, end, _ = span
        near = range(bisect_right(self._reach, start), bisect_left(self._starts, end))
        return [index for index in near if index not in self._taken and self._gold[index][1] > start]

    def take(self, index: int) -> SpanKey:
        self._taken.add(index)
        return self._gold[index]


def _of_label(spans: set[SpanKey], label: str) -> set[SpanKey]:
    return {span for span in spans if span[2] == label}


def _scores(outcomes: Counter[tuple[str, str]], scheme: str) -> dict[str, Any]:
    counts = {outcome: outcomes[scheme, outcome] for outcome in OUTCOMES}
    right = counts["correct"] + counts["partial"] / 2
    paired = counts["correct"] + counts["incorrect"] + counts["partial"]
    return {**precision_recall_f1(right, paired + counts["spurious"], paired + counts["missed"]), **counts}
