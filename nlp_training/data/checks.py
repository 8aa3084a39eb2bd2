"""Checks of the documents of all splits before training, with all problems in one error."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.registry import Spec
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.records import READ_FROM

if TYPE_CHECKING:
    from nlp_training.gold import GoldKind


UnknownLabels = Literal["error", "warn", "drop"]
"""How to handle gold labels that the task does not know; see `nlp_training.config.DataConfig`."""

GoldProblem = Callable[[Annotation], str | None]
"""Says why gold cannot be learnt from, as the end of the sentence "document ... "; `None` if it can."""


class Problem(NamedTuple):
    """A problem that makes data unusable for a run: its kind, its split and its description."""

    kind: str
    split: str
    text: str


def check_documents(
    splits: Mapping[str, Sequence[Document]],
    *,
    flat: bool,
    needs: Spec | None = None,
    labels: Collection[str] | None = None,
    task_problem: GoldProblem | None = None,
    train: str = "train",
    shown: int = 10,
) -> None:
    """Raise an error for data that cannot be trained on or would make the score wrong.

    Problems are: empty splits, an id that occurs twice in a split, documents without gold, training labels that the
    task does not have, overlapping spans with a flat tag scheme, and, if `needs` is given, gold of another kind.
    Labels of a kind that the task does not learn from are not checked. Labels that occur only in other splits than
    `train` are not a problem: see `find_unknown_labels`.

    Args:
        splits: the documents by the name of their split.
        flat: whether the spans of a document must not overlap.
        needs: the kind of gold that the task learns from.
        labels: the labels of the task, if it has any.
        task_problem: returns why the task cannot learn from gold that its kind accepts; `Task.gold_problem`.
        train: the split to train on; if it is empty, every split.
        shown: the number of problems that the message describes; it always contains the total number.

    Raises:
        InvalidDataError: there is a problem; the message says what, where and how to fix it.

    Example:
        >>> from nlp_inference.document import Annotation, Category
        >>> joy = Annotation(categories=(Category(label="joy"),))
        >>> check_documents({"train": [Document(id="a", raw_text="Great!", gold=joy)]}, flat=True)
        >>> check_documents({"train": [Document(id="a", raw_text="Great!", gold=joy)]}, flat=True, labels=["fear"])
        Traceback (most recent call last):
        nlp_training.data.errors.InvalidDataError: 1 problem in the data:
        - train: the label 'joy' is not among the labels of the task (1 time, first in document 'a'). ...
    """
    found = find_problems(splits, flat=flat, needs=needs, labels=labels, task_problem=task_problem, train=train)
    problems = list(found)
    if problems:
        listed = "".join(f"\n- {problem.text}" for problem in islice(problems, shown))
        rest = f"\n- and {len(problems) - shown} more" if len(problems) > shown else ""
        plural = "" if len(problems) == 1 else "s"
        raise InvalidDataError(f"{len(problems)} problem{plural} in the data:{listed}{rest}")


def find_problems(
    splits: Mapping[str, Sequence[Document]],
    *,
    flat: bool,
    needs: Spec | None = None,
    labels: Collection[str] | None = None,
    task_problem: GoldProblem | None = None,
    train: str = "train",
) -> Iterator[Problem]:
    """Yield the problems for which `check_documents`, with the same arguments, raises an error."""
    for name, documents in splits.items():
        if not documents:
            yield Problem("empty", name, f"{name}: the split is empty. Check its source, or remove the split")
    if needs is not None and splits.get(train) and not any(_learnable(document, needs) for document in splits[train]):
        text = (
            f"{train}: no document has {_kind_of(needs).noun}, so there is nothing to learn. Check the columns of the "
            "source"
        )
        yield Problem("nothing-to-learn", train, text)
    if labels is not None:
        learnt = {name: documents for name, documents in splits.items() if not train or name == train}
        why, fix = "is not among the labels of the task", "add it to processor.task"
        yield from _unknown_labels(learnt, labels, needs=needs, why=why, fix=fix)
    for name, documents in splits.items():
        yield from _repeated_ids(documents, name)
        for document in documents:
            for kind, text in _problems_of(document, name, flat=flat, needs=needs, task_problem=task_problem):
                yield Problem(kind, name, text)


def _kind_of(needs: Spec) -> "GoldKind":
    from nlp_training.gold import gold_kind  # its metrics load datasets and torch

    return gold_kind(needs)


def _learnable(document: Document, needs: Spec) -> bool:
    return document.gold is not None and bool(_kind_of(needs).labels(document.gold))


def named(document: Document) -> str:
    """Describe a document in a message: its id and the location that it was read from."""
    read_from = document.metadata.get(READ_FROM)
    line = f" ({read_from})" if read_from is not None and read_from != document.id else ""
    return f"document {document.id!r}{line}"


def _location(document: Document, split: str) -> str:
    return f"{split}: {named(document)}"


def _repeated_ids(documents: Sequence[Document], split: str) -> Iterator[Problem]:
    """Yield ids that are repeated in a split. Ids may be repeated across splits: files often count from 0."""
    first: dict[str, str] = {}
    for document in documents:
        if document.id is None:
            continue
        location = _location(document, split)
        if document.id in first:
            text = f"{location} has the id of {first[document.id]}. Give every document its own id"
            yield Problem("repeated-id", split, text)
        else:
            first[document.id] = location


def _labels_of(gold: Annotation, needs: Spec | None) -> list[str]:
    """Return the labels of this kind of gold, or those of spans and categories if the kind is unknown."""
    if needs is not None:
        return _kind_of(needs).labels(gold)
    return [*(span.label for span in gold.spans), *(category.label for category in gold.categories)]


def _labels(documents: Sequence[Document], needs: Spec | None) -> dict[str, tuple[int, Document]]:
    """Return the count and the first document of each label."""
    counts: Counter[str] = Counter()
    first: dict[str, Document] = {}
    for document in documents:
        for label in _labels_of(document.gold, needs) if document.gold is not None else ():
            counts[label] += 1
            first.setdefault(label, document)
    return {label: (count, first[label]) for label, count in counts.items()}


def find_unknown_labels(
    splits: Mapping[str, Sequence[Document]],
    *,
    needs: Spec | None = None,
    labels: Collection[str] | None = None,
    train: str = "train",
) -> Iterator[Problem]:
    """Yield labels of validation and test documents that no model of the task can predict. Each counts as a miss.

    Args:
        splits: the documents by the name of their split.
        needs: the kind of gold that the task learns from.
        labels: the labels of the task; `None` means those of the training documents.
        train: the split to train on.
    """
    known = labels if labels is not None else _labels(splits.get(train, ()), needs)
    why = "is not among the labels of the task, so it counts as a miss"
    fix = "add training documents that have it, or add it to processor.task"
    others = {name: documents for name, documents in splits.items() if name != train}
    yield from _unknown_labels(others, known, needs=needs, why=why, fix=fix)


def _unknown_labels(
    splits: Mapping[str, Sequence[Document]], known: Collection[str], *, needs: Spec | None, why: str, fix: str
) -> Iterator[Problem]:
    for name, documents in splits.items():
        for label, (count, document) in _labels(documents, needs).items():
            if label in known:
                continue
            close = get_close_matches(label, known, n=1)
            hint = f"Did you mean {close[0]!r}? If not, {fix}" if close else fix.capitalize()
            times = f"{count} time{'s' * (count > 1)}"
            where = f"first in {named(document)}"
            drop = "rename it, or drop it (data.unknown_labels: drop)"
            text = f"{name}: the label {label!r} {why} ({times}, {where}). {hint}, {drop}"
            yield Problem("unknown-label", name, text)


def _problems_of(
    document: Document, split: str, *, flat: bool, needs: Spec | None, task_problem: GoldProblem | None
) -> Iterator[tuple[str, str]]:
    """Yield the kind and the description of each problem of one document."""
    location = _location(document, split)
    if document.gold is None:
        keys = [key for key in document.metadata if key != READ_FROM]
        others = f" Besides the text it has {', '.join(map(repr, keys))}." if keys else ""
        text = (
            f"{location} has no gold annotation.{others} Annotate it (an empty list is valid), set the column of the "
            "annotation, or skip records with a blank label: blank_labels: skip"
        )
        yield "no-gold", text
        return
    if flat:
        for one, other in _overlaps(document.gold.spans):
            text = (
                f"{location} has overlapping spans: {_show(one, document)} and {_show(other, document)}. Keep one of "
                "them (data.overlapping_spans: outermost or longest does so), or choose a task for nested spans"
            )
            yield "overlap", text
    problem = None if needs is None else _kind_of(needs).problem(document.gold)
    if problem is None and task_problem is not None:
        problem = task_problem(document.gold)
    if problem is not None:
        yield "wrong-gold", f"{location} {problem}"


def _overlaps(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Yield each span that begins before an earlier span ends, after that earlier span."""
    furthest: Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if furthest is not None and span.start < furthest.end:
            yield furthest, span
        if furthest is None or span.end > furthest.end:
            furthest = span


def _show(span: Span, document: Document) -> str:
    return f"{span.start}:{span.end} {span.label} {document.surface(span)!r}"
