"""doccano's JSONL (https://doccano.github.io/doccano/tutorial/), as doccano 1.8.4 exports and imports it.

The reader supports `label` or `labels` as `[[start, end, label], ...]` or as names, `entities` as such lists or with
`start_offset` and `end_offset`, `relations` with `from_id` and `to_id`, and `cats`; other keys are metadata.

The format `doccano` counts UTF-16 code units like the editor of doccano, which uses JavaScript. `doccano-characters`
counts characters like Python scripts that fill doccano. The two differ only after an emoji. A project can be configured
to count grapheme clusters instead; its files cannot be distinguished.

A project of doccano imports one form of records and treats keys of other forms as metadata, so all records of a file
are written in the same form. The form is known only at the end, so records are kept in a temporary file until then.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import ValidationError

from nlp_inference.document import Annotation, Category, Document, Relation, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import Format, ReadOptions, json_objects, new_file, read_units
from nlp_training.data.formats.offsets import Characters, Utf16
from nlp_training.data.formats.parts import check_readable, own_id, own_metadata
from nlp_training.data.notes import count_unread, count_unread_keys
from nlp_training.data.records import READ_FROM, check_quote

Units = type[Utf16] | type[Characters]
"""The unit of offsets."""

_ANNOTATION = ("label", "labels", "entities", "relations", "cats")


def _read(units: Units, path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(json_objects(path, partial(_make, units)), options)


def _make(units: Units, record: dict[str, Any], place: str) -> Document:
    if not isinstance(record.get("text"), str):
        raise InvalidDocumentError(f"text is {record.get('text')!r}; write a string")
    if isinstance(record.get("annotations"), list):
        raise InvalidDocumentError(
            "the key 'annotations' has the form of doccano before 1.0, with numbers as labels; import the project into "
            "a newer doccano and export it as JSONL"
        )
    annotated = any(record.get(key) is not None for key in _ANNOTATION)
    try:
        gold = _gold(record, units(record["text"])) if annotated else None
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDocumentError(
            f"its annotation cannot be read ({type(error).__name__}: {error}); write [[start, end, label], ...], names "
            "of labels, or entities of {id, label, start_offset, end_offset} and relations of {from_id, to_id, type}; "
            "the format doccano counts UTF-16 code units, doccano-characters counts characters"
        ) from error
    rest = {key: value for key, value in record.items() if key not in {"id", "text", *_ANNOTATION}}
    count_unread_keys(rest)
    name = None if record.get("id") is None else str(record["id"])
    fields = {"id": name, "raw_text": record["text"], "gold": gold, "metadata": {**rest, READ_FROM: place}}
    return as_document(fields, default_id=place)


def _gold(record: dict[str, Any], units: Utf16 | Characters) -> Annotation:
    labels = record.get("label") if record.get("label") is not None else record.get("labels")
    count_unread("labels in addition to label", bool(record.get("label")) and bool(record.get("labels")))
    labels = [labels] if isinstance(labels, str) else labels or []
    entities = record.get("entities") or []
    names = [label for label in labels if isinstance(label, str)] + list(record.get("cats") or [])
    spans = [
        _span(given, units, record["text"])
        for given in [*(label for label in labels if not isinstance(label, str)), *entities]
    ]
    indices = {entity["id"]: at for at, entity in enumerate(entities) if isinstance(entity, dict) and "id" in entity}
    relations = [
        Relation(head=indices[link["from_id"]], tail=indices[link["to_id"]], label=link["type"])
        for link in record.get("relations") or []
    ]
    given = {"spans": spans, "categories": [Category(label=name) for name in names], "relations": relations}
    return Annotation.model_validate({kind: found for kind, found in given.items() if found})


def _span(found: dict[str, Any] | Sequence[Any], units: Utf16 | Characters, text: str) -> Span:
    given = found
    if isinstance(given, dict):
        given = (given["start_offset"], given["end_offset"], given["label"])
    start, end, label = given
    try:
        counted = Span.model_validate({"start": start, "end": end, "label": label}, strict=True)
    except ValidationError as error:
        raise ValueError(
            f"{[start, end, label]!r} is not a span: offsets must be integers with start before end"
        ) from error
    span = Span(start=units.to_characters(counted.start), end=units.to_characters(counted.end), label=label)
    check_quote(found, span, text)
    return span


def _write(units: Units, name: str, documents: Iterable[Document], path: Path) -> None:
    used: set[str] = set()
    with TemporaryFile("w+", encoding="utf-8", newline="") as kept:
        for document in documents:
            record = _record(document, units)
            check_readable(document, partial(_make, units, record, "what was written"), name)
            used |= {key for key in ("entities", "relations", "cats") if record.get(key)}
            kept.write(json.dumps(record, ensure_ascii=False) + "\n")
        kept.seek(0)
        with new_file(path) as file:
            for line in kept:
                file.write(json.dumps(_in_one_form(json.loads(line), used), ensure_ascii=False) + "\n")


def _record(document: Document, units: Units) -> dict[str, Any]:
    """Return the record in the form that contains all annotations."""
    given, counted = own_id(document), units(document.raw_text)
    record = {**({} if given is None else {"id": given}), "text": document.raw_text, **own_metadata(document)}
    gold = document.gold
    if gold is None:
        return record
    entities = [
        {"id": at, "label": span.label, "start_offset": counted.of(span.start), "end_offset": counted.of(span.end)}
        for at, span in enumerate(gold.spans)
    ]
    relations = [
        {"id": at, "from_id": link.head, "to_id": link.tail, "type": link.label}
        for at, link in enumerate(gold.relations)
    ]
    return {**record, "entities": entities, "relations": relations, "cats": [one.label for one in gold.categories]}


def _in_one_form(record: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """Convert the record to the form that a project needs for the keys `used` in any record of the file.

    It is `label` if there are only spans or only labels of texts, otherwise `entities` with `relations` or `cats`.
    """
    if "entities" not in record:  # not annotated
        return record
    annotation = {key: record.pop(key) for key in ("entities", "relations", "cats")}
    if used <= {"entities"}:
        spans = [[span["start_offset"], span["end_offset"], span["label"]] for span in annotation["entities"]]
        return {**record, "label": spans}
    if used == {"cats"}:
        return {**record, "label": annotation["cats"]}
    return {**record, **{key: annotation[key] for key in annotation if key in used | {"entities"}}}


def _format(name: str, units: Units) -> Format:
    return Format(name, (), ".jsonl", partial(_read, units), partial(_write, units, name))


DOCCANO = _format("doccano", Utf16)
DOCCANO_CHARACTERS = _format("doccano-characters", Characters)
