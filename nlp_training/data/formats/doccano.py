"""doccano's JSONL (https://doccano.github.io/doccano/tutorial/).

Read are `label` or `labels` as `[[start, end, label], ...]` or as names, `entities` with `start_offset` and
`end_offset`, `relations` with `from_id` and `to_id`, and `cats`; other keys are metadata. Offsets count characters,
unless the project was made to count grapheme clusters: such files cannot be told apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nlp_inference.document import Annotation, Category, Document, Relation, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import Format, ReadOptions, json_objects, read_units, write_json_objects
from nlp_training.data.formats.parts import own_id, own_metadata
from nlp_training.data.records import READ_FROM

_ANNOTATION = ("label", "labels", "entities", "relations", "cats")


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(json_objects(path, _make), options.on_error)


def _make(record: dict[str, Any], place: str) -> Document:
    if not isinstance(record.get("text"), str):
        raise InvalidDocumentError(f"text is {record.get('text')!r}; write a string")
    annotated = any(record.get(key) is not None for key in _ANNOTATION)
    try:
        gold = _gold(record) if annotated else None
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDocumentError(
            f"its annotation cannot be read ({type(error).__name__}: {error}); write [[start, end, label], ...], names "
            "of labels, or entities of {id, label, start_offset, end_offset} and relations of {from_id, to_id, type}"
        ) from error
    rest = {key: value for key, value in record.items() if key not in {"id", "text", *_ANNOTATION}}
    name = None if record.get("id") is None else str(record["id"])
    fields = {"id": name, "raw_text": record["text"], "gold": gold, "metadata": {**rest, READ_FROM: place}}
    return as_document(fields, default_id=place)


def _gold(record: dict[str, Any]) -> Annotation:
    labels = record.get("label") if record.get("label") is not None else record.get("labels")
    labels = [labels] if isinstance(labels, str) else labels or []
    entities = record.get("entities") or []
    names = [label for label in labels if isinstance(label, str)] + list(record.get("cats") or [])
    spans = [_span(given) for given in [*(label for label in labels if not isinstance(label, str)), *entities]]
    places = {entity["id"]: at for at, entity in enumerate(entities) if isinstance(entity, dict) and "id" in entity}
    relations = [
        Relation(head=places[link["from_id"]], tail=places[link["to_id"]], label=link["type"])
        for link in record.get("relations") or []
    ]
    given = {"spans": spans, "categories": [Category(label=name) for name in names], "relations": relations}
    return Annotation.model_validate({kind: found for kind, found in given.items() if found})


def _span(given: dict[str, Any] | Sequence[Any]) -> Span:
    if isinstance(given, dict):
        given = (given["start_offset"], given["end_offset"], given["label"])
    start, end, label = given
    try:
        return Span.model_validate({"start": start, "end": end, "label": label}, strict=True)
    except ValidationError as error:
        raise ValueError(f"{[start, end, label]!r} is no span: offsets in characters, start before end") from error


def _write(documents: Iterable[Document], path: Path) -> None:
    write_json_objects(documents, path, _record, _make, format_name="doccano")


def _record(document: Document) -> dict[str, Any]:
    given = own_id(document)
    record = {**({} if given is None else {"id": given}), "text": document.raw_text, **own_metadata(document)}
    gold = document.gold
    if gold is None:
        return record
    names = [category.label for category in gold.categories]
    if gold.relations or (gold.spans and names):
        entities = [
            {"id": at, "label": span.label, "start_offset": span.start, "end_offset": span.end}
            for at, span in enumerate(gold.spans)
        ]
        relations = [
            {"id": at, "from_id": link.head, "to_id": link.tail, "type": link.label}
            for at, link in enumerate(gold.relations)
        ]
        return {**record, "entities": entities, "relations": relations, **({"cats": names} if names else {})}
    return {**record, "label": names or [[span.start, span.end, span.label] for span in gold.spans]}


DOCCANO = Format("doccano", (), ".jsonl", _read, _write)
