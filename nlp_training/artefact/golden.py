"""Which texts are recorded with a model, so that it can be verified wherever it runs."""

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
"""Of the texts in `golden.file` together: what is recorded of them must fit into a file that is read again."""

_SETTINGS: dict[Origin, str] = {"validation": "golden.records", "file": "golden.file"}
"""What in the configuration chose the texts."""


def golden_documents(
    config: RunConfig, processor: Processor, validation: Sequence[Document]
) -> dict[Origin, list[Document]]:
    """The documents that `config.golden` asks for, and the hostile ones, by where they come from.

    What is wrong with them is found here, as far as it takes no model: before the training, not when it has ended.

    Raises:
        InvalidSpecError: the user's file cannot be read, the texts are too many or too long, or one cannot be encoded.
    """
    own = [] if config.golden.file is None else list(_read_texts(Path(config.golden.file)))
    chosen = select_documents(validation, processor, records=config.golden.records, seed=config.seed, own=own)
    count = sum(map(len, chosen.values()))
    if count > MAX_RECORDS:
        raise InvalidSpecError(
            f"golden.records and golden.file choose {count} texts, the hostile ones among them, but {MAX_RECORDS} are "
            "recorded at most; choose fewer"
        )
    characters = sum(len(document.raw_text) + len(document.raw_text_pair or "") for document in own)
    if characters > MAX_OWN_CHARACTERS:
        raise InvalidSpecError(
            f"golden.file {config.golden.file!r} holds {characters} characters, but {MAX_OWN_CHARACTERS} are recorded "
            "at most; take fewer or shorter texts"
        )
    for origin, setting in _SETTINGS.items():
        for document in chosen[origin]:
            _check_encodes(document, processor, setting=setting)
    for document in chosen["hostile"]:
        try:
            _check_encodes(document, processor, setting="the fixed set of hostile texts")
        except InvalidSpecError as error:  # a text may fail, but not by a mistake in code
            if isinstance(error.__cause__, IndexError):
                raise
    return chosen


def _check_encodes(document: Document, processor: Processor, *, setting: str) -> None:
    try:
        [encoded] = processor.encode([document])
        processor.rows(encoded)
    except Exception as error:
        raise InvalidSpecError(
            f"{setting} chooses a text that cannot be encoded: {type(error).__name__}: {error}; repair the processor "
            f"or take out the text {document.raw_text[:80]!r}"
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
