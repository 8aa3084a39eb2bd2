"""Settings of a task that its config leaves open, such as its labels, from the training documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_inference import Document, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.data.checks import check_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.gold import documents_of_head, gold_kind


def complete_task(spec: Spec, documents: Sequence[Document] | None) -> Task:
    """Build a task; what its specification leaves open is taken from the documents, such as their labels.

    The kind of gold says which settings those are; see `GoldKind.learned_settings`.

    Raises:
        UnknownTypeError: there is no such task.
        InvalidSpecError: the specification does not fit the task.
        InvalidDataError: the documents have no gold of the kind that the task learns from.

    Example:
        >>> from nlp_inference import Annotation, Category
        >>> gold = [Annotation(categories=(Category(label=label),)) for label in ("spam", "ham")]
        >>> documents = [Document(raw_text="...", gold=annotation) for annotation in gold]
        >>> complete_task("text-classification", documents).labels
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
    if isinstance(settings, Mapping) and (heads := task.task_specs(settings)):
        complete = {head: _of_head(head, one, documents).to_spec() for head, one in heads.items()}
        return Task.from_spec({name: task.with_task_specs(settings, complete)})
    if not isinstance(settings, Mapping) or isinstance(task.needs, property):  # it depends on settings that are missing
        return Task.from_spec(spec)
    settings = {**task.settings_of_new_models, **settings}
    learned = gold_kind(task.needs).open_settings(task, settings)
    if not learned:
        return Task.from_spec({name: settings})
    if documents is None:
        fields = ", ".join(f"{field}: [...]" for field in learned)
        raise InvalidSpecError(
            f"data.train is streamed, so its {' and '.join(learned)} cannot be read before training, and {name!r} sets "
            f"none; set them: processor.task: {{{name}: {{{fields}}}}}"
        )
    return Task.from_spec({name: {**_learned(task, name, settings, learned, documents), **settings}})


def _of_head(head: str, spec: Spec, documents: Sequence[Document] | None) -> Task:
    """Complete the task of a head from the documents that annotate it."""
    annotated = None if documents is None else documents_of_head(documents, head)
    if annotated is not None and not annotated:
        raise InvalidDataError(
            f"no training document has gold for the head {head!r}, so it cannot learn; write it under `heads`, name "
            "its columns, or remove the head"
        )
    try:
        return complete_task(spec, annotated)
    except (InvalidSpecError, InvalidDataError) as error:
        raise type(error)(f"head {head!r}: {error}") from error


def _learned(
    task: Any, name: str, settings: Mapping[str, Any], learned: Sequence[str], documents: Sequence[Document]
) -> dict[str, Any]:
    """Return the fields that are learned from the documents."""
    kind = gold_kind(task.needs)
    golds = [document.gold for document in documents if document.gold is not None]
    if not any(kind.labels(gold) for gold in golds):
        check_documents({"train": documents}, flat=False, needs=task.needs)  # explains what is wrong with the data
        raise InvalidDataError(f"no training document has {kind.noun}, and {name!r} takes its {learned[0]} from them")
    found = kind.learn_settings(golds, settings)
    return {field: found[field] for field in learned}
