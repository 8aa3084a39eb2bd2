"""Chunks of large sets of documents."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from nlp_inference import Document, Processor
from nlp_inference.encoding import EncodedDocument

T = TypeVar("T")

DOCUMENTS_AT_ONCE = 256
CHARACTERS_AT_ONCE = 1_000_000
"""The limits of a chunk. An encoded character takes about ten bytes."""


def in_chunks(items: Iterable[T], *, size: int) -> Iterator[list[T]]:
    """Split a stream into lists of `size` items; the last may be shorter.

    Example:
        >>> list(in_chunks("abcde", size=2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def document_chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Split a stream into lists within `DOCUMENTS_AT_ONCE` and `CHARACTERS_AT_ONCE`; a longer document is alone.

    Example:
        >>> half = Document(raw_text="a" * (CHARACTERS_AT_ONCE // 2))
        >>> [len(chunk) for chunk in document_chunks([half, half, half])]
        [2, 1]
    """
    chunk: list[Document] = []
    characters = 0
    for document in documents:
        size = len(document.raw_text) + len(document.raw_text_pair or "")
        if chunk and (len(chunk) == DOCUMENTS_AT_ONCE or characters + size > CHARACTERS_AT_ONCE):
            yield chunk
            chunk, characters = [], 0
        chunk.append(document)
        characters += size
    if chunk:
        yield chunk


def encode_stream(processor: Processor, documents: Iterable[Document]) -> Iterator[EncodedDocument]:
    """Encode documents chunk by chunk, so only a part of them is in memory as tokens.

    Args:
        processor: the processor that encodes the documents.
        documents: any number of documents.
    """
    for chunk in document_chunks(documents):
        yield from processor.encode(chunk)
