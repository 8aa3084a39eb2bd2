"""The Document: raw text, annotations, the alignment of raw and current text, redaction."""

from nlp_inference.document.document import Annotation, Category, Coverage, Document, Relation, Span, as_document

__all__ = ["Annotation", "Category", "Coverage", "Document", "Relation", "Span", "as_document"]
