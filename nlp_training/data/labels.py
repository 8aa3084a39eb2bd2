"""A task's labels from the documents that it learns from."""

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_inference import Document, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.data.checks import check_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.gold import gold_kind


def with_labels(spec: Spec, documents: Sequence[Document] | None) -> Task:
    """Build a task; if its specification names no labels, it takes those of the documents, sorted.

    Raises:
        UnknownTypeError: there is no such task.
        InvalidSpecError: the specification does not fit the task.
        InvalidDataError: the documents have no gold of the kind that the task learns from.

    Example:
        >>> from nlp_inference import Annotation, Category
        >>> gold = [Annotation(categories=(Category(label=label),)) for label in ("spam", "ham")]
        >>> documents = [Document(raw_text="...", gold=annotation) for annotation in gold]
        >>> with_labels("text-classification", documents).labels
        ('ham', 'spam')
    """
    if isinstance(spec, str):
        spec = {spec: {}}
    if len(spec) != 1:
        raise InvalidSpecError(f"processor.task is {dict(spec)!r}; write one task's name and its settings")
    ((name, settings),) = spec.items()
    task: Any = Task.find(name)
    if task is None:
        return Task.from_spec(spec)  # raises, with the names that are known
    if not isinstance(settings, Mapping) or "labels" in settings or "labels" not in task.model_fields:
        return Task.from_spec(spec)
    if documents is None:
        raise InvalidSpecError(
            f"data.train is streamed, so that nobody has seen its labels, and {name!r} names none; write all of them: "
            f"processor.task: {{{name}: {{labels: [...]}}}}"
        )
    kind = gold_kind(task.needs)
    golds = [document.gold for document in documents if document.gold is not None]
    labels = sorted({label for gold in golds for label in kind.labels(gold)})
    if not labels:
        check_documents({"train": documents}, flat=False, needs=task.needs)  # says why, if it is not the task's doing
        raise InvalidDataError(f"no training document has {kind.noun}, and {name!r} takes its labels from them")
    return Task.from_spec({name: {**settings, "labels": labels}})
