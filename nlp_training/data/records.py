"""One record of a data set, a mapping from column to value, into one Document with gold."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_inference.document import Annotation, Category, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.tags import find_tokens, join_tokens, tags_to_spans

READ_FROM = "read_from"
"""Key of `Document.metadata` that says where a document was read: `train.jsonl:17`."""

_USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "text": ("text", "text_a"),
    "text_pair": ("text_pair", "text_b"),
    "spans": ("spans",),
    "label": ("label",),
    "labels": ("labels",),
    "score": ("score",),
    "tokens": ("tokens",),
    "tags": ("tags", "ner_tags"),
}
_SHAPES = "{text, spans}, {text, label}, {text, labels}, {tokens, tags} or {text_a, text_b, label or score}"


class Columns(BaseModel):
    """Which column holds what. A column that is not named is looked for under its usual names.

    Args:
        id: a unique name of the record. Default: `id`.
        text: Default: `text`, `text_a`.
        text_pair: the second text of a pair. Default: `text_pair`, `text_b`.
        spans: a list of `{start, end, label}`, in characters, end exclusive. Default: `spans`.
        label: the one label of the text. Default: `label`.
        labels: a list of labels of the text. Default: `labels`.
        score: a number. Default: `score`.
        tokens: a list of words; without a text they are joined by single spaces. Default: `tokens`.
        tags: a tag for every token. Default: `tags`, `ner_tags`.

    Example:
        >>> Columns(text="utterance").resolve(["utterance", "label", "id"])
        {'id': 'id', 'text': 'utterance', 'label': 'label'}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    text: str | None = None
    text_pair: str | None = None
    spans: str | None = None
    label: str | None = None
    labels: str | None = None
    score: str | None = None
    tokens: str | None = None
    tags: str | None = None

    def resolve(self, available: Collection[str]) -> dict[str, str]:
        """Find the column of each field among those there are.

        Raises:
            InvalidDocumentError: a named column is not there, or there is neither a text nor tokens.
        """
        found: dict[str, str] = {}
        for field, usual in _USUAL.items():
            named: str | None = getattr(self, field)
            if named is not None and named not in available:
                raise InvalidDocumentError(f"there is no column {named!r} for {field!r}; {_list(available)}")
            column = named or next((name for name in usual if name in available), None)
            if column is not None:
                found[field] = column
        if "text" not in found and "tokens" not in found:
            raise InvalidDocumentError(
                f"there is neither a text nor tokens; {_list(available)}. Write {_SHAPES}, or name the columns, as in "
                "columns: {text: ...}"
            )
        return found

    @classmethod
    def of(cls, columns: "Columns | Mapping[str, str] | None") -> Self:
        """The columns that a mapping names.

        Raises:
            InvalidDocumentError: the mapping has a key that is no field of a record.
        """
        if isinstance(columns, cls):
            return columns
        try:
            return cls.model_validate(dict(columns or {}))
        except ValidationError as error:
            raise InvalidDocumentError(
                f"columns {columns!r} cannot be read; the keys are {', '.join(_USUAL)}, the values names of columns"
            ) from error


def _list(available: Collection[str]) -> str:
    return f"the columns there are: {', '.join(map(repr, available)) or 'none'}"


def record_to_document(
    record: Mapping[str, Any],
    *,
    columns: Mapping[str, str],
    read_from: str,
    names: Mapping[str, Sequence[str]] | None = None,
) -> Document:
    """Make a Document of one record; what no field claims is kept as its metadata.

    Args:
        record: the values by column. A record that has `raw_text` is a Document's own JSON.
        columns: the column of each field, from `Columns.resolve`.
        read_from: where the record stands, kept in the metadata; it is the id of a record without one.
        names: what the integers in `label`, `labels`, `tags` and `spans` stand for, by field; a negative label means
            not annotated.

    Raises:
        InvalidDocumentError: the record does not describe a Document.

    Example:
        >>> document = record_to_document({"text": "hi", "label": 1}, columns={"text": "text", "label": "label"},
        ...     read_from="a.csv:1", names={"label": ["no", "yes"]})
        >>> document.id, document.gold.categories[0].label
        ('a.csv:1', 'yes')
    """
    values = {field: record[column] for field, column in columns.items() if record.get(column) is not None}
    text, offsets = _text_and_offsets(values)
    tagged = "tags" in values and offsets is not None
    claimed = set(columns.values())
    fields = {
        "id": str(values.get("id", read_from)),
        "raw_text": text,
        "raw_text_pair": values.get("text_pair"),
        "gold": _gold(values, offsets if tagged else None, names or {}),
        "metadata": {
            **{key: value for key, value in record.items() if key not in claimed and value is not None},
            READ_FROM: read_from,
        },
    }
    return as_document(fields)


def _text_and_offsets(values: Mapping[str, Any]) -> tuple[str, list[tuple[int, int]] | None]:
    text, tokens = values.get("text"), values.get("tokens")
    if text is not None and not isinstance(text, str):
        raise InvalidDocumentError(f"the text is {text!r}; write a string")
    if tokens is None:
        if text is None:
            raise InvalidDocumentError("the text is missing; write a string, which may be empty")
        return text, None
    if not _is_list(tokens) or not all(isinstance(token, str) for token in tokens):
        raise InvalidDocumentError(f"the tokens are {tokens!r}; write a list of strings")
    if text is None:
        return join_tokens(tokens)
    return text, find_tokens(tokens, text)


def _gold(
    values: Mapping[str, Any], offsets: list[tuple[int, int]] | None, names: Mapping[str, Sequence[str]]
) -> Annotation | None:
    gold: dict[str, Any] = {}
    if offsets is not None:
        gold["spans"] = tags_to_spans(_labels(values["tags"], "tags", names.get("tags")), offsets)
    elif "tags" in values:
        raise InvalidDocumentError("there are tags but no tokens; write {tokens, tags}")
    elif "spans" in values:
        gold["spans"] = tuple(_spans(values["spans"], names.get("spans")))
    if "labels" in values:
        labels = _labels(values["labels"], "labels", names.get("labels"))
        gold["categories"] = tuple(Category(label=label) for label in labels)
    elif "label" in values and (label := _label(values["label"], "label", names.get("label"))) is not None:
        gold["categories"] = (Category(label=label),)
    if "score" in values:
        gold["values"] = {"score": _number(values["score"])}
    return Annotation(**gold) if gold else None


def _labels(given: Any, field: str, names: Sequence[str] | None) -> list[str]:
    if not _is_list(given):
        raise InvalidDocumentError(f"{field} is {given!r}; write a list of names")
    labels = [_label(label, field, names) for label in given]
    if None in labels:
        raise InvalidDocumentError(f"{field} is {given!r}; a label is null or a negative number")
    return [label for label in labels if label is not None]


def _label(given: Any, field: str, names: Sequence[str] | None) -> str | None:
    if isinstance(given, str) and given:
        return given
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, int):
        if names is None and field != "tags":
            return str(given)
        if names is not None and given < len(names):
            return names[given] if given >= 0 else None
    known = f" The {len(names)} names are {', '.join(names)}." if names else ""
    raise InvalidDocumentError(f"{field} holds {given!r}; write the name, or give label_names for the integers.{known}")


def _spans(given: Any, names: Sequence[str] | None) -> Iterable[Span]:
    if isinstance(given, str):  # a column of a CSV file
        try:
            given = json.loads(given)
        except ValueError:
            given = (given,)
    if isinstance(given, Mapping):  # datasets holds a list of mappings as a mapping of lists
        given = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
    if not _is_list(given):
        raise InvalidDocumentError(f"spans is {given!r}; write a list of {{start, end, label}}")
    for index, span in enumerate(given):
        try:
            start, end, label = span["start"], span["end"], _label(span["label"], "label", names)
            yield Span.model_validate({"start": start, "end": end, "label": label}, strict=True)
        except (KeyError, TypeError, IndexError, ValidationError) as error:
            raise InvalidDocumentError(
                f"span {index} is {span!r}; write {{start, end, label}}: characters, start before end, end exclusive"
            ) from error


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise InvalidDocumentError(f"score is {given!r}; write a number")
    return float(given)


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)
