"""Replacement of spans in an annotation, with the relations between them, for all post-transforms."""

from collections.abc import Callable, Iterable
from operator import is_
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nlp_inference.document import Annotation, Relation, Span


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Labels = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One label or several."""


def replace_spans(annotation: Annotation, spans: Iterable[tuple[Span, tuple[int, ...]]]) -> Annotation:
    """Return `annotation` with new spans and the relations between them; the same object if nothing changes.

    Args:
        annotation: the original annotation.
        spans: every new span, with the indices of the old spans that it replaces. A relation is updated to the new
            indices of its spans. It is removed if one of its spans is removed, or if both become one. Of equal
            relations, the one with the best score is kept.

    Example:
        >>> spans = tuple(Span(start=i, end=i + 1, label="X") for i in range(3))
        >>> annotation = Annotation(spans=spans, relations=(Relation(head=0, tail=2, label="of"),))
        >>> replace_spans(annotation, [(spans[2], (2,)), (spans[0], (0,))]).relations
        (Relation(head=1, tail=0, label='of', score=None),)
    """
    kept: list[Span] = []
    moved: dict[int, int] = {}
    for position, (span, origins) in enumerate(spans):
        kept.append(span)
        moved.update(dict.fromkeys(origins, position))
    if not annotation.relations and len(kept) == len(annotation.spans) and all(map(is_, kept, annotation.spans)):
        return annotation
    relations = _move_relations(annotation.relations, moved)
    return annotation.model_copy(update={"spans": tuple(kept), "relations": relations})


def keep_spans(annotation: Annotation, keep: Callable[[Span], bool]) -> Annotation:
    """Return `annotation` with only the spans for which `keep` is true, and the relations between them."""
    return replace_spans(annotation, ((span, (i,)) for i, span in enumerate(annotation.spans) if keep(span)))


def best_score(*scores: float | None) -> float | None:
    """Return the highest score that is not `None`, or `None`."""
    return max((score for score in scores if score is not None), default=None)


def _move_relations(relations: Iterable[Relation], moved: dict[int, int]) -> tuple[Relation, ...]:
    kept: dict[tuple[int, int, str], Relation] = {}
    for relation in relations:
        head, tail = moved.get(relation.head), moved.get(relation.tail)
        if head is None or tail is None or (head == tail and relation.head != relation.tail):
            continue
        key = (head, tail, relation.label)
        score = best_score(relation.score, kept[key].score) if key in kept else relation.score
        kept[key] = relation.model_copy(update={"head": head, "tail": tail, "score": score})
    return tuple(kept.values())
