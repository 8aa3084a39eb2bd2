"""What a Predictor is given: items, what to call them, and how many are read ahead of the model."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Document, as_document
from nlp_inference.errors import InvalidDocumentError, TooLargeError


class UnreadableItem(NamedTuple):
    """Stands in a source for what could not be read, so that what comes after it can be.

    Args:
        id: what to call it, such as `mails.jsonl:17`.
        cause: why it could not be read.
    """

    id: str
    cause: Exception


Item = str | Mapping[str, Any] | Document | UnreadableItem
"""A text, a Document, or a mapping that describes one; see `document_fields`."""

_KEYS = {
    "raw_text": ("raw_text", "text", "text_a", "context"),
    "raw_text_pair": ("raw_text_pair", "text_pair", "text_b"),
}
"""Where the texts of a mapping are looked for, the first that is not null."""


class Columns(NamedTuple):
    """Which key of a record, or column of a table, holds what; `None` means the usual names.

    Args:
        text: of the text, in place of `text`.
        id: of the id, in place of `id`.
    """

    text: str | None = None
    id: str | None = None


USUAL = Columns()


def document_fields(record: Mapping[str, Any], *, columns: Columns = USUAL) -> dict[str, Any]:
    """The fields of a Document that a mapping describes; no key is lost.

    `nlp-inference predict` reads objects and rows with it, and a Predictor mappings.

    Args:
        record: contains the text as `text`, `raw_text`, `text_a` or `context`; it may contain a text pair as
            `text_pair`, `raw_text_pair`, `text_b` or, with a `context`, `question`, an `id`, and other fields of a
            Document. Other keys become metadata.
        columns: which keys hold the text and the id, in place of the usual ones.

    Raises:
        InvalidDocumentError: there is no text, or a key stands in the mapping and in its metadata.

    Example:
        >>> document_fields({"id": 7, "text": "Hi", "lang": "en"})
        {'id': '7', 'raw_text': 'Hi', 'metadata': {'lang': 'en'}}
    """
    named, id_key = {"raw_text": (columns.text,)} if columns.text else {}, columns.id or "id"
    keys_of = {**_KEYS, **named}
    sources = {
        field: next((key for key in keys if record.get(key) is not None), None) for field, keys in keys_of.items()
    }
    if sources["raw_text"] == "context" and sources["raw_text_pair"] is None and record.get("question") is not None:
        sources["raw_text_pair"] = "question"
    if sources["raw_text"] is None:
        raise InvalidDocumentError(_no_text(record, columns))
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


def _no_text(record: Mapping[str, Any], columns: Columns) -> str:
    keys = (columns.text,) if columns.text else _KEYS["raw_text"]
    null = next((key for key in keys if key in record), None)
    if null is not None:
        return f"no {null!r}: its value is null; write a string, which may be empty"
    mend = (
        'write {"text": ...} or {"raw_text": ...}'
        if columns.text is None
        else "name the key that holds the text: --text-column"
    )
    return f"no {columns.text or 'text'!r} among the keys {sorted(map(str, record))!r}; {mend}"


def as_id(given: Any) -> Any:
    """An id as a Document takes it: numbers are names too, null is none."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


def read_item(item: Item, *, number: str, max_characters: int | None = None) -> Document:
    """Make a Document of an item.

    Args:
        item: to read.
        number: the id of an item that has none.
        max_characters: of the text and its pair together; `None` means no limit.

    Raises:
        InvalidDocumentError: the item describes no Document.
        TooLargeError: its texts are too long.
    """
    if isinstance(item, UnreadableItem):
        raise item.cause
    if not isinstance(item, str | Mapping | Document):
        raise InvalidDocumentError(
            f"item {number} is {shorten(repr(item), width=60)}, a {type(item).__name__}; give a text, a Document or a "
            'mapping such as {"text": ...}'
        )
    document = as_document(document_fields(item) if isinstance(item, Mapping) else item, default_id=number)
    length = len(document.raw_text) + len(document.raw_text_pair or "")
    if max_characters is not None and length > max_characters:
        raise TooLargeError(
            f"document {document.id!r} has {length} characters; at most {max_characters} are allowed. Split it, or "
            "raise max_characters (--max-characters)"
        )
    return document


LOOK_AHEAD_DOCUMENTS = 1024
LOOK_AHEAD_CHARACTERS = 2_000_000
"""How much is read ahead of the model, to make batches of like length: the bound of a stream's memory."""


class Chunk(NamedTuple):
    """Items that are predicted together.

    Args:
        begin: number of the first one in the stream.
        items: in the order of the stream.
    """

    begin: int
    items: list[Item]


def look_ahead(items: Iterable[Item]) -> Iterator[Chunk]:
    """Cut a stream into chunks of bounded size, up to where the stream fails; the same items give the same chunks."""
    chunk: list[Item] = []
    begin = characters = 0
    try:
        for item in items:
            chunk.append(item)
            characters += _characters(item)
            if len(chunk) == LOOK_AHEAD_DOCUMENTS or characters >= LOOK_AHEAD_CHARACTERS:
                yield Chunk(begin, chunk)
                begin, chunk, characters = begin + len(chunk), [], 0
    except Exception:  # the source broke: what it gave before is still answered
        if chunk:
            yield Chunk(begin, chunk)
        raise
    if chunk:
        yield Chunk(begin, chunk)


def item_name(item: Item, number: str) -> str:
    """What to call an item that may not even be a document: the id that it was given, or its number."""
    given = as_id(item.get("id")) if isinstance(item, Mapping) else getattr(item, "id", None)
    return given if isinstance(given, str) else number


def writable(text: str) -> str:
    """Lone surrogates, which no UTF-8 file can hold, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _characters(item: Item) -> int:
    """Those of the texts and of everything else that is kept with them."""
    if isinstance(item, Document):
        return len(item.raw_text) + len(item.raw_text_pair or "") + _size(item.metadata)
    return _size(item) if isinstance(item, str | Mapping) else 0


def _size(value: Any) -> int:
    """Characters and values in strings, mappings and lists, up to the number that fills a chunk."""
    size, waiting = 0, [value]
    while waiting and size < LOOK_AHEAD_CHARACTERS:
        one = waiting.pop()
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        size += 1
    return size
