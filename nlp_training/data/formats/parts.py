"""The parts of a Document that a format may not support, and the checks of writers that no part is lost."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Annotation, Document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.records import READ_FROM

Part = Literal[
    "id", "pair", "spans", "categories", "relations", "values", "generated", "scores", "predicted", "metadata", "edits"
]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts that can be dropped: `edits` are those of preprocessing with the coverage, `scores` those of the gold."""


def own_id(document: Document) -> str | None:
    """Return the id, unless it is only the location that the document was read from."""
    return None if document.id == document.metadata.get(READ_FROM) else document.id


def own_metadata(document: Document) -> dict[str, Any]:
    """Return the metadata without the location that the document was read from, which every reader adds."""
    return {key: value for key, value in document.metadata.items() if key != READ_FROM}


def leave_out(document: Document, parts: Collection[Part]) -> Document:
    """Return the Document without some of its parts. Without spans, their relations are dropped, too.

    Example:
        >>> document = Document(raw_text="Ana", id="a", metadata={"page": 3})
        >>> leave_out(document, {"id", "metadata"})
        Document(raw_text='Ana', raw_text_pair=None, id=None, gold=None, predicted=None, metadata={}, ...)
    """
    empty: dict[Part, dict[str, Any]] = {
        "id": {"id": None},
        "pair": {"raw_text_pair": None, "edits_pair": ()},
        "predicted": {"predicted": None},
        "metadata": {"metadata": {key: value for key, value in document.metadata.items() if key == READ_FROM}},
        "edits": {"edits": (), "edits_pair": (), "coverage": None},
    }
    update = {field: value for part in parts for field, value in empty.get(part, {}).items()}
    if document.gold is not None:
        update["gold"] = _annotation_without(document.gold, parts)
    return Document.model_validate({**dict(document), **update})


def _annotation_without(gold: Annotation, parts: Collection[Part]) -> Annotation:
    fields = {name: getattr(gold, name) for name in gold.model_fields_set if name not in parts}
    if "spans" in parts:
        fields.pop("relations", None)
    if "scores" in parts:
        for name in ("spans", "categories", "relations"):
            if name in fields:
                fields[name] = tuple(item.model_copy(update={"score": None}) for item in fields[name])
    return Annotation(**fields)


def refuse(document: Document, format_name: str, problem: str) -> InvalidDocumentError:
    """Return the error for a Document that a format cannot store."""
    return InvalidDocumentError(f"document {document.id!r}: {format_name} cannot store {problem}")


@contextmanager
def refusing(document: Document, format_name: str) -> Iterator[None]:
    """Convert a reading error of the block to the error that the format cannot store the Document."""
    try:
        yield
    except InvalidDocumentError as error:
        raise refuse(document, format_name, f"it because reading it would fail: {error}. Write jsonl") from error


def check_comes_back(document: Document, back: Document, format_name: str) -> None:
    """Check that reading restores a Document.

    Args:
        document: the Document to write.
        back: the Document as it would be read.
        format_name: the name of the format for the message.

    Raises:
        InvalidDocumentError: the Documents differ; the message says what would be lost, and what to do.

    Example:
        >>> check_comes_back(Document(raw_text="Ana", id="7"), Document(raw_text="Ana"), "conll")
        Traceback (most recent call last):
        nlp_inference.errors.InvalidDocumentError: document '7': conll cannot store its id: ...
    """
    for part, (kept, read) in _compare(document, back).items():
        if kept != read:
            would = f"{shorten(repr(kept), width=160)} would be read as {shorten(repr(read), width=160)}"
            drop = f", or drop it: --drop {part}" if part in PARTS else ""
            raise refuse(document, format_name, f"its {part}: {would}. Write jsonl, which stores everything{drop}")


def check_readable(document: Document, read_back: Callable[[], Document], format_name: str) -> None:
    """Check that a Document can be read and is restored; see `check_comes_back`.

    Args:
        document: the Document to write.
        read_back: reads what would be written.
        format_name: the name of the format for the message.

    Raises:
        InvalidDocumentError: reading fails or gives another Document; the message says what would be lost, and what to
            do.
    """
    with refusing(document, format_name):
        back = read_back()
    check_comes_back(document, back, format_name)


def _compare(document: Document, back: Document) -> dict[str, tuple[Any, Any]]:
    """Return every part of the Document with the same part as it would be read."""
    gold, gold_back = _in_order(document.gold), _in_order(back.gold)
    return {
        "text": (document.raw_text, back.raw_text),
        "annotation": (_annotated(document), _annotated(back)),
        "id": (own_id(document), own_id(back)),
        "pair": (document.raw_text_pair, back.raw_text_pair),
        "spans": (_places(gold), _places(gold_back)),
        "categories": (_labels(gold), _labels(gold_back)),
        "relations": (_links(gold), _links(gold_back)),
        "values": (gold.values, gold_back.values),
        "heads": (gold.heads, gold_back.heads),
        "generated": (gold.generated, gold_back.generated),
        "scores": (_scores(gold), _scores(gold_back)),
        "predicted": (document.predicted, back.predicted),
        "metadata": (own_metadata(document), own_metadata(back)),
        "edits": (_processing(document), _processing(back)),
    }


def _in_order(gold: Annotation | None) -> Annotation:
    """Sort the spans, unless relations refer to them by index."""
    if gold is None or gold.relations:
        return gold or Annotation()
    return gold.model_copy(update={"spans": tuple(sorted(gold.spans, key=lambda span: span.model_dump_json()))})


def _annotated(document: Document) -> str:
    return "not annotated" if document.gold is None else "annotated"


def _places(annotation: Annotation) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in annotation.spans]


def _labels(annotation: Annotation) -> list[str]:
    return [category.label for category in annotation.categories]


def _links(annotation: Annotation) -> list[tuple[int, int, str]]:
    """Return sorted relations because their order has no meaning."""
    return sorted((relation.head, relation.tail, relation.label) for relation in annotation.relations)


def _scores(annotation: Annotation) -> list[Any]:
    scored = [relation for relation in annotation.relations if relation.score is not None]
    return [
        [span.score for span in annotation.spans],
        [category.score for category in annotation.categories],
        sorted((relation.head, relation.tail, relation.label, relation.score) for relation in scored),
    ]


def _processing(document: Document) -> tuple[Any, ...]:
    return (document.edits, document.edits_pair, document.coverage)
