"""The generator of documents with personal data: `generate_documents`."""

from nlp_training.data.synthetic_pii.generator import LABELS, Split, generate_documents

__all__ = ["LABELS", "Split", "generate_documents"]
