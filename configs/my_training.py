"""A loss, an augmentation and a metric, which only training knows. configs/experiment.yaml names this file."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from nlp_inference import Annotation, Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment import Augmentation, Corpus
from nlp_training.losses import Items, Loss
from nlp_training.metrics import Metric


class Tempered(Loss):
    """Cross entropy of logits that are divided by a temperature."""

    name = "tempered"

    temperature: float = 2.0

    def values(self, items: Items) -> Tensor:
        """`-log softmax(logits / temperature)[target]` of each item."""
        return cross_entropy(items.logits / self.temperature, items.targets, reduction="none")


class AddCitations(Augmentation):
    """Put a citation behind the text, as the transform `drop_citations` removes it."""

    name = "add_citations"

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return the edit that adds it."""
        end = len(document.raw_text)
        return [Edit(end, end, f" [{rng.randint(1, 99)}]")]


class WholeDocuments(Metric):
    """The share of documents in which every span is right, and none is spurious."""

    name = "whole_documents"

    def view(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """The spans of each."""
        return _places(document.predicted or Annotation()), _places(gold)

    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> float:
        """The share of pairs that are equal."""
        return sum(one == other for one, other in zip(predictions, references, strict=True)) / len(references)


def _places(annotation: Annotation) -> list[tuple[int, int, str]]:
    return sorted((span.start, span.end, span.label) for span in annotation.spans)
