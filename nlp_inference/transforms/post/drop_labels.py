"""Removal of predictions by label."""

from nlp_inference.document import Annotation, Document
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import Labels, keep_spans


class DropLabels(PostTransform):
    """Remove the spans, categories, relations and label scores with one of these labels.

    Args:
        labels: one label or several.

    Example:
        >>> from nlp_inference.document import Span
        >>> spans = (Span(start=0, end=3, label="PERSON"), Span(start=4, end=8, label="MISC"))
        >>> document = Document(raw_text="Ana sang", predicted=Annotation(spans=spans))
        >>> [span.label for span in DropLabels.from_spec({"drop_labels": "MISC"})(document).predicted.spans]
        ['PERSON']
    """

    name = "drop_labels"

    labels: Labels

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` without anything of these labels."""
        kept = {
            "categories": tuple(item for item in annotation.categories if item.label not in self.labels),
            "relations": tuple(item for item in annotation.relations if item.label not in self.labels),
            "label_scores": {
                label: score for label, score in annotation.label_scores.items() if label not in self.labels
            },
        }
        return keep_spans(annotation.model_copy(update=kept), lambda span: span.label not in self.labels)
