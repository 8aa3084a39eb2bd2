"""Lines of text and JSON Lines to items for the Predictor, and results to JSON Lines."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.items import Item, UnreadableItem
from nlp_inference.json_lines import BYTE_ORDER_MARK, decode_line, parse_json
from nlp_inference.predictor import FailedDocument

_KEYS = {"raw_text": ("raw_text", "text", "text_a"), "raw_text_pair": ("raw_text_pair", "text_pair", "text_b")}
"""Where the texts of a record are looked for, the first that is not null."""


class Columns(NamedTuple):
    """Which key of a record, or column of a table, holds what; `None` leaves it to the usual names.

    Args:
        text: of the text, in place of `text`.
        id: of the id, in place of `id`.
    """

    text: str | None = None
    id: str | None = None


USUAL = Columns()


def read_items(lines: Iterable[str | bytes], *, name: str, columns: Columns = USUAL) -> Iterator[Item]:
    """Read one item a line: a line that begins with `{` is a JSON object, any other is a text as it stands.

    The object holds `text`, and may hold a second text as `text_pair`, an `id`, and what else a Document's own JSON
    has; other keys become metadata. Blank lines are skipped, and lines end at a line feed, with or without a carriage
    return. A line that cannot be read, also a text that only looks like JSON, becomes an `UnreadableItem`: the
    Predictor raises or records it, and the lines around it are read.

    Args:
        lines: as text or in UTF-8, with or without their line feed.
        name: of the source; `name:line` names a line that cannot be read.
        columns: which keys of an object hold its text and its id.

    Yields:
        Items for `Predictor.stream`.

    Example:
        >>> list(read_items(["Ana lives in Rome", '{"id": 7, "text": "Hi", "lang": "en"}'], name="in"))
        ['Ana lives in Rome', {'id': '7', 'raw_text': 'Hi', 'metadata': {'lang': 'en'}}]
    """
    for number, line in enumerate(lines, 1):
        place = f"{name}:{number}"
        try:
            content = decode_line(line)
        except InvalidDocumentError as error:
            yield UnreadableItem(place, error)
            continue
        if number == 1:
            content = content.removeprefix(BYTE_ORDER_MARK)
        if not content.strip():
            continue
        yield _read_object(content, place, columns) if _looks_like_json(content) else content


def _looks_like_json(content: str) -> bool:
    return content.strip().removeprefix(BYTE_ORDER_MARK).lstrip().startswith("{")


def _read_object(content: str, place: str, columns: Columns) -> Item:
    try:
        record = parse_json(content)
    except InvalidDocumentError as error:
        mend = 'a line that begins with "{" must be a JSON object; to predict it as a text, write {"text": "{..."}'
        return UnreadableItem(place, InvalidDocumentError(f"{error}; {mend}"))
    try:
        return _document_fields(record, columns)
    except InvalidDocumentError as error:
        given = as_id(record.get(columns.id or "id"))
        if not isinstance(given, str):
            return UnreadableItem(place, error)
        return UnreadableItem(given, InvalidDocumentError(f"{place}: {error}"))


def _document_fields(record: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """The fields of a Document that a record describes; no key is lost."""
    named, id_key = {"raw_text": (columns.text,)} if columns.text else {}, columns.id or "id"
    keys_of = {**_KEYS, **named}
    sources = {
        field: next((key for key in keys if record.get(key) is not None), None) for field, keys in keys_of.items()
    }
    if sources["raw_text"] is None:
        raise InvalidDocumentError(f"no {columns.text or 'text'!r} among the keys {sorted(record)!r}; {_mend(columns)}")
    fields: dict[str, Any] = {"id": as_id(record[id_key])} if record.get(id_key) is not None else {}
    fields |= {field: record[key] for field, key in sources.items() if key is not None}
    rest = {key: value for key, value in record.items() if key != id_key and key not in sources.values()}
    own = Document.model_fields.keys() - {*_KEYS, "id"}
    fields |= {key: rest.pop(key) for key in [*rest] if key in own}
    unclaimed = {key: value for key, value in rest.items() if key not in _KEYS or value is not None}
    metadata = fields.get("metadata", {})
    if unclaimed and isinstance(metadata, Mapping):  # anything else is refused as a Document's metadata
        twice = sorted(key for key in unclaimed if key in metadata)
        if twice:
            raise InvalidDocumentError(f"the keys {twice!r} stand in the object and in its metadata; give each once")
        fields["metadata"] = {**unclaimed, **metadata}
    return fields


def _mend(columns: Columns) -> str:
    return 'write {"text": ...}' if columns.text is None else "name the key that holds the text: --text-column"


def as_id(given: Any) -> Any:
    """An id as a Document takes it: numbers are names too, null is none."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


def to_json_line(result: Document | FailedDocument) -> str:
    """One line of JSON without a line feed; what is empty or not known is left out.

    Example:
        >>> to_json_line(Document(id="7", raw_text="Hi"))
        '{"raw_text":"Hi","id":"7"}'
    """
    return result.model_dump_json(exclude_defaults=True)
