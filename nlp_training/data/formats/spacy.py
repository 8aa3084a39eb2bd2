"""spaCy's DocBin, the format of its training data (https://spacy.io/api/docbin, https://spacy.io/api/data-formats).

Spans are written as entities, or all in the span group `sc` if any spans of the file overlap; the reader reads entities
and all groups. Categories are the labels of `cats` with the value 1; labels of other documents are 0. Id and metadata
are in `user_data`. Words are split at span boundaries; the text is preserved exactly. Lemmas, tags, trees, the ids of
entities and extension attributes are not read.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from nlp_inference._utils.extras import require
from nlp_inference.document import Annotation, Category, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, located, new_path, read_units
from nlp_training.data.formats.parts import check_readable, own_id, own_metadata, refuse
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM

GROUP = "sc"
"""The default span group of spaCy's span categorizer."""

_ID = "id"


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    yield from read_units(_units(_spacy(), path), options)


def _spacy() -> ModuleType:
    return require("spacy", extra="spacy")


def _units(spacy: ModuleType, path: Path) -> Iterator[Unit]:
    try:
        for number, doc in enumerate(spacy.tokens.DocBin().from_disk(path).get_docs(spacy.vocab.Vocab()), start=1):
            place = f"{path} doc {number}"
            yield Unit(place, partial(_make, doc, place))
    except OSError as error:
        raise InvalidDataError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # from zlib, msgpack, a missing key, or spaCy
        raise InvalidDataError(
            f"{path} is not a DocBin ({type(error).__name__}: {error}); save it with spacy.tokens.DocBin.to_disk"
        ) from error


def _make(doc: Any, place: str) -> Document:
    with located(place):
        kept = {key: value for key, value in doc.user_data.items() if isinstance(key, str)}
        count_unread("extension attributes", len(doc.user_data) - len(kept))
        count_unread("ids of entities", sum(bool(entity.kb_id or entity.ent_id) for entity in doc.ents))
        name = kept.pop(_ID, None)
        fields = {
            "id": None if name is None else str(name),
            "raw_text": doc.text,
            "gold": _gold(doc),
            "metadata": {**_as_json(kept), READ_FROM: place},
        }
        return as_document(fields, default_id=place)


def _as_json(value: Any) -> Any:
    """Convert the tuples of msgpack to lists."""
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


def _gold(doc: Any) -> Annotation | None:
    found: dict[str, Any] = {}
    has_entities = len(doc) > 0 and doc.has_annotation("ENT_IOB")
    if has_entities and not doc.has_annotation("ENT_IOB", require_complete=True):
        raise InvalidDocumentError("some words have no entity annotation (ENT_IOB); annotate all words")
    if doc.spans or has_entities:
        spans = [_span(entity) for entity in doc.ents]
        for group in doc.spans.values():
            known = frozenset(spans)
            spans += [span for span in map(_span, group) if span not in known]
        found["spans"] = tuple(spans)
    if doc.cats:
        for label, value in doc.cats.items():
            if value not in (0, 1):
                raise InvalidDocumentError(f"cats[{label!r}] is {value!r}; gold must be 1.0 or 0.0")
        found["categories"] = tuple(Category(label=label) for label, value in doc.cats.items() if value)
    return Annotation(**found) if found else None


def _span(given: Any) -> Span:
    try:
        return Span(start=given.start_char, end=given.end_char, label=given.label_)
    except ValidationError as error:
        raise InvalidDocumentError(f"the span {given.label_!r} at {given.start_char} is empty; remove it") from error


def _write(documents: Iterable[Document], path: Path) -> None:
    """Write one DocBin. All documents are in memory because spaCy packs them together."""
    spacy = _spacy()
    tokenizer = spacy.blank("xx").tokenizer
    docs, judged = [], []
    for document in documents:
        doc = _doc(spacy, document, tokenizer)
        check_readable(document, partial(_read_back, spacy, doc), "spacy")
        docs.append(doc)
        if document.gold is not None and "categories" in document.gold.model_fields_set:
            judged.append(doc)
    if all(map(_is_flat, docs)):
        for doc in docs:
            _name_entities(doc)
    labels = dict.fromkeys(label for doc in docs for label in doc.cats)
    for doc in judged:
        doc.cats |= {label: 0.0 for label in labels if label not in doc.cats}
    with new_path(path) as unfinished:
        unfinished.write_bytes(_packed(spacy, docs))


def _doc(spacy: ModuleType, document: Document, tokenizer: Any) -> Any:
    """Return the spaCy Doc of a Document, with its spans in the group."""
    gold, metadata, given = document.gold, own_metadata(document), own_id(document)
    if _ID in metadata:
        raise refuse(document, "spacy", f"metadata with the key {_ID!r}; rename it")
    spans = () if gold is None else gold.spans
    words, spaces = _words(document.raw_text, spans, tokenizer)
    doc = spacy.tokens.Doc(tokenizer.vocab, words=words, spaces=spaces)
    doc.user_data = metadata if given is None else {_ID: given, **metadata}
    if gold is not None:
        doc.cats = {category.label: 1.0 for category in gold.categories}
        if "spans" in gold.model_fields_set or not gold.categories:
            doc.spans[GROUP] = [doc.char_span(span.start, span.end, label=span.label) for span in spans]
    return doc


def _words(text: str, spans: Iterable[Span], tokenizer: Any) -> tuple[list[str], list[bool]]:
    """Return the words of the text, split at span boundaries, and whether a space follows each."""
    starts, ends = {span.start for span in spans}, {span.end for span in spans}
    edges = {0, len(text), *starts, *ends}
    edges.update(edge for token in tokenizer(text) for edge in (token.idx, token.idx + len(token)))
    words: list[str] = []
    spaces: list[bool] = []
    for start, end in pairwise(sorted(edges)):
        if text[start:end] == " " and words and not spaces[-1] and start not in starts and end not in ends:
            spaces[-1] = True
        else:
            words.append(text[start:end])
            spaces.append(False)
    return words, spaces


def _packed(spacy: ModuleType, docs: list[Any]) -> bytes:
    packed: bytes = spacy.tokens.DocBin(store_user_data=True, docs=docs).to_bytes()
    return packed


def _read_back(spacy: ModuleType, doc: Any) -> Document:
    try:
        packed = spacy.tokens.DocBin().from_bytes(_packed(spacy, [doc]))
    except OverflowError as error:  # msgpack has only 64-bit integers
        raise InvalidDocumentError(f"its metadata: {error}") from error
    return _make(next(packed.get_docs(spacy.vocab.Vocab())), "what was written")


def _is_flat(doc: Any) -> bool:
    """Return whether the spans can be entities: each has a label, and no two overlap."""
    spans = sorted(map(_span, doc.spans.get(GROUP, ())), key=lambda span: span.start)
    return all(span.label for span in spans) and all(one.end <= other.start for one, other in pairwise(spans))


def _name_entities(doc: Any) -> None:
    """Convert the spans of the group to entities, unless the text has no words."""
    if GROUP in doc.spans and len(doc):
        doc.set_ents(list(doc.spans.pop(GROUP)), default="outside")


SPACY = Format("spacy", (".spacy",), ".spacy", _read, _write)
