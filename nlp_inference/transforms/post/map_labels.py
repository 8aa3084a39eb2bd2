"""Renaming of predicted labels."""

from nlp_inference.document import Annotation, Category, Document, Relation, Span
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import best_score, replace_spans


class MapLabels(PostTransform):
    """Rename the labels of spans, categories, relations and label scores; several labels may become one.

    Equal spans (the same characters, the same new label) and equal categories become one, with the best of their
    scores, at the index of the first.

    Args:
        labels: the new name of each old label; all other labels are kept.

    Example:
        >>> spans = (Span(start=0, end=3, label="PER"), Span(start=4, end=8, label="GPE"))
        >>> document = Document(raw_text="Ana Rome", predicted=Annotation(spans=spans))
        >>> renamed = MapLabels(labels={"PER": "PERSON", "GPE": "PLACE", "FAC": "PLACE"})(document)
        >>> [span.label for span in renamed.predicted.spans]
        ['PERSON', 'PLACE']
    """

    name = "map_labels"

    labels: dict[str, str]

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` with the new labels."""
        renamed = {
            "categories": self._rename_categories(annotation.categories),
            "relations": tuple(self._rename(relation) for relation in annotation.relations),
            "label_scores": self._rename_scores(annotation.label_scores),
        }
        return replace_spans(annotation.model_copy(update=renamed), self._rename_spans(annotation.spans))

    def _rename_spans(self, spans: tuple[Span, ...]) -> list[tuple[Span, tuple[int, ...]]]:
        equal: dict[tuple[int, int, str], list[int]] = {}
        for position, span in enumerate(spans):
            equal.setdefault((span.start, span.end, self._new(span.label)), []).append(position)
        return [
            (
                Span(start=start, end=end, label=label, score=best_score(*(spans[i].score for i in origins))),
                tuple(origins),
            )
            for (start, end, label), origins in equal.items()
        ]

    def _rename_categories(self, categories: tuple[Category, ...]) -> tuple[Category, ...]:
        equal: dict[str, list[float | None]] = {}
        for category in categories:
            equal.setdefault(self._new(category.label), []).append(category.score)
        return tuple(Category(label=label, score=best_score(*scores)) for label, scores in equal.items())

    def _rename_scores(self, scores: dict[str, float]) -> dict[str, float]:
        equal: dict[str, float] = {}
        for label, score in scores.items():
            equal[self._new(label)] = max(score, equal.get(self._new(label), score))
        return equal

    def _rename(self, relation: Relation) -> Relation:
        return relation.model_copy(update={"label": self._new(relation.label)})

    def _new(self, label: str) -> str:
        return self.labels.get(label, label)
