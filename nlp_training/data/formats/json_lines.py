"""JSON Lines: one Document per line, without loss (https://jsonlines.org)."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nlp_inference.document import Document, as_document
from nlp_inference.document.offsets import in_code_points
from nlp_training.data.columns import Columns
from nlp_training.data.errors import OnError
from nlp_training.data.formats.base import Format, ReadOptions, json_objects, new_file, read_units
from nlp_training.data.formats.parts import own_id, own_metadata
from nlp_training.data.records import READ_FROM, record_to_document


def read_jsonl(
    path: str | Path, *, columns: Columns | Mapping[str, str] | None = None, on_error: OnError | None = None
) -> Iterator[Document]:
    r"""Read the Documents of a JSON Lines file (https://jsonlines.org), one record per line, UTF-8.

    Only `\n` ends a line, so a text may contain any other separator. Blank lines are skipped. A record is one of:

    - `{"id", "text", "spans": [{"start", "end", "label"}]}`
    - `{"id", "text", "label"}` or `{"id", "text", "labels": [...]}`
    - `{"id", "tokens": [...], "tags": [...]}`: BIO2 or a similar scheme; the tokens are joined by single spaces
    - `{"id", "text_a", "text_b", "label"}` or `"score"`
    - a Document's own JSON: `{"raw_text", "gold", ...}`, perhaps with the unit of its `offsets`

    Other keys are kept in `metadata`, as is the location of the line, `read_from`, which is also the default id.

    Args:
        path: the file.
        columns: the names of the keys, if they differ from those above.
        on_error: receives the error of an invalid line, which is skipped; without it, the first error is raised.

    Raises:
        InvalidDocumentError: a line is not a valid Document, or repeats an id; the message names the file and the line.
        FileNotFoundError: the file does not exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.jsonl"
        ...     _ = file.write_text('{"text": "hello", "label": "greeting"}')
        ...     [document] = read_jsonl(file)
        >>> document.id.endswith("train.jsonl:1"), document.raw_text, document.gold.categories[0].label
        (True, 'hello', 'greeting')
    """
    options = ReadOptions(Columns.of(columns), on_error=on_error)
    yield from _read(Path(path), options)
    options.notes.tell(str(path), None)


def _make(options: ReadOptions, record: dict[str, Any], place: str) -> Document:
    columns = options.columns
    record = dict(in_code_points(record))
    if "raw_text" in record and columns.text is None and columns.tokens is None:
        metadata = record.get("metadata", {})
        if isinstance(metadata, dict):
            record["metadata"] = {**metadata, READ_FROM: place}
        return as_document(record, default_id=place)
    found = columns.resolve(record)
    return record_to_document(record, columns=found, read_from=place, skip_blank=options.skip_blank_labels)


def write_jsonl(documents: Iterable[Document], path: str | Path) -> None:
    """Write the JSON of each Document, one per line, without loss. Fields that were never set are not written.

    The location that a document was read from is not written because the reader adds it. See `read_jsonl` for the other
    forms of records.

    Args:
        documents: the documents; only one at a time is in memory.
        path: the file, which is created when it is complete.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.jsonl"
        ...     write_jsonl([Document(raw_text="Ana", id="7")], file)
        ...     file.read_text(), [document.id for document in read_jsonl(file)]
        ('{"raw_text":"Ana","id":"7"}\\n', ['7'])
    """
    with new_file(Path(path)) as file:
        for document in documents:
            plain = document
            if READ_FROM in document.metadata:
                plain = document.model_copy(update={"id": own_id(document), "metadata": own_metadata(document)})
            file.write(plain.model_dump_json(exclude_unset=True) + "\n")


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(json_objects(path, partial(_make, options)), options)


JSONL = Format(
    "jsonl",
    (".jsonl",),
    ".jsonl",
    _read,
    write_jsonl,
    takes=frozenset({"columns", "blank_labels"}),
    keeps_predictions=True,
)
