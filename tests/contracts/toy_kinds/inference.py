"""What prediction needs: a transform, a post-transform and a task whose kind of gold this package defines."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Annotation, Category, Document, PostTransform, Task, Transform
from nlp_inference.document.aligned_text import Edit
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays
from nlp_inference.tasks.labels import label_settings


class DropHashes(Transform):
    """Remove every `#`."""

    name = "toy-drop-hashes"
    version = 1

    def propose(self, text: str) -> Iterable[Edit]:
        """Return an edit for each."""
        return [Edit(match.start(), match.end(), "") for match in re.finditer("#", text)]


class AtMost(PostTransform):
    """Keep the best categories only."""

    name = "toy-at-most"
    version = 1

    count: int = 2

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return the annotation with the first `count` categories."""
        del document
        return annotation.model_copy(update={"categories": annotation.categories[: self.count]})


class ToyTopics(Task):
    """Any number of topics for a text, each with a probability of its own."""

    name = "toy-topics"
    auto_model = "AutoModelForSequenceClassification"
    pipeline_tag = "text-classification"
    needs = "toy-topics"

    labels: tuple[str, ...]
    threshold: float = 0.5

    def model_settings(self) -> dict[str, Any]:
        """The labels, and the loss of `transformers` for several of them."""
        return {**label_settings(self.labels), "problem_type": "multi_label_classification"}

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[labels]`, 0 or 1."""
        gold = encoded.document.gold
        if gold is None:
            raise InvalidDocumentError(f"document {encoded.document.id!r} has no gold")
        found = {category.label for category in gold.categories}
        row = np.array([label in found for label in self.labels], dtype=np.float32)
        return [{"labels": row} for _ in rows]

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """The labels whose mean probability over the windows reaches the threshold, best first."""
        del encoded, rows
        logits = np.stack([one["logits"] for one in outputs]).astype(np.float64)
        scores = (1 / (1 + np.exp(-logits))).mean(axis=0)
        order = np.argsort(-scores, kind="stable").tolist()
        kept = [at for at in order if scores[at] >= self.threshold]
        return Annotation(categories=tuple(Category(label=self.labels[at], score=float(scores[at])) for at in kept))

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Logits that are certain of the gold labels."""
        return [{"logits": (one["labels"] * 2 - 1) * 30} for one in self.targets(encoded, rows)]
