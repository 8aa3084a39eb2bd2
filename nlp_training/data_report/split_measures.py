"""The measures of a split, which are updated with each encoded document."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Annotation, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.tokenization import unknown_token_id
from nlp_training.data_report.findings import Tally, percent, place_of, shortened
from nlp_training.data_report.lost_gold import LostGold, causes
from nlp_training.data_report.numbers import distribution
from nlp_training.gold import Compared, gold_kind


@dataclass(slots=True)
class SplitMeasures:
    """Sizes and anomalies of a split, and the scores of perfect outputs.

    Attributes:
        sha256: the digest of the documents, see `documents_sha256`.
        documents, characters, tokens, windows: their numbers, including characters and tokens of text pairs.
        annotations: the number of gold spans, or of labels of documents.
        labels: the number of annotations by label.
        ceiling: the scores of perfect outputs after the complete pipeline; empty if there is no metric.
        lost: the gold that perfect outputs do not contain.
        changed_documents, changed: the number of documents that any transform changed, and that each transform changed.
        unknown_tokens: the counts of substrings for which the tokenizer has no token.
        empty, emptied: documents with a text or text pair of only white space, before or after preprocessing.
        truncated, long: texts that are truncated, and texts of more than one window.
        divided: spans that no window contains completely.
        blank_edges, punctuation_edges: spans with white space or punctuation as the first or last character.
        numbers: the gold numbers of each value, in the order of the documents, each with the location of its document.
        failed: documents that cannot be encoded or decoded.
    """

    sha256: str = ""
    documents: int = 0
    characters: int = 0
    tokens: int = 0
    windows: int = 0
    annotations: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    ceiling: dict[str, Any] = field(default_factory=dict)
    lost: list[LostGold] = field(default_factory=list)
    changed_documents: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    unknown_tokens: Counter[str] = field(default_factory=Counter)
    empty: Tally = field(default_factory=Tally)
    emptied: Tally = field(default_factory=Tally)
    truncated: Tally = field(default_factory=Tally)
    long: Tally = field(default_factory=Tally)
    divided: Tally = field(default_factory=Tally)
    blank_edges: Tally = field(default_factory=Tally)
    punctuation_edges: Tally = field(default_factory=Tally)
    numbers: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    failed: Tally = field(default_factory=Tally)

    def add(self, encoded: EncodedDocument, processor: Processor) -> None:
        """Count one document."""
        document = encoded.document
        self.documents += 1
        self.characters += len(document.raw_text) + len(document.raw_text_pair or "")
        self.tokens += len(encoded.token_ids) + (0 if encoded.pair_ids is None else len(encoded.pair_ids))
        self.windows += len(encoded.windows)
        self.changed_documents += bool(document.edits or document.edits_pair)
        self.changed.update(
            dict.fromkeys(record.transform for record in (*document.edits, *document.edits_pair)).keys()
        )
        self._add_unknown_tokens(encoded, unknown_token_id(processor.tokenizer))
        self._add_length(encoded)
        kind = gold_kind(processor.task.needs)
        gold = kind.compared(processor.task.complete_gold(document.gold or Annotation()))
        for name, number in kind.numbers(document.gold or Annotation()).items():
            self.numbers.setdefault(name, []).append((number, place_of(document)))
        self.annotations += len(gold)
        self.labels.update(one.label for one in gold)
        for one in gold:
            if one.start is not None:
                self._add_span(encoded, one)

    def _add_unknown_tokens(self, encoded: EncodedDocument, unknown: int | None) -> None:
        if unknown is None:
            return
        for text, ids, offsets in _texts_read(encoded):
            for token in np.flatnonzero(ids == unknown).tolist():
                start, end = offsets[token]
                self.unknown_tokens[text[start:end]] += 1

    def _add_length(self, encoded: EncodedDocument) -> None:
        document = encoded.document
        texts = [(document.raw_text, document.text), (document.raw_text_pair, document.text_pair)]
        existing = [(raw, text or "") for raw, text in texts if raw is not None]
        emptied = next((raw for raw, text in existing if not text.strip()), None)
        if not all(raw.strip() for raw, _ in existing):
            self.empty.add(lambda: place_of(document))
        elif emptied is not None:
            self.emptied.add(lambda: f"{place_of(document)} {shortened(emptied)}")
        tokens = f"{len(encoded.token_ids)} tokens"
        if encoded.truncated:
            self.truncated.add(lambda: f"{place_of(document)}: {encoded.tokens_read} of {tokens}")
        if len(encoded.windows) > 1:
            self.long.add(lambda: f"{place_of(document)}: {tokens}, {len(encoded.windows)} windows")

    def _add_span(self, encoded: EncodedDocument, gold: Compared) -> None:
        document = encoded.document
        surface = document.raw_text[gold.start : gold.end]

        def describe() -> str:
            return f"{place_of(document)}: {gold.label} {shortened(surface)}"

        if surface != surface.strip():
            self.blank_edges.add(describe)
        elif any(category(character).startswith("P") for character in (surface[0], surface[-1])):
            self.punctuation_edges.add(describe)
        if len(encoded.windows) > 1 and self._is_divided(encoded, gold):
            self.divided.add(describe)

    @staticmethod
    def _is_divided(encoded: EncodedDocument, gold: Compared) -> bool:
        start, end = encoded.document.aligned.to_current(gold.start or 0, gold.end or 0)
        touched = np.flatnonzero((encoded.offsets[:, 0] < end) & (encoded.offsets[:, 1] > start))
        if not len(touched):
            return False
        return not any(window.start <= touched[0] and touched[-1] < window.end for window in encoded.windows)

    def to_json(self) -> dict[str, Any]:
        """Return all measures as JSON, including every lost annotation."""
        return {
            **self.counts(),
            "lost_gold": [{**one.to_json(), "text": one.surface} for one in self.lost],
            "unknown_surfaces": dict(self.unknown_tokens.most_common(100)),
        }

    def counts(self) -> dict[str, Any]:
        """Return the measures that may be published: numbers, labels and causes, without texts or document ids."""
        return {
            "sha256": self.sha256,
            "documents": self.documents,
            "characters": self.characters,
            "tokens": self.tokens,
            "windows": self.windows,
            "annotations": self.annotations,
            "labels": dict(self.labels.most_common()),
            "ceiling": self.ceiling,
            "lost": len(self.lost),
            "lost_by_cause": self.lost_by_cause(),
            "lost_by_label": dict(Counter(one.gold.label for one in self.lost).most_common()),
            "changed_documents": self.changed_documents,
            "changed_by_transform": dict(self.changed.most_common()),
            "unknown_tokens": self.unknown_tokens.total(),
            **({"values": self.distributions()} if self.numbers else {}),
        }

    def distributions(self) -> dict[str, dict[str, float]]:
        """How the gold numbers of each value are distributed."""
        return {name: distribution([number for number, _ in pairs]) for name, pairs in sorted(self.numbers.items())}

    def lost_by_cause(self) -> dict[str, int]:
        """Return the number of lost annotations by cause, the most frequent first."""
        return causes(self.lost)

    def changed_shares(self) -> list[str]:
        """Return the formatted share of documents that each transform changed."""
        return [f"{name} {percent(count, self.documents)}" for name, count in self.changed.most_common()]


def _texts_read(encoded: EncodedDocument) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield each text of a document with its tokens and their offsets."""
    document = encoded.document
    yield document.text, encoded.token_ids, encoded.offsets
    if document.text_pair is not None and encoded.pair_ids is not None and encoded.pair_offsets is not None:
        yield document.text_pair, encoded.pair_ids, encoded.pair_offsets
