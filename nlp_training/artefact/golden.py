"""The texts that are recorded with a model, so that it can be verified on any machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nlp_inference import Document, Processor
from nlp_inference.document import as_document
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.files.records import read_items
from nlp_inference.golden import select_documents
from nlp_inference.golden.schema import MAX_RECORDS, Origin
from nlp_training.config import RunConfig

MAX_OWN_CHARACTERS = 200_000
"""The maximum total length of the texts in `golden.file`, which limits the size of the golden file."""

_SETTINGS: dict[Origin, str] = {"validation": "golden.records", "file": "golden.file"}
"""The keys of the configuration that select the texts."""


def golden_documents(
    config: RunConfig, processor: Processor, validation: Sequence[Document]
) -> dict[Origin, list[Document]]:
    """Return the documents that `config.golden` selects and the fixed difficult ones, by origin.

    All checks that need no model are done here, before the training rather than after it.

    Raises:
        InvalidSpecError: the user's file cannot be read, texts are too many or too long, or one cannot be encoded.
    """
    own = [] if config.golden.file is None else list(_read_texts(Path(config.golden.file)))
    chosen = select_documents(validation, processor, records=config.golden.records, seed=config.seed, own=own)
    count = sum(map(len, chosen.values()))
    if count > MAX_RECORDS:
        raise InvalidSpecError(
            f"golden.records and golden.file select {count} texts, including the fixed ones, but at most {MAX_RECORDS} "
            "can be recorded; select fewer"
        )
    characters = sum(len(document.raw_text) + len(document.raw_text_pair or "") for document in own)
    if characters > MAX_OWN_CHARACTERS:
        raise InvalidSpecError(
            f"golden.file {config.golden.file!r} contains {characters} characters, but at most {MAX_OWN_CHARACTERS} "
            "can be recorded; use fewer or shorter texts"
        )
    for origin, setting in _SETTINGS.items():
        for document in chosen[origin]:
            _check_encodes(document, processor, setting=setting)
    for document in chosen["hostile"]:
        try:
            _check_encodes(document, processor, setting="the fixed set of hostile texts")
        except InvalidSpecError as error:  # a difficult text may be invalid, but an IndexError is a bug
            if isinstance(error.__cause__, IndexError):
                raise
    return chosen


def _check_encodes(document: Document, processor: Processor, *, setting: str) -> None:
    try:
        [encoded] = processor.encode([document])
        processor.rows(encoded)
    except Exception as error:
        raise InvalidSpecError(
            f"{setting} selects a text that cannot be encoded: {type(error).__name__}: {error}; fix the processor "
            f"or remove the text {document.raw_text[:80]!r}"
        ) from error


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
