"""Conversion of text lines and JSON Lines to items for the Predictor, and of results to JSON Lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pydantic_core import to_json

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import USUAL, Columns, Item, UnreadableItem, as_id, document_fields, row_fields
from nlp_inference.document.limits import MAX_LINE_BYTES, MAX_OBJECTS
from nlp_inference.document.offsets import OffsetUnit, converted
from nlp_inference.errors import InvalidDocumentError, SourceError, TooLargeError
from nlp_inference.files.json_lines import BYTE_ORDER_MARK, TooLongLine, decode_line, parse_json

__all__ = [
    "Columns",
    "as_id",
    "check_columns",
    "holds_objects",
    "in_unit",
    "object_to_item",
    "read_items",
    "row_to_item",
    "to_json_line",
    "too_long",
]


def read_items(
    lines: Iterable[str | bytes | TooLongLine],
    *,
    name: str,
    columns: Columns = USUAL,
    objects_only: bool = False,
    max_bytes: int | None = MAX_LINE_BYTES,
) -> Iterator[Item]:
    """Read one item per line: a line that begins with `{` is a JSON object, any other line is a raw text.

    The object contains `text`, and optionally a text pair as `text_pair`, an `id`, and other fields of a Document's
    JSON; unknown keys become metadata. Blank lines are skipped, and lines end at a line feed, with or without a
    carriage return. A line that cannot be read, such as a text that only looks like JSON, becomes an `UnreadableItem`,
    which the Predictor raises or records; the other lines are read.

    Args:
        lines: as text or in UTF-8, with or without their line feed.
        name: the name of the source; `name:line` is the location of a line that cannot be read.
        columns: the keys of an object that contain its text and its id.
        objects_only: whether a line that is not a JSON object is an error rather than a text, as in a `*.jsonl` file.
        max_bytes: size limit of a line (in characters if it is a string); a longer one is an `UnreadableItem`.

    Yields:
        Items for `Predictor.stream`.

    Example:
        >>> list(read_items(["Ana lives in Rome", '{"id": 7, "text": "Hi", "lang": "en"}'], name="in"))
        ['Ana lives in Rome', {'id': '7', 'raw_text': 'Hi', 'metadata': {'lang': 'en'}}]
    """
    for number, line in enumerate(lines, 1):
        location = f"{name}:{number}"
        if isinstance(line, TooLongLine) or (max_bytes is not None and len(line) > max_bytes + 2):
            yield too_long(location, line.size if isinstance(line, TooLongLine) else len(line), max_bytes)
            continue
        try:
            content = decode_line(line)
        except InvalidDocumentError as error:
            yield UnreadableItem(location, error)
            continue
        if number == 1:
            content = content.removeprefix(BYTE_ORDER_MARK)
        if not content.strip():
            continue
        is_json = objects_only or _looks_like_json(content)
        yield _read_object(content, location, columns, objects_only=objects_only) if is_json else content


def too_long(location: str, size: int, most: int | None) -> UnreadableItem:
    """Return the replacement of a line, or a row, of `size` bytes."""
    allowed = "" if most is None else f"; the limit is {most}"
    return UnreadableItem(
        location,
        TooLargeError(f"{location} has {size} bytes{allowed}. Split it, or increase max_line_bytes (--max-line-bytes)"),
    )


def holds_objects(path: str) -> bool:
    """Return whether each line of a file must be a JSON object, according to its suffix.

    Example:
        >>> holds_objects("mails.jsonl.gz"), holds_objects("mails.txt")
        (True, False)
    """
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in (".gz", ".bz2", ".xz"):
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (".jsonl", ".ndjson", ".json")


def _looks_like_json(content: str) -> bool:
    return content.strip().removeprefix(BYTE_ORDER_MARK).lstrip().startswith("{")


def _read_object(content: str, location: str, columns: Columns, *, objects_only: bool) -> Item:
    if content.count("{") + content.count("[") > MAX_OBJECTS:
        message = f"{location} contains more than {MAX_OBJECTS} brackets of objects and arrays; split it"
        return UnreadableItem(location, TooLargeError(message))
    try:
        record = parse_json(content)
    except InvalidDocumentError as error:
        hint = 'a line that begins with "{" must be a JSON object; to predict it as a text, write {"text": "{..."}'
        if objects_only:
            hint = 'each line of a JSON Lines file must be an object such as {"text": ...}; name a file of texts *.txt'
        return UnreadableItem(location, InvalidDocumentError(f"{error}; {hint}"))
    if not isinstance(record, dict):
        shown = shorten(content.strip(), width=60)
        hint = 'each line of a JSON Lines file must be an object such as {"text": ...}'
        return UnreadableItem(location, InvalidDocumentError(f"the line contains {shown}; {hint}"))
    return object_to_item(record, location, columns)


def object_to_item(record: Mapping[str, Any], location: str, columns: Columns) -> Item:
    """Convert a JSON object to an item; see `document_fields`."""
    return _to_item(document_fields, record, location, columns)


def row_to_item(row: Mapping[str, Any], location: str, columns: Columns) -> Item:
    """Convert a row of a table to an item; see `row_fields`."""
    return _to_item(row_fields, row, location, columns)


def _to_item(fields: Callable[..., dict[str, Any]], record: Mapping[str, Any], location: str, columns: Columns) -> Item:
    try:
        return fields(record, columns=columns)
    except InvalidDocumentError as error:
        given = as_id(record.get(columns.id or "id"))
        name = given if isinstance(given, str) else location
        return UnreadableItem(name, InvalidDocumentError(f"{location}: {error}"))


def check_columns(names: Sequence[str], columns: Columns, *, name: str, hint: str = "") -> dict[str, str]:
    """Return the columns of a table by the fields of a Document that they contain; see `Columns.find`.

    Args:
        names: all columns.
        columns: the names of the columns that contain the text and the id.
        name: the name of the table, for the message.
        hint: the end of the message.

    Raises:
        SourceError: there is no column of the text, or the named column of the id is missing.
    """
    found = columns.find(names)
    missing = None if "raw_text" in found else columns.text or "text"
    if missing is None and columns.id is not None and "id" not in found:
        missing = columns.id
    if missing is not None:
        raise SourceError(
            f"{name!r} has no column {missing!r}, only {', '.join(map(repr, names)) or 'none'}; name the columns with "
            f"--text-column and --id-column{f'. {hint}' if hint else ''}"
        )
    return found


def to_json_line(result: Document | FailedDocument, *, offsets: OffsetUnit = "codepoint") -> str:
    """Return one line of JSON without a line feed; fields with default values are omitted.

    Args:
        result: the result.
        offsets: the unit of the offsets; another one than code points is stated under `offsets`, as by
            `Document.to_offsets`.

    Example:
        >>> to_json_line(Document(id="7", raw_text="Hi"))
        '{"raw_text":"Hi","id":"7"}'
        >>> to_json_line(Document(raw_text="Hi"), offsets="utf-16")
        '{"raw_text":"Hi","offsets":"utf-16"}'
    """
    if offsets == "codepoint" or not isinstance(result, Document):
        return result.model_dump_json(exclude_defaults=True)
    return to_json(in_unit(result, offsets)).decode()


def in_unit(document: Document, offsets: OffsetUnit) -> dict[str, Any]:
    """Return the JSON fields of a Document that have no default values, with offsets in another unit."""
    return {**converted(document.model_dump(mode="json", exclude_defaults=True), offsets), "offsets": offsets}
