"""The Document: raw text, annotations, alignment of the raw and the current text, redaction."""

from nlp_inference.document.annotation import Annotation, Category, Coverage, Relation, Span
from nlp_inference.document.document import Document, FailedDocument, as_document

__all__ = ["Annotation", "Category", "Coverage", "Document", "FailedDocument", "Relation", "Span", "as_document"]
