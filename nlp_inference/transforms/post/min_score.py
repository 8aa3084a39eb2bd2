"""Removal of predictions with low scores."""

from typing import Annotated

from pydantic import Field

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import keep_spans

Finite = Annotated[float, Field(allow_inf_nan=False)]


class MinScore(PostTransform):
    """Keep the spans and categories whose score is at least the threshold, and those without a score.

    Args:
        threshold: the minimum score of every label that is not in `labels`.
        labels: the minimum score by label.

    Example:
        >>> categories = (Category(label="spam", score=0.7), Category(label="ham", score=0.3))
        >>> document = Document(raw_text="Win!", predicted=Annotation(categories=categories))
        >>> [category.label for category in MinScore(threshold=0.5)(document).predicted.categories]
        ['spam']
        >>> MinScore(threshold=0.5, labels={"spam": 0.9})(document).predicted.categories
        ()
    """

    name = "min_score"

    threshold: Finite = 0.0
    labels: dict[str, Finite] = Field(default={})

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` without the spans and categories below their threshold."""
        categories = tuple(category for category in annotation.categories if self._keeps(category))
        return keep_spans(annotation, self._keeps).model_copy(update={"categories": categories})

    def _keeps(self, item: Span | Category) -> bool:
        return item.score is None or item.score >= self.labels.get(item.label, self.threshold)
