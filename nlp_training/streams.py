"""Large sets of documents, a part at a time."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from nlp_inference import Document, Processor
from nlp_inference.encoding import EncodedDocument

T = TypeVar("T")

Watch = Callable[[EncodedDocument], None]
"""Is shown every document that somebody encodes, so as not to encode it again."""

_DOCUMENTS_AT_ONCE = 256


def in_chunks(items: Iterable[T], *, size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of `size`; the last may be shorter.

    Example:
        >>> list(in_chunks("abcde", size=2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def encode_stream(
    processor: Processor, documents: Iterable[Document], *, watch: Watch | None = None
) -> Iterator[EncodedDocument]:
    """Encode documents one after the other; only a part of them is in memory as tokens at any time.

    Args:
        processor: encodes.
        documents: as many as there are.
        watch: is shown every encoded document before it is yielded.
    """
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        for encoded in processor.encode(chunk):
            if watch is not None:
                watch(encoded)
            yield encoded
