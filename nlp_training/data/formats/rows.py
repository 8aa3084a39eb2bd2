"""Conversion between a Document and a row of a table."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from nlp_inference.document import Annotation, Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.files.json_lines import parse_json
from nlp_training.data.columns import Columns
from nlp_training.data.formats.parts import check_readable, own_id, own_metadata
from nlp_training.data.records import READ_FROM, record_to_document

METADATA = "metadata"
"""The column with a JSON object of metadata."""

COLUMNS = ("id", "text", "text_pair", "label", "labels", "spans", "relations", "score", "target", METADATA)
"""The columns in the order of writing; columns without any value are omitted."""


def document_to_row(document: Document, format_name: str) -> dict[str, Any]:
    """Return the values of a Document by the default names of columns; missing values are `None`.

    A single category is the `label`, several are `labels`; the metadata is one JSON object.

    Raises:
        InvalidDocumentError: the Document has parts that a row cannot store, such as scores or texts.

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
        **(dict.fromkeys(COLUMNS[3:-1]) if gold is None else _gold_columns(gold)),
        METADATA: json.dumps(metadata, ensure_ascii=False) if metadata else None,
    }
    read_back = partial(row_to_document, row, columns=Columns(), place="what was written")
    check_readable(document, read_back, format_name)
    return row


def _gold_columns(gold: Annotation) -> dict[str, Any]:
    labels = [category.label for category in gold.categories]
    spans = [{"start": span.start, "end": span.end, "label": span.label} for span in gold.spans]
    relations = [{"head": one.head, "tail": one.tail, "label": one.label} for one in gold.relations]
    other = bool(labels or gold.generated or "score" in gold.values or "categories" in gold.model_fields_set)
    return {
        "label": labels[0] if len(labels) == 1 else None,
        "labels": labels if len(labels) > 1 or (not labels and "categories" in gold.model_fields_set) else None,
        "spans": spans if spans or not other or "spans" in gold.model_fields_set else None,
        "relations": relations if relations or "relations" in gold.model_fields_set else None,
        "score": gold.values.get("score"),
        "target": gold.generated[0] if len(gold.generated) == 1 else None,
    }


def row_to_document(
    row: Mapping[str, Any],
    *,
    columns: Columns,
    place: str,
    names: Mapping[str, tuple[str, ...]] | None = None,
    skip_blank: bool = False,
) -> Document:
    """Return the Document of a row. Other columns and the object in the column `metadata` become metadata.

    Raises:
        InvalidDocumentError: the row is not a valid Document.
    """
    found = columns.resolve(list(row))
    unpacked = unpack_metadata(row, found.values())
    return record_to_document(unpacked, columns=found, read_from=place, names=names, skip_blank=skip_blank)


def unpack_metadata(row: Mapping[str, Any], claimed: Any) -> Mapping[str, Any]:
    """Return the row with the keys of the JSON object in its column `metadata` as columns.

    Raises:
        InvalidDocumentError: a key is also the name of a column.
    """
    packed = row.get(METADATA)
    if METADATA in claimed or not isinstance(packed, str) or not packed.startswith("{"):
        return row
    metadata = parse_json(packed)
    twice = sorted({*metadata} & ({*row} - {METADATA} | {READ_FROM}))
    if twice:
        raise InvalidDocumentError(f"the column {METADATA!r} repeats {twice[0]!r}, which is also a column")
    return {**{key: value for key, value in row.items() if key != METADATA}, **metadata}
