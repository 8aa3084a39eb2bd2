"""Prodigy's JSONL (https://prodi.gy/docs/api-interfaces).

The reader supports `spans`, `label` and `accept` of tasks that were accepted or have no `answer`; a rejected or ignored
task is not annotated. An accepted label (`_is_binary`) is that label; an accepted single span is an error. The object
`meta` and all other keys are metadata; a warning counts relations. The token indices of spans are ignored.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nlp_inference.document import Annotation, Category, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import Format, ReadOptions, json_objects, read_units, write_json_objects
from nlp_training.data.formats.parts import own_id, own_metadata
from nlp_training.data.notes import count_unread_keys
from nlp_training.data.records import READ_FROM, check_quote

_READ = frozenset({"id", "text", "spans", "label", "accept", "options", "meta"})


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(json_objects(path, _make), options)


def _make(record: dict[str, Any], place: str) -> Document:
    if not isinstance(record.get("text"), str):
        raise InvalidDocumentError(f"text is {record.get('text')!r}; write a string")
    meta = record.get("meta") or {}
    if not isinstance(meta, dict):
        raise InvalidDocumentError(f"meta is {meta!r}; write an object")
    annotated = record.get("answer", "accept") == "accept" and any(
        key in record for key in ("spans", "label", "accept")
    )
    left = {key: value for key, value in record.items() if key not in _READ}
    if left.get("answer") == "accept":
        del left["answer"]
    elif "answer" in left:
        left |= {key: record[key] for key in ("spans", "label", "accept") if key in record}
    twice = sorted({*left} & {*meta})
    count_unread_keys({key: value for key, value in left.items() if key not in ("spans", "label", "accept")})
    _check_tokens(record)
    if twice:
        raise InvalidDocumentError(f"meta repeats {twice[0]!r}, which is also a key of the task; rename it")
    fields = {
        "id": None if record.get("id") is None else str(record["id"]),
        "raw_text": record["text"],
        "gold": _gold(record) if annotated else None,
        "metadata": {**left, **meta, READ_FROM: place},
    }
    return as_document(fields, default_id=place)


def _gold(record: dict[str, Any]) -> Annotation:
    try:
        spans = tuple(_span(span, record["text"]) for span in record.get("spans") or ())
        chosen = [record["label"]] if record.get("label") is not None else []
        categories = tuple(Category(label=_name(given)) for given in [*chosen, *(record.get("accept") or ())])
    except (KeyError, TypeError, ValidationError) as error:
        raise InvalidDocumentError(
            f"spans, label or accept cannot be read ({type(error).__name__}); write spans of {{start, end, label}} in "
            "characters, a label, or accept as a list of names"
        ) from error
    if record.get("_is_binary") and not categories:
        raise InvalidDocumentError(
            "an accepted single span (_is_binary) does not annotate the rest of the text; annotate all of it with "
            "ner.manual"
        )
    fields: dict[str, Any] = {"spans": spans} if "spans" in record and not record.get("_is_binary") else {}
    fields |= {"categories": categories} if "label" in record or "accept" in record else {}
    return Annotation(**fields)


def _span(given: Any, text: str) -> Span:
    span = Span.model_validate({key: given[key] for key in ("start", "end", "label")}, strict=True)
    check_quote(given, span, text)
    return span


def _check_tokens(record: dict[str, Any]) -> None:
    """Check that tokens match the text at their offsets; otherwise the spans belong to another text."""
    for token in record.get("tokens") or ():
        if not isinstance(token, dict) or not {"start", "end", "text"} <= {*token}:
            return
        surface = record["text"][token["start"] : token["end"]]
        if surface != token["text"]:
            raise InvalidDocumentError(
                f"the token {token['start']}:{token['end']} is {token['text']!r}, but the text at these offsets is "
                f"{surface!r}; the task was annotated on another text"
            )


def _name(given: Any) -> Any:
    """Return the label of an option, whose id may be a number."""
    return str(given) if isinstance(given, int) else given


def _write(documents: Iterable[Document], path: Path) -> None:
    write_json_objects(documents, path, _record, _make, format_name="prodigy")


def _record(document: Document) -> dict[str, Any]:
    given, meta, gold = own_id(document), own_metadata(document), document.gold
    record: dict[str, Any] = {**({} if given is None else {"id": given}), "text": document.raw_text}
    if meta:
        record["meta"] = meta
    if gold is None:
        return record
    names = [category.label for category in gold.categories]
    if gold.spans or not names:
        record["spans"] = [{"start": span.start, "end": span.end, "label": span.label} for span in gold.spans]
    if names:
        record |= {"accept": names, "options": [{"id": name, "text": name} for name in dict.fromkeys(names)]}
    return {**record, "answer": "accept"}


PRODIGY = Format("prodigy", (), ".jsonl", _read, _write)
