"""Removal of gold labels that a task does not know."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nlp_inference import Document, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.gold import gold_kind

_SHOWN = 5


@dataclass
class DroppedLabels:
    """The gold that was dropped from one split.

    Attributes:
        labels: how often each label was dropped.
        documents: how many documents were left without gold, and dropped.
    """

    labels: Counter[str] = field(default_factory=Counter)
    documents: int = 0

    def __str__(self) -> str:
        shown = ", ".join(f"{label!r} ({count})" for label, count in self.labels.most_common(_SHOWN))
        more = f" and {len(self.labels) - _SHOWN} more labels" if len(self.labels) > _SHOWN else ""
        gone = f", and with them {self.documents} documents without other gold" if self.documents else ""
        return f"{self.labels.total()} gold annotations whose label the task does not have: {shown}{more}{gone}"


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The labels of a task, and the kind of gold that has them.

    Raises:
        InvalidSpecError: the task has no fixed labels.

    Example:
        >>> from nlp_inference import Annotation, TextClassification
        >>> golds = [Annotation.model_validate({"categories": [{"label": label}]}) for label in ("ham", "news")]
        >>> documents = [Document(raw_text="...", gold=gold) for gold in golds]
        >>> dropped = DroppedLabels()
        >>> len(list(KnownLabels.of(TextClassification(labels=("ham", "spam"))).only(documents, dropped)))
        1
        >>> dict(dropped.labels), dropped.documents
        ({'news': 1}, 1)
    """

    needs: Spec
    labels: frozenset[str]

    @classmethod
    def of(cls, task: Task) -> "KnownLabels":
        """Return the labels of a task."""
        labels = getattr(task, "labels", None)
        if labels is None:
            raise InvalidSpecError(
                f"data.unknown_labels is 'drop', but the task {task.name!r} has no list of labels; remove it"
            )
        return cls(task.needs, frozenset(labels))

    def only(self, documents: Iterable[Document], dropped: DroppedLabels | None = None) -> Iterator[Document]:
        """Yield the documents without gold that has an unknown label.

        A document that the task cannot learn from without this gold is omitted.

        Args:
            documents: the documents to reduce; those without gold are kept.
            dropped: counts what is dropped.
        """
        kind, dropped = gold_kind(self.needs), DroppedLabels() if dropped is None else dropped
        for document in documents:
            found = [] if document.gold is None else kind.labels(document.gold)
            unknown = [label for label in found if label not in self.labels]
            if document.gold is None or not unknown:
                yield document
                continue
            dropped.labels.update(unknown)
            left = kind.learnable(document.gold, labels=self.labels, flat=False).annotation
            if left is None:
                dropped.documents += 1
            else:
                yield document.with_gold(left)
