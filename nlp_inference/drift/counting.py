"""Computation of the profile of many predicted documents at once, with array operations."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Annotation, Document
from nlp_inference.document.annotation import qualified
from nlp_inference.drift.bins import LENGTHS, RATES, SHARES, Bins
from nlp_inference.drift.characters import CHARACTER_CLASSES, count_character_classes
from nlp_inference.drift.profile import Counts, Profile
from nlp_inference.encoding import EncodedDocument
from nlp_inference.tasks.numeric import relative_bin

Served = tuple[Document, EncodedDocument]
"""A document with its prediction, and its encoding."""

_NOTHING = Annotation()


def bin_of_any_value(name: str, value: float) -> str:  # noqa: ARG001 - of any name
    """Return the bin of a predicted value of which no usual size is known; see `relative_bin`."""
    return relative_bin(value)


def profile_documents(
    served: Sequence[Served],
    *,
    unknown_id: int | None,
    transforms: Sequence[str],
    bin_value: Callable[[str, float], str] = bin_of_any_value,
) -> Profile:
    """Count documents.

    Args:
        served: each document with its prediction, and its encoding.
        unknown_id: the id of the vocabulary's unknown token, if it has one.
        transforms: names of the transforms that may change a text, including those that change none.
        bin_value: returns the name of the bin of a predicted value, from its name and number; `Task.value_bin`.
    """
    documents = [document for document, _ in served]
    texts = [document.raw_text + (document.raw_text_pair or "") for document in documents]
    annotations = [(document.predicted or _NOTHING).of_all_heads() for document in documents]
    characters = np.array([len(text) for text in texts], dtype=np.int64)
    tokens, unknown = _count_tokens([encoded for _, encoded in served], unknown_id)
    classes = count_character_classes(texts).T
    categories = _count_categories(annotations)
    spans = np.array([sum(len(one.spans) for one in heads.values()) for heads in annotations], dtype=np.int64)
    return Profile(
        documents=len(documents),
        characters=_histogram(LENGTHS, characters),
        tokens=_histogram(LENGTHS, tokens),
        unknown_tokens=_histogram(SHARES, _ratio(unknown, tokens)),
        character_classes=dict(zip(CHARACTER_CLASSES, _histograms(SHARES, _ratio(classes, characters)), strict=True)),
        changed=dict.fromkeys(transforms, 0) | Counter(name for one in documents for name in _changed_by(one)),
        truncated=sum(encoded.truncated for _, encoded in served),
        span_rate=_histogram(RATES, 1000 * _ratio(spans, characters)),
        labels=Counter(label for heads in annotations for label in _span_labels(heads)),
        relations=Counter(label for heads in annotations for label in _relation_labels(heads)),
        values=_count_values(annotations, bin_value),
        categories=categories.get("", {}),
        head_categories={head: counts for head, counts in categories.items() if head},
        generated=_count_lengths([one.generated for heads in annotations for one in heads.values() if one.generated]),
    )


def _count_lengths(texts: Sequence[Sequence[str]]) -> Counts:
    """Count documents by the characters of their texts."""
    lengths = [sum(map(len, of_document)) for of_document in texts]
    return _histogram(LENGTHS, np.array(lengths, dtype=np.int64)) if lengths else {}


def _span_labels(heads: Mapping[str, Annotation]) -> set[str]:
    return {qualified(head, span.label) for head, one in heads.items() for span in one.spans}


def _relation_labels(heads: Mapping[str, Annotation]) -> set[str]:
    return {qualified(head, relation.label) for head, one in heads.items() for relation in one.relations}


def _count_categories(annotations: Sequence[Mapping[str, Annotation]]) -> dict[str, Counts]:
    """Count the best category of each document, for each head."""
    counts: dict[str, Counter[str]] = {}
    for heads in annotations:
        for head, one in heads.items():
            if one.categories:
                counts.setdefault(head, Counter())[one.categories[0].label] += 1
    return {head: dict(found) for head, found in counts.items()}


def _count_values(
    annotations: Sequence[Mapping[str, Annotation]], bin_value: Callable[[str, float], str]
) -> dict[str, Counts]:
    counts: dict[str, Counter[str]] = {}
    for heads in annotations:
        for head, one in heads.items():
            for own, value in one.values.items():
                name = qualified(head, own)
                counts.setdefault(name, Counter())[bin_value(name, value)] += 1
    return {name: dict(found) for name, found in counts.items()}


def _count_tokens(
    encoded: Sequence[EncodedDocument], unknown_id: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of tokens and of unknown tokens, each `[documents]`, including those of text pairs."""
    pieces = [
        ids for one in encoded for ids in ((one.token_ids,) if one.pair_ids is None else (one.token_ids, one.pair_ids))
    ]
    tokens = np.array(
        [len(one.token_ids) + (0 if one.pair_ids is None else len(one.pair_ids)) for one in encoded], dtype=np.int64
    )
    if unknown_id is None or not tokens.any():
        return tokens, np.zeros_like(tokens)
    sums = np.append(0, np.cumsum(np.concatenate(pieces) == unknown_id))
    ends = np.cumsum(tokens)
    return tokens, sums[ends] - sums[ends - tokens]


def _changed_by(document: Document) -> set[str]:
    return {record.transform for record in (*document.edits, *document.edits_pair)}


def _ratio(part: NDArray[np.integer], whole: NDArray[np.integer]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = part / np.maximum(whole, 1)
    return ratio


def _histogram(bins: Bins, values: NDArray[np.number]) -> Counts:
    return _histograms(bins, values[None])[0]


def _histograms(bins: Bins, values: NDArray[np.number]) -> list[Counts]:
    """Count `[rows, documents]` in bins, and return the non-empty bins of each row."""
    return [
        {name: count for name, count in zip(bins.names, row, strict=True) if count}
        for row in bins.histogram(values).tolist()
    ]
