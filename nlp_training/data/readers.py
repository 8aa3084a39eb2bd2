"""JSON Lines into Documents."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nlp_inference.document import Document, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.json_lines import decode_line, parse_json
from nlp_training.data.records import READ_FROM, Columns, record_to_document

OnError = Callable[[InvalidDocumentError], None]
"""What is told of a record that cannot be read; reading goes on with the next."""


def read_jsonl(
    path: str | Path, *, columns: Columns | Mapping[str, str] | None = None, on_error: OnError | None = None
) -> Iterator[Document]:
    r"""Read the Documents of a JSON Lines file (https://jsonlines.org), one record a line, UTF-8.

    Lines end at `\n` alone, so a text may hold any other separator. Blank lines are skipped. A record is one of:

    - `{"id", "text", "spans": [{"start", "end", "label"}]}`
    - `{"id", "text", "label"}` or `{"id", "text", "labels": [...]}`
    - `{"id", "tokens": [...], "tags": [...]}`: BIO2 and its like; the tokens are joined by single spaces
    - `{"id", "text_a", "text_b", "label"}` or `"score"`
    - a Document's own JSON: `{"raw_text", "gold", ...}`

    What a record holds besides is kept in `metadata`, and so is the line, as `read_from`. It is also the default id.

    Args:
        path: the file.
        columns: the names of the keys, where they are not those above.
        on_error: is told of a line that cannot be read, which is left out; without it, the first one is raised.

    Raises:
        InvalidDocumentError: a line does not describe a Document, or repeats an id; names the file and the line.
        FileNotFoundError: there is no such file.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.jsonl"
        ...     _ = file.write_text('{"text": "hello", "label": "greeting"}')
        ...     [document] = read_jsonl(file)
        >>> document.id.endswith("train.jsonl:1"), document.raw_text, document.gold.categories[0].label
        (True, 'hello', 'greeting')
    """
    path = Path(path)
    columns = Columns.of(columns)
    lines: dict[str | None, int] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                document = _read_line(line, columns, f"{path}:{number}")
                _check_id(document, lines, number)
            except InvalidDocumentError as error:
                told = InvalidDocumentError(f"{path}:{number}: {error}")
                if on_error is None:
                    raise told from error
                on_error(told)
            else:
                yield document


def _check_id(document: Document, lines: dict[str | None, int], number: int) -> None:
    first = lines.setdefault(document.id, number)
    if first != number:
        raise InvalidDocumentError(
            f"the id {document.id!r} is already that of line {first}; give every record its own id, or none"
        )


def _read_line(line: bytes, columns: Columns, read_from: str) -> Document:
    record = parse_json(decode_line(line))
    if not isinstance(record, dict):
        raise InvalidDocumentError(f"the line holds {_shorten(record)}; write one JSON object a line")
    if "raw_text" in record and columns.text is None and columns.tokens is None:
        metadata = record.get("metadata", {})
        if isinstance(metadata, dict):
            record["metadata"] = {**metadata, READ_FROM: read_from}
        return as_document(record, default_id=read_from)
    return record_to_document(record, columns=columns.resolve(record), read_from=read_from)


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
