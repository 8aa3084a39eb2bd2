"""Which texts are recorded with a model, so that it can be verified wherever it runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nlp_inference import Document, Processor
from nlp_inference.document import as_document
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.golden import select_documents
from nlp_inference.golden.records import Origin
from nlp_inference.predictor import UnreadableItem
from nlp_inference.records import read_items
from nlp_training.config import RunConfig


def golden_documents(
    config: RunConfig, processor: Processor, validation: Sequence[Document]
) -> dict[Origin, list[Document]]:
    """The documents that `config.golden` asks for, and the hostile ones, by where they come from.

    Raises:
        InvalidSpecError: the user's file cannot be read.
    """
    own = [] if config.golden.file is None else list(_read_texts(Path(config.golden.file)))
    return select_documents(validation, processor, records=config.golden.records, seed=config.seed, own=own)


def _read_texts(path: Path) -> Iterator[Document]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidSpecError(f"golden.file {str(path)!r} cannot be read: {error.strerror}") from error
    for item in read_items(lines, name=str(path)):
        if isinstance(item, UnreadableItem):
            raise InvalidSpecError(f"golden.file, {item.id}: {item.cause}") from item.cause
        try:
            yield as_document(item)
        except InvalidDocumentError as error:
            raise InvalidSpecError(f"golden.file {str(path)!r}: {error}") from error
