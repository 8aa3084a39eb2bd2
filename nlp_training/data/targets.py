"""Columns with texts to generate, and columns whose objects contain the texts of several languages."""

from collections.abc import Collection, Mapping
from typing import Any

from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import InvalidDocumentError

TARGETS = ("target", "summary", "translation")
"""Usual names of a text to generate, in records without another annotation."""


def read_target(given: Any) -> str:
    """Return a text to generate; a blank one is refused by the kind of gold, which knows the task.

    Raises:
        InvalidDocumentError: it is no text.
    """
    if not isinstance(given, str):
        shown = shorten(repr(given), width=60)
        raise InvalidDocumentError(f"target is {shown}; write the text to generate, or null where it is not annotated")
    return given


def without_unusual_target(
    columns: Mapping[str, str], record: Mapping[str, Any], other_gold: Collection[str]
) -> Mapping[str, str]:
    """Leave out a target that is found by its name and is no text, or next to another annotation: it is metadata.

    Args:
        columns: the column of each field.
        record: the values by column.
        other_gold: the columns of other annotations.

    Example:
        >>> without_unusual_target({"text": "text", "target": "target"}, {"text": "a", "target": 1}, [])
        {'text': 'text'}
    """
    column = columns.get("target")
    annotated = any(record.get(name) is not None for name in other_gold)
    if column not in TARGETS or (isinstance(record.get(column), str) and not annotated):
        return columns
    return {field: name for field, name in columns.items() if field != "target"}


def top_column(column: str) -> str:
    """Return the name of the column that contains a field: `translation` of `translation.en`."""
    return column.partition(".")[0]


def with_nested(record: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the record with the keys of objects that columns name as top-level keys.

    Example:
        >>> record = {"id": 7, "translation": {"en": "a house", "fr": "une maison"}}
        >>> with_nested(record, {"text": "translation.en", "target": "translation.fr"})
        {'id': 7, 'translation.en': 'a house', 'translation.fr': 'une maison'}
    """
    nested = [column for column in columns.values() if column not in record and top_column(column) in record]
    if not nested:
        return record
    found = {name: value for name, value in record.items() if name not in set(map(top_column, nested))}
    for column in nested:
        inside = record[top_column(column)]
        found[column] = inside.get(column.partition(".")[2]) if isinstance(inside, Mapping) else None
    return found
