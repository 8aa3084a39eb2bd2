"""What only training knows: a kind of gold, a loss, a metric, an augmentation and a data format."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nlp_inference import Annotation, Category, Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment import Augmentation, Corpus
from nlp_training.data.formats import Format
from nlp_training.gold import Categories
from nlp_training.losses import Items, Loss
from nlp_training.metrics import Metric


class Topics(Categories):
    """Categories under another noun."""

    name = "toy-topics"
    noun = "topics"


class ToyCrossEntropy(Loss):
    """Binary cross entropy of each label."""

    name = "toy-cross-entropy"
    multi_label: ClassVar[bool] = True

    def values(self, items: Items) -> Tensor:
        """The binary cross entropy of each label of each row."""
        return binary_cross_entropy_with_logits(items.logits, items.targets, reduction="none")

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """Every label of every row counts once."""
        del class_weights
        return targets.new_ones(targets.shape)


class WrongTopics(Metric):
    """The mean number of wrong topics of a document: smaller is better."""

    name = "toy-wrong-topics"
    greater_is_better: ClassVar[bool] = False

    def view(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """The sorted labels of each."""
        return _labels(document.predicted or Annotation()), _labels(gold)

    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> float:
        """The mean size of the symmetric difference."""
        pairs = zip(predictions, references, strict=True)
        return sum(len(set(one) ^ set(other)) for one, other in pairs) / max(1, len(references))


class AddHash(Augmentation):
    """Put a `#` behind the text."""

    name = "toy-add-hash"

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return the edit."""
        del rng, corpus
        end = len(document.raw_text)
        return [Edit(end, end, "#")]


def read(path: Path, options: Any) -> Iterator[Document]:
    """Read `topic topic | text` lines."""
    del options
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        topics, text = line.split("|", 1)
        gold = Annotation(categories=tuple(Category(label=label) for label in topics.split()))
        yield Document(id=str(number), raw_text=text, gold=gold)


def write(documents: Iterable[Document], path: Path) -> None:
    """Write such lines."""
    lines = [f"{' '.join(_labels(one.gold or Annotation()))}|{one.raw_text}\n" for one in documents]
    path.write_text("".join(lines), encoding="utf-8")


TOPIC_LINES = Format(name="toy-topic-lines", suffixes=(".topics",), suffix=".topics", read=read, write=write)


def _labels(annotation: Annotation) -> list[str]:
    return sorted(category.label for category in annotation.categories)
