"""A Document as a row of a table, and the row as a Document again."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from nlp_inference.document import Annotation, Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.files.json_lines import parse_json
from nlp_training.data.formats.parts import check_readable, own_id, own_metadata
from nlp_training.data.records import READ_FROM, Columns, record_to_document

METADATA = "metadata"
"""The column of a JSON object whose keys are metadata."""

COLUMNS = ("id", "text", "text_pair", "label", "labels", "spans", "score", METADATA)
"""The columns that are written, those of them that any Document needs."""


def document_to_row(document: Document, format_name: str) -> dict[str, Any]:
    """The values of a Document by the usual names of columns, `None` where there is none.

    One category is its `label`, several are `labels`; the metadata is one JSON object.

    Raises:
        InvalidDocumentError: the Document has more than a row can hold, such as scores or relations.

    Example:
        >>> row = document_to_row(Document(raw_text="Ana", metadata={"page": 3}), "csv")
        >>> {name: value for name, value in row.items() if value is not None}
        {'text': 'Ana', 'metadata': '{"page": 3}'}
    """
    gold = document.gold
    metadata = own_metadata(document)
    row = {
        "id": own_id(document),
        "text": document.raw_text,
        "text_pair": document.raw_text_pair,
        **(dict.fromkeys(("label", "labels", "spans", "score")) if gold is None else _gold_columns(gold)),
        METADATA: json.dumps(metadata, ensure_ascii=False) if metadata else None,
    }
    read_back = partial(row_to_document, row, columns=Columns(), place="what was written")
    check_readable(document, read_back, format_name)
    return row


def _gold_columns(gold: Annotation) -> dict[str, Any]:
    labels = [category.label for category in gold.categories]
    spans = [{"start": span.start, "end": span.end, "label": span.label} for span in gold.spans]
    nothing_else = not labels and "score" not in gold.values and "categories" not in gold.model_fields_set
    return {
        "label": labels[0] if len(labels) == 1 else None,
        "labels": labels if len(labels) > 1 or (not labels and "categories" in gold.model_fields_set) else None,
        "spans": spans if spans or nothing_else or "spans" in gold.model_fields_set else None,
        "score": gold.values.get("score"),
    }


def row_to_document(
    row: Mapping[str, Any],
    *,
    columns: Columns,
    place: str,
    names: Mapping[str, tuple[str, ...]] | None = None,
    skip_blank: bool = False,
) -> Document:
    """The Document of a row; columns besides are its metadata, and so is the object in the column `metadata`.

    Raises:
        InvalidDocumentError: the row describes no Document.
    """
    found = columns.resolve(list(row))
    unpacked = unpack_metadata(row, found.values())
    return record_to_document(unpacked, columns=found, read_from=place, names=names, skip_blank=skip_blank)


def unpack_metadata(row: Mapping[str, Any], claimed: Any) -> Mapping[str, Any]:
    """The row with the keys of its column `metadata` beside its other columns, if that holds a JSON object.

    Raises:
        InvalidDocumentError: a key is also the name of a column.
    """
    packed = row.get(METADATA)
    if METADATA in claimed or not isinstance(packed, str) or not packed.startswith("{"):
        return row
    metadata = parse_json(packed)
    twice = sorted({*metadata} & ({*row} - {METADATA} | {READ_FROM}))
    if twice:
        raise InvalidDocumentError(f"the column {METADATA!r} repeats {twice[0]!r}, which is a column of its own")
    return {**{key: value for key, value in row.items() if key != METADATA}, **metadata}
