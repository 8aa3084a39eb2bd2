"""Conversion of a record of a data set, a mapping from column to value, to a Document with gold."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Annotation, Category, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.question_answering import ANSWER
from nlp_training.data.columns import (
    HEAD,
    HEADS,
    LABEL,
    OF_HEADS,
    OTHER_GOLD,
    VALUE,
    count_similar_names,
    is_list,
    is_prefixed,
)
from nlp_training.data.errors import BlankLabelError
from nlp_training.data.notes import count_unread, count_unread_keys
from nlp_training.data.record_relations import are_relations, read_relations
from nlp_training.data.tags import find_tokens, join_tokens, tags_to_spans
from nlp_training.data.targets import read_target, with_nested, without_unusual_target

READ_FROM = "read_from"
"""The key of `Document.metadata` for the location that a document was read from: `train.jsonl:17`."""


def record_to_document(
    record: Mapping[str, Any],
    *,
    columns: Mapping[str, str],
    read_from: str,
    names: Mapping[str, Sequence[str]] | None = None,
    skip_blank: bool = False,
) -> Document:
    """Convert a record to a Document. Columns that belong to no field become metadata.

    Args:
        record: the values by column.
        columns: the column of each field, from `Columns.resolve`.
        read_from: the location of the record, which is kept in the metadata and is the id of a record without one.
        names: by field, the names of the integers in `label`, `labels`, `tags` and `spans`. A negative label means
            that the record is not annotated.
        skip_blank: whether to skip a record whose label is null or blank.

    Raises:
        BlankLabelError: the record is skipped.
        InvalidDocumentError: the record is not a valid Document.

    Example:
        >>> document = record_to_document({"text": "hi", "label": 1}, columns={"text": "text", "label": "label"},
        ...     read_from="a.csv:1", names={"label": ["no", "yes"]})
        >>> document.id, document.gold.categories[0].label
        ('a.csv:1', 'yes')
    """
    if skip_blank:
        _check_blank(record, columns, (names or {}).get("label"))
    columns = _without_other_relations(_with_entities(columns, record), record)
    record = with_nested(record, columns)
    other_gold = [name for field, name in columns.items() if field in OTHER_GOLD or is_prefixed(field)]
    columns = without_unusual_target(columns, record, other_gold)
    values = {field: record[column] for field, column in columns.items() if record.get(column) is not None}
    text, offsets = _text_and_offsets(values)
    gold = _gold(values, offsets, names or {}, columns=columns)
    claimed = set(columns.values())
    unit = None if gold is None or not gold.spans or "offsets" in claimed else record.get("offsets")
    if isinstance(unit, str) and unit != "codepoint":
        raise InvalidDocumentError(f"offsets is {unit!r}, which is read only in the JSON of a Document: raw_text, gold")
    rest = {key: value for key, value in record.items() if key not in claimed and value is not None}
    count_unread_keys(rest)
    if gold is None:
        count_similar_names(rest)
    fields = {
        "id": str(values.get("id", read_from)),
        "raw_text": text,
        "raw_text_pair": values.get("text_pair"),
        "gold": gold,
        "metadata": {**rest, READ_FROM: read_from},
    }
    return as_document(fields)


def _check_blank(record: Mapping[str, Any], columns: Mapping[str, str], names: Sequence[str] | None) -> None:
    of_labels = [column for field, column in columns.items() if field == "label" or field.startswith(LABEL)]
    if of_labels and all(_is_blank(record.get(column), names) for column in of_labels):
        raise BlankLabelError(f"the label in {of_labels[0]!r} is blank")


def _is_blank(label: Any, names: Sequence[str] | None) -> bool:
    """Return whether a label is null, blank, or a negative number among the numbers of `names`."""
    if isinstance(label, int) and names is not None:
        return label < 0
    return label is None or (isinstance(label, str) and not label.strip())


def _with_entities(columns: Mapping[str, str], record: Mapping[str, Any]) -> Mapping[str, str]:
    """Add the spans in `entities`, as in spaCy's examples, if the record has them."""
    found = record.get("entities")
    if isinstance(found, str) and found.startswith("["):  # JSON in a column of a CSV file
        found = _rows_of(found)
    if "spans" in columns or "tags" in columns or "entities" in columns.values() or not is_list(found):
        return columns
    annotated_otherwise = {*columns} & {"label", "labels", "score"} or any(map(is_prefixed, columns))
    is_spans = all(map(_looks_like_span, found)) if found else not annotated_otherwise
    return {**columns, "spans": "entities"} if is_spans else columns


def _without_other_relations(columns: Mapping[str, str], record: Mapping[str, Any]) -> Mapping[str, str]:
    """Leave out relations of other tools."""
    if "relations" not in columns or are_relations(_rows_of(record.get(columns["relations"]))):
        return columns
    return {field: column for field, column in columns.items() if field != "relations"}


def _looks_like_span(given: Any) -> bool:
    if isinstance(given, Mapping):
        return "label" in given and ("start" in given or "start_offset" in given)
    return is_list(given) and len(given) == 3 and isinstance(given[2], str) and not isinstance(given[0], str)


def _text_and_offsets(values: Mapping[str, Any]) -> tuple[str, list[tuple[int, int]] | None]:
    text, tokens = values.get("text"), values.get("tokens")
    if text is not None and not isinstance(text, str):
        raise InvalidDocumentError(f"the text is {text!r}; write a string")
    if tokens is None:
        if text is None:
            raise InvalidDocumentError("the text is missing; write a string, which may be empty")
        return text, None
    if not is_list(tokens) or not all(isinstance(token, str) for token in tokens):
        raise InvalidDocumentError(f"the tokens are {tokens!r}; write a list of strings")
    if text is None:
        return join_tokens(tokens)
    return text, find_tokens(tokens, text)


def _gold(
    values: Mapping[str, Any],
    offsets: list[tuple[int, int]] | None,
    names: Mapping[str, Sequence[str]],
    *,
    columns: Collection[str],
) -> Annotation | None:
    gold = _gold_spans(values, offsets, names) | _gold_categories(values, names, columns=columns)
    if "score" in values:
        gold["values"] = {"score": _number(values["score"], "score")}
    if "target" in values:
        gold["generated"] = (read_target(values["target"]),)
    named = {field.removeprefix(VALUE): given for field, given in values.items() if field.startswith(VALUE)}
    if named:
        gold["values"] = gold.get("values", {}) | {name: _number(given, name) for name, given in named.items()}
    if heads := _heads(values, offsets, names):
        gold["heads"] = heads
    return Annotation(**gold) if gold else None


def _gold_spans(
    values: Mapping[str, Any], offsets: list[tuple[int, int]] | None, names: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    gold: dict[str, Any] = {}
    if "tags" in values:
        if offsets is None:
            raise InvalidDocumentError("there are tags but no tokens; write {tokens, tags}")
        gold["spans"] = tags_to_spans(_labels(values["tags"], "tags", names.get("tags")), offsets)
        count_unread("spans in addition to tags", "spans" in values)
    elif "answers" in values:
        gold["spans"] = tuple(_answers(values["answers"], values.get("text")))
    elif "spans" in values:
        gold["spans"] = tuple(_spans(values["spans"], names.get("spans"), values.get("text")))
    if "relations" in values:
        given = _rows_of(values.get("spans", ()))
        gold["relations"] = tuple(read_relations(_rows_of(values["relations"]), given))
    return gold


def _gold_categories(
    values: Mapping[str, Any], names: Mapping[str, Sequence[str]], *, columns: Collection[str]
) -> dict[str, Any]:
    gold: dict[str, Any] = {}
    present = {field.removeprefix(LABEL): given for field, given in values.items() if field.startswith(LABEL)}
    if present:
        expected = [field.removeprefix(LABEL) for field in columns if field.startswith(LABEL)]
        gold["categories"] = tuple(Category(label=label) for label in _present(present, expected))
    elif "labels" in values:
        labels = _labels(values["labels"], "labels", names.get("labels"))
        gold["categories"] = tuple(Category(label=label) for label in labels)
        count_unread("a label in addition to labels", "label" in values and [values["label"]] != values["labels"])
    elif "label" in values and (label := _label(values["label"], "label", names.get("label"))) is not None:
        gold["categories"] = (Category(label=label),)
    return gold


def _heads(
    values: Mapping[str, Any], offsets: list[tuple[int, int]] | None, names: Mapping[str, Sequence[str]]
) -> dict[str, Annotation]:
    """Return the annotations of the heads that are annotated."""
    given = _mapping_of_heads(values.get(HEADS, {}))
    of_heads = {head: _fields_of_head(head, fields) for head, fields in given.items() if fields is not None}
    for key, value in values.items():
        if key.startswith(HEAD):
            head, field = key.removeprefix(HEAD).rsplit(" ", 1)
            of_heads.setdefault(head, {})[field] = value
    found: dict[str, Annotation] = {}
    for head, fields in of_heads.items():
        try:
            one = _gold({"text": values.get("text"), **fields}, offsets, names, columns=())
        except InvalidDocumentError as error:
            raise InvalidDocumentError(f"head {head!r}: {error}") from error
        if one is not None:
            found[head] = one
    return found


def _mapping_of_heads(given: Any) -> Mapping[str, Any]:
    """Return the column with the annotations of heads, which is JSON in a CSV file."""
    if isinstance(given, str):
        with suppress(ValueError):  # reported below
            given = json.loads(given)
    if not isinstance(given, Mapping):
        raise InvalidDocumentError(f"heads is {given!r:.80}; write a mapping from the name of a head to its annotation")
    return given


def _fields_of_head(head: str, given: Any) -> dict[str, Any]:
    """Return the fields of the annotation of a head; values get the keys of named numbers."""
    if not isinstance(given, Mapping) or (unknown := sorted({*given} - {*OF_HEADS, "values", "answers"})):
        wrong = repr(given)[:80] if not isinstance(given, Mapping) else f"the key {unknown[0]!r}"
        raise InvalidDocumentError(
            f"the head {head!r} has {wrong}; write a mapping with {', '.join(OF_HEADS)} or values, such as "
            "{label: play}"
        )
    fields = {key: value for key, value in given.items() if key != "values" and value is not None}
    numbers = given.get("values")
    if not isinstance(numbers, Mapping | None):
        raise InvalidDocumentError(
            f"the head {head!r} has the values {numbers!r:.80}; write a mapping such as {{q1: 3}}"
        )
    return fields | {f"{VALUE}{name}": one for name, one in (numbers or {}).items() if one is not None}


_TRUTH = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def _present(given: Mapping[str, Any], expected: Sequence[str]) -> list[str]:
    """Return the labels whose column contains 1, if every column contains 0 or 1."""
    found: list[str] = []
    for label in expected:
        is_present = _TRUTH.get(str(given.get(label)).strip().lower())
        if is_present is None:
            raise InvalidDocumentError(
                f"the column of the label {label!r} contains {given.get(label)!r}; write 1 if the text has the label, "
                "and 0 if not. Only a record that is not annotated at all has no value for any label"
            )
        if is_present:
            found.append(label)
    return found


def _labels(given: Any, field: str, names: Sequence[str] | None) -> list[str]:
    if not is_list(given):
        raise InvalidDocumentError(f"{field} is {given!r}; write a list of names")
    labels = [_label(label, field, names) for label in given]
    if None in labels:
        raise InvalidDocumentError(f"{field} is {given!r}; a label is null or a negative number")
    return [label for label in labels if label is not None]


def _label(given: Any, field: str, names: Sequence[str] | None) -> str | None:
    if isinstance(given, str) and given.strip():
        return given
    if isinstance(given, str):
        raise InvalidDocumentError(
            f"{field} contains {given!r}; write the name, or null for a record that is not annotated. To skip all "
            "records with a blank label, set blank_labels: skip"
        )
    if is_list(given) and field == "label":
        shown = shorten(repr(given), width=60)
        raise InvalidDocumentError(
            f"label contains {shown}; write the name; use `labels` for several labels, and `spans` for spans. For an "
            "export of doccano, set the format to doccano; from Label Studio, export JSON, not JSON_MIN, and set the "
            "format to label-studio"
        )
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, int):
        if names is None and field != "tags":
            return str(given)
        if names is not None and given < len(names):
            return names[given] if given >= 0 else None
    known = f" The {len(names)} names are {', '.join(names)}." if names else ""
    raise InvalidDocumentError(
        f"{field} contains {given!r}; write the name, or set label_names for the integers.{known}"
    )


def _rows_of(given: Any) -> Any:
    """Return annotations as a list, where they are JSON in a column of a CSV file, or a mapping of lists."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return (given,)
    if not isinstance(given, Mapping):
        return given
    if not all(map(is_list, given.values())):
        return [given]
    # datasets stores a list of mappings as a mapping of lists
    if len({len(values) for values in given.values()}) > 1:
        raise InvalidDocumentError(f"{given!r} has lists of different lengths; write a value for each in each list")
    return [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]


def _answers(given: Any, text: Any) -> Iterable[Span]:
    given = _rows_of(given)
    if not is_list(given):
        raise InvalidDocumentError(f"answers is {given!r}; write a list of {{text, start}}, which may be empty")
    for index, answer in enumerate(given):
        start = answer.get("start", answer.get("answer_start")) if isinstance(answer, Mapping) else None
        quote = answer.get("text") if isinstance(answer, Mapping) else None
        if not isinstance(start, int) or isinstance(start, bool) or not isinstance(quote, str) or not quote:
            raise InvalidDocumentError(
                f"answer {index} is {answer!r}; write {{text, start}}: the exact text of the answer, and the "
                "position of its first character in the context"
            )
        if not isinstance(text, str) or start < 0 or text[start : start + len(quote)] != quote:
            at = text.find(quote) if isinstance(text, str) else -1
            there = text[max(0, start) : max(0, start) + len(quote)] if isinstance(text, str) else ""
            raise InvalidDocumentError(
                f"answer {index} is {quote!r} at {start}, but the context has {there!r} there"
                + (f"; it contains {quote!r} at {at}" if at >= 0 else f"; it does not contain {quote!r}")
            )
        yield Span(start=start, end=start + len(quote), label=ANSWER)


def _spans(given: Any, names: Sequence[str] | None, text: Any) -> Iterable[Span]:
    given = _rows_of(given)
    if not is_list(given):
        raise InvalidDocumentError(f"spans is {given!r}; write a list of {{start, end, label}}")
    for index, span in enumerate(given):
        try:
            start, end, label = span if is_list(span) else (span["start"], span["end"], span["label"])
            found = Span.model_validate(
                {"start": start, "end": end, "label": _label(label, "label", names)}, strict=True
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, InvalidDocumentError):
                raise
            doccano = isinstance(span, Mapping) and "start_offset" in span
            raise InvalidDocumentError(
                f"span {index} is {span!r}; write {{start, end, label}}: characters, start before end, end exclusive"
                + ". This is an export of doccano: set the format to doccano" * doccano
            ) from error
        check_quote(span, found, text)
        yield found


_QUOTES = ("text", "quote", "surface", "mention", "span_text")


def check_quote(given: Any, span: Span, text: Any) -> None:
    """Check the offsets of a span against its quoted text, if there is one. White space may differ.

    Args:
        given: the span as written, perhaps an object with a quotation as `text`, `quote`, `surface`, `mention` or
            `span_text`.
        span: the span as read.
        text: the text of the document.

    Raises:
        InvalidDocumentError: the quotation is not the text at the offsets; the message contains both.
    """
    if not isinstance(given, Mapping) or not isinstance(text, str):
        return
    for key in _QUOTES:
        quote = given.get(key)
        surface = text[span.start : span.end]
        if isinstance(quote, str) and quote.split() != surface.split():
            start = text.find(quote) if quote else -1
            hint = f"; {quote!r} is at {start}:{start + len(quote)}" if start >= 0 else ""
            raise InvalidDocumentError(
                f"the span {span.start}:{span.end} {span.label!r} has the {key} {quote!r}, but the text at these "
                f"offsets is {surface!r}{hint}. Correct the offsets (characters, end exclusive) or the {key}"
            )


def _number(given: Any, name: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise InvalidDocumentError(
            f"{name} is {given!r}; write a number that is finite, or null where it is not annotated"
        )
    return float(given)
