"""What a Predictor is given: items, what to call them, and how many are read ahead of the model."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nlp_inference.document import Document


class UnreadableItem(NamedTuple):
    """Stands in a source for what could not be read, so that what comes after it can be.

    Args:
        id: what to call it, such as `mails.jsonl:17`.
        cause: why it could not be read.
    """

    id: str
    cause: Exception


Item = str | Mapping[str, Any] | Document | UnreadableItem
"""A text, a Document or the fields of one."""

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
    given = item.get("id") if isinstance(item, Mapping) else getattr(item, "id", None)
    return given if isinstance(given, str) else number


def writable(text: str) -> str:
    """Lone surrogates, which no UTF-8 file can hold, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _characters(item: Item) -> int:
    if isinstance(item, Mapping):
        item = item.get("raw_text", "")
    return len(item.raw_text if isinstance(item, Document) else item) if isinstance(item, str | Document) else 0
