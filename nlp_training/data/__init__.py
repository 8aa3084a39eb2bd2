"""Documents: their sources and file formats, splits and checks."""

from nlp_training.data.checks import check_documents
from nlp_training.data.columns import Columns
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.fingerprint import documents_sha256
from nlp_training.data.formats import read_jsonl, write_documents
from nlp_training.data.sources import DataSource, load_documents, stream_documents
from nlp_training.data.splits import SplitSettings, split_documents, with_made_splits
from nlp_training.data.synthetic_pii import generate_documents

__all__ = [
    "Columns",
    "DataSource",
    "InvalidDataError",
    "SplitSettings",
    "check_documents",
    "documents_sha256",
    "generate_documents",
    "load_documents",
    "read_jsonl",
    "split_documents",
    "stream_documents",
    "with_made_splits",
    "write_documents",
]
