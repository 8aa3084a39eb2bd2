"""Custom loss, augmentation and metric, which only training uses. configs/experiment.yaml names this file."""

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
    """Cross entropy of logits divided by a temperature."""

    name = "tempered"

    temperature: float = 2.0

    def values(self, items: Items) -> Tensor:
        """Return `-log softmax(logits / temperature)[target]` of each target."""
        return cross_entropy(items.logits / self.temperature, items.targets, reduction="none")


class AddCitations(Augmentation):
    """Append a citation to the text, which the transform `drop_citations` removes."""

    name = "add_citations"

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return the edit that adds the citation."""
        end = len(document.raw_text)
        return [Edit(end, end, f" [{rng.randint(1, 99)}]")]


class WholeDocuments(Metric):
    """The share of documents in which every span is correct and none is spurious."""

    name = "whole_documents"

    def view(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """Return the predicted and the gold spans."""
        return _positions(document.predicted or Annotation()), _positions(gold)

    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> float:
        """Return the share of equal pairs."""
        return sum(one == other for one, other in zip(predictions, references, strict=True)) / len(references)


def _positions(annotation: Annotation) -> list[tuple[int, int, str]]:
    return sorted((span.start, span.end, span.label) for span in annotation.spans)
