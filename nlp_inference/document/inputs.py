"""Inputs of a Predictor: items, their ids, and chunks that are read ahead of the model."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Document, as_document
from nlp_inference.document.offsets import in_code_points
from nlp_inference.errors import InvalidDocumentError, TooLargeError


class UnreadableItem(NamedTuple):
    """Replacement of an item that could not be read, so that the following items can be read.

    Args:
        id: the id of its record, such as `mails.jsonl:17`.
        cause: the error.
    """

    id: str
    cause: Exception


_TEXTS = ("raw_text", "raw_text_pair")

Item = str | Mapping[str, Any] | Document | UnreadableItem
"""A text, a Document, or a mapping that describes one; see `document_fields`."""

CONTEXT, QUESTION = "context", "question"

TEXT_NAMES = ("raw_text", "text", "text_a", CONTEXT)
"""Usual keys and columns of the text in records of every format, for prediction and for training."""

PAIR_NAMES = ("raw_text_pair", "text_pair", "text_b")
"""Usual keys and columns of the text pair; in addition `question`, if the text is called `context`."""


def text_columns(
    available: Collection[str], *, text: str | None = None, text_pair: str | None = None
) -> dict[str, str]:
    """Return the key or column of the text and of the text pair, as far as they are available.

    Args:
        available: the keys or columns.
        text: the name of the text's column, if it is not one of `TEXT_NAMES`.
        text_pair: the name of the text pair's column, if it is not one of `PAIR_NAMES`.

    Returns:
        The names by the fields of a Document, `raw_text` and `raw_text_pair`.

    Example:
        >>> text_columns(["id", "question", "context"]), text_columns(["question", "text"])
        ({'raw_text': 'context', 'raw_text_pair': 'question'}, {'raw_text': 'text'})
    """
    found: dict[str, str] = {}
    for field, named, usual in (("raw_text", text, TEXT_NAMES), ("raw_text_pair", text_pair, PAIR_NAMES)):
        of_question = (QUESTION,) if field == "raw_text_pair" and found.get("raw_text") == CONTEXT else ()
        names = (*usual, *of_question) if named is None else (named,)
        if (column := next((name for name in names if name in available), None)) is not None:
            found[field] = column
    return found


class Columns(NamedTuple):
    """Keys of a record, or columns of a table; `None` means the default names.

    Args:
        text: the key of the text, in place of `TEXT_NAMES`.
        id: the key of the id, in place of `id`.
    """

    text: str | None = None
    id: str | None = None

    def find(self, available: Collection[str]) -> dict[str, str]:
        """Return the names by the fields of a Document that they contain: `id`, `raw_text` and `raw_text_pair`."""
        id_name = self.id or "id"
        return {**({"id": id_name} if id_name in available else {}), **text_columns(available, text=self.text)}


USUAL = Columns()

_WITH_OFFSETS = frozenset({"gold", "predicted", "edits", "edits_pair", "coverage"})
"""Fields of a Document that contain offsets."""


def document_fields(record: Mapping[str, Any], *, columns: Columns = USUAL) -> dict[str, Any]:
    """Return the fields of the Document that a mapping describes; every key is used.

    `nlp-inference predict` reads JSON objects with this function, and a Predictor reads mappings.

    Args:
        record: contains the text as `text`, `raw_text`, `text_a` or `context`, and optionally a text pair as
            `text_pair`, `raw_text_pair`, `text_b` or, with a `context`, `question`, an `id`, and other fields of a
            Document, whose offsets may be in another unit (see `Document.to_offsets`). Unknown keys become metadata.
        columns: the keys of the text and the id, if they are not the default ones.

    Raises:
        InvalidDocumentError: there is no text, or a key is both in the mapping and in its metadata.

    Example:
        >>> document_fields({"id": 7, "text": "Hi", "lang": "en"})
        {'id': '7', 'raw_text': 'Hi', 'metadata': {'lang': 'en'}}
    """
    sources = _sources(record, columns)
    fields = _claimed(record, sources)
    rest = {key: value for key, value in record.items() if key not in {columns.id or "id", *sources.values()}}
    other_fields = Document.model_fields.keys() - {"id", *_TEXTS}
    fields |= {key: rest.pop(key) for key in [*rest] if key in other_fields}
    if "offsets" in rest and ("raw_text" in record or fields.keys() & _WITH_OFFSETS):
        fields = dict(in_code_points({**fields, "offsets": rest.pop("offsets")}))
        if "offsets" in fields:  # it is no unit
            rest["offsets"] = fields.pop("offsets")
    unclaimed = {key: value for key, value in rest.items() if key not in _TEXTS or value is not None}
    metadata = fields.get("metadata", {})
    if unclaimed and isinstance(metadata, Mapping):  # Document rejects metadata that is not a mapping
        repeated = sorted(key for key in unclaimed if key in metadata)
        if repeated:
            raise InvalidDocumentError(f"the keys {repeated!r} are in the object and in its metadata; write each once")
        fields["metadata"] = {**unclaimed, **metadata}
    return fields


def row_fields(row: Mapping[str, Any], *, columns: Columns = USUAL) -> dict[str, Any]:
    """Return the fields of the Document that a row of a table describes; columns of no text and no id are metadata.

    Args:
        row: the values by column; a null is omitted.
        columns: the columns of the text and the id, if they are not the default ones.

    Raises:
        InvalidDocumentError: there is no text.

    Example:
        >>> row_fields({"id": 7, "text": "Hi", "gold": "greeting", "note": None})
        {'id': '7', 'raw_text': 'Hi', 'metadata': {'gold': 'greeting'}}
    """
    sources = _sources(row, columns)
    used = sources.values()
    metadata = {name: value for name, value in row.items() if value is not None and name not in used}
    return {**_claimed(row, sources), **({"metadata": metadata} if metadata else {})}


def _sources(record: Mapping[str, Any], columns: Columns) -> dict[str, str]:
    found = columns.find([key for key, value in record.items() if value is not None])
    if "raw_text" not in found:
        raise InvalidDocumentError(_no_text(record, columns))
    return found


def _claimed(record: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    return {field: as_id(record[key]) if field == "id" else record[key] for field, key in sources.items()}


def _no_text(record: Mapping[str, Any], columns: Columns) -> str:
    keys = (columns.text,) if columns.text else TEXT_NAMES
    null = next((key for key in keys if key in record), None)
    if null is not None:
        return f"no {null!r}: its value is null; write a string, which may be empty"
    hint = (
        'write {"text": ...} or {"raw_text": ...}'
        if columns.text is None
        else "name the key that contains the text: --text-column"
    )
    return f"no {columns.text or 'text'!r} among the keys {sorted(map(str, record))!r}; {hint}"


def as_id(given: Any) -> Any:
    """Convert a number to an id; return any other value unchanged."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


def read_item(item: Item, *, number: str, max_characters: int | None = None) -> Document:
    """Convert an item to a Document.

    Args:
        item: the item.
        number: the id of an item that has none.
        max_characters: limit of the text and its text pair together; `None` means no limit.

    Raises:
        InvalidDocumentError: the item does not describe a Document.
        TooLargeError: its texts are too long.
    """
    if isinstance(item, UnreadableItem):
        raise item.cause
    if not isinstance(item, str | Mapping | Document):
        raise InvalidDocumentError(
            f"item {number} is {shorten(repr(item), width=60)}, a {type(item).__name__}; pass a text, a Document or a "
            'mapping such as {"text": ...}'
        )
    document = as_document(document_fields(item) if isinstance(item, Mapping) else item, default_id=number)
    length = len(document.raw_text) + len(document.raw_text_pair or "")
    if max_characters is not None and length > max_characters:
        raise TooLargeError(
            f"document {document.id!r} has {length} characters; the limit is {max_characters}. Split it, or increase "
            "max_characters (--max-characters)"
        )
    return document


LOOK_AHEAD_DOCUMENTS = 1024
LOOK_AHEAD_CHARACTERS = 2_000_000
"""Limits of a chunk that is read ahead to build batches of similar length; they bound the memory of a stream."""


class Chunk(NamedTuple):
    """Items that are predicted together.

    Args:
        begin: the index of the first item in the stream.
        items: the items, in the order of the stream.
    """

    begin: int
    items: list[Item]


def look_ahead(items: Iterable[Item]) -> Iterator[Chunk]:
    """Split a stream into chunks of bounded size, including the items before an error; chunks are deterministic."""
    chunk: list[Item] = []
    begin = characters = 0
    try:
        for item in items:
            chunk.append(item)
            characters += _characters(item)
            if len(chunk) == LOOK_AHEAD_DOCUMENTS or characters >= LOOK_AHEAD_CHARACTERS:
                yield Chunk(begin, chunk)
                begin, chunk, characters = begin + len(chunk), [], 0
    except Exception:  # the items before the error are still predicted
        if chunk:
            yield Chunk(begin, chunk)
        raise
    if chunk:
        yield Chunk(begin, chunk)


def item_name(item: Item, number: str) -> str:
    """Return the id of an item, which may not be a valid document, or its number."""
    given = as_id(item.get("id")) if isinstance(item, Mapping) else getattr(item, "id", None)
    return given if isinstance(given, str) else number


def writable(text: str) -> str:
    """Escape lone surrogates, which cannot be encoded in UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _characters(item: Item) -> int:
    """Count the characters of the texts and of the data that is kept with them."""
    if isinstance(item, Document):
        return len(item.raw_text) + len(item.raw_text_pair or "") + _size(item.metadata)
    return _size(item) if isinstance(item, str | Mapping) else 0


def _size(value: Any) -> int:
    """Count the characters and values in strings, mappings and lists, up to the number that fills a chunk."""
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
