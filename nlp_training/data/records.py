"""Conversion of a record of a data set, a mapping from column to value, to a Document with gold."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Annotation, Category, Document, Span, as_document
from nlp_inference.document.inputs import CONTEXT, text_columns
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.question_answering import ANSWER
from nlp_training.data.errors import BlankLabelError
from nlp_training.data.notes import count_unread, count_unread_keys
from nlp_training.data.record_relations import are_relations, read_relations
from nlp_training.data.tags import find_tokens, join_tokens, tags_to_spans
from nlp_training.data.targets import TARGETS, read_target, top_column, with_nested, without_unusual_target

READ_FROM = "read_from"
"""The key of `Document.metadata` for the location that a document was read from: `train.jsonl:17`."""

VALUE = "value "
"""Begins the key of a named number among the columns that were found, such as `value clarity`."""

HEADS = "heads"
"""The column with the annotations of heads, by the name of the head, each with the fields of a record."""

HEAD = "head "
"""Begins the key of the column of a head, such as `head intent label`."""
LABEL = "label "
"""Begins the key of a column that says whether the text has a label, such as `label toxic`."""

_USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "spans": ("spans",),
    "relations": ("relations",),
    "label": ("label",),
    "labels": ("labels",),
    "score": ("score",),
    "tokens": ("tokens",),
    "tags": ("tags", "ner_tags"),
    "answers": (),
    "target": (),
    HEADS: (HEADS,),
}
"""Usual names of the columns of gold; `inputs.text_columns` has those of the texts."""
_OF_HEADS = ("spans", "label", "labels", "score", "tags")
"""The fields of a head that columns can name."""
_OTHER_GOLD = frozenset({"spans", "label", "labels", "score", "tags", "answers", HEADS})

_SHAPES = (
    "{text, spans}, {text, spans, relations}, {text, label}, {text, labels}, {tokens, tags}, "
    "{text_a, text_b, label or score}, {question, context, answers} or {text, target}"
)


class Columns(BaseModel):
    """The column of each field. A column that is not named has one of the default names.

    A name with a dot is a key of an object in a column: `translation.en`, as in data sets of translations on the Hub.

    Args:
        id: the unique id of the record. Default: `id`.
        text: the text. Default: `raw_text`, `text`, `text_a`, `context`.
        text_pair: the text pair. Default: `raw_text_pair`, `text_pair`, `text_b`, and `question` if the text is called
            `context`.
        spans: a list of `{start, end, label}` or of `[start, end, label]`, in characters, end exclusive. Default:
            `spans`, or `entities` if it contains such a list.
        relations: a list of `{head, tail, label}`, in which head and tail are positions in the list of spans, starting
            at 0, or the `id` that spans have. Default: `relations`, if it contains such a list and there are spans.
        label: the single label of the text. Default: `label`.
        labels: a list of labels of the text. Default: `labels`. Or one column per label that contains 0 or 1: a list of
            columns, which are the labels, or the column of each label, as in `{toxic: is_toxic, threat: is_threat}`.
            If only one of `label` and `labels` is named, a column with the usual name of the other is not read.
        score: a number. Default: `score`.
        values: several numbers, or one under another name: the column of each name, as in `{clarity: q1, tone: q2}`, or
            a list of columns whose names they keep. A number that is null is not annotated.
        tokens: a list of words; without a text they are joined by single spaces. Default: `tokens`.
            tags: one tag per token. Default: `tags`, `ner_tags`.
        answers: the accepted answers to the question in `text_pair`: a list of `{text, start}` (or `answer_start`,
            as in SQuAD), or a mapping of these lists, as in `datasets`; empty if the text does not answer it. Default:
            `answers` if the text is called `context`.
        target: the text to generate. Default: `target`, `summary` or `translation`, in records without another
            annotation.
        heads: the annotations of heads: a column with a mapping such as `{intent: {label: play}, slots: {spans: []}}`,
            or the columns of each head, such as `{intent: {label: intent}, slots: {tags: slot_tags}}`. A head that is
            missing or null is not annotated. Default: `heads`.

    Example:
        >>> Columns(text="utterance").resolve(["utterance", "label", "id"])
        {'text': 'utterance', 'id': 'id', 'label': 'label'}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    text: str | None = None
    text_pair: str | None = None
    spans: str | None = None
    relations: str | None = None
    label: str | None = None
    labels: str | dict[str, str] | None = None
    score: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    tokens: str | None = None
    tags: str | None = None
    answers: str | None = None
    target: str | None = None
    heads: str | dict[str, dict[str, str]] | None = None

    def resolve(self, available: Collection[str]) -> dict[str, str]:
        """Return the column of each field.

        Raises:
            InvalidDocumentError: a named column does not exist, or there is neither a text nor tokens.
        """
        of_heads = self._of_heads(available)
        found = self._of_fields(available, taken=of_heads.values()) | self._of_names(available) | of_heads
        if "target" not in found:
            usual_target = next((name for name in TARGETS if name in available and name not in found.values()), None)
            found |= {} if usual_target is None else {"target": usual_target}
        if "text" not in found and "tokens" not in found:
            task = {"data", "annotations"} <= {*available} or {"data", "completions"} <= {*available}
            hint = "; these are tasks of Label Studio: export a JSON array, and set the format to label-studio"
            raise InvalidDocumentError(
                f"there is neither a text nor tokens; {_list(available)}{hint * task}. Write {_SHAPES}, or name the "
                "columns, as in columns: {text: ...}"
            )
        return found

    def _named(self) -> dict[str, str]:
        """Return the fields whose column is named."""
        given = {field: getattr(self, field) for field in (*_USUAL, "text", "text_pair")}
        return {field: name for field, name in given.items() if isinstance(name, str)}

    def _of_fields(self, available: Collection[str], *, taken: Collection[str]) -> dict[str, str]:
        """Return the columns of fields that are named, or that have a usual name and are not taken by a head."""
        named = self._named()
        for field, name in named.items():
            if name not in available and top_column(name) not in available:
                raise InvalidDocumentError(f"there is no column {name!r} for {field!r}; {_list(available)}")
        texts = text_columns(available, text=self.text, text_pair=self.text_pair)
        found = {field.removeprefix("raw_"): column for field, column in texts.items()}
        usual_names = {**_USUAL, "answers": ("answers",) if found.get("text") == CONTEXT else ()}
        if not {"spans", "entities"} & {*named, *available}:
            usual_names["relations"] = ()
        for field, usual in usual_names.items():
            column = named.get(field)
            if column is None and not self._is_named_otherwise(field):
                column = next((name for name in usual if name in available and name not in taken), None)
            if column is not None:
                found[field] = column
        return found

    def _of_names(self, available: Collection[str]) -> dict[str, str]:
        """Return the columns of named numbers and of labels."""
        found: dict[str, str] = {}
        labels = self.labels if isinstance(self.labels, dict) else {}
        for prefix, named_columns in ((VALUE, self.values), (LABEL, labels)):
            for name, column in named_columns.items():
                if column not in available:
                    raise InvalidDocumentError(
                        f"there is no column {column!r} for the {prefix.strip()} {name!r}; {_list(available)}"
                    )
                found[f"{prefix}{name}"] = column
        return found

    def _of_heads(self, available: Collection[str]) -> dict[str, str]:
        """Return the columns of each head, and check them."""
        found: dict[str, str] = {}
        for head, columns in self.heads.items() if isinstance(self.heads, Mapping) else ():
            for field, column in columns.items():
                if field not in _OF_HEADS:
                    raise InvalidDocumentError(
                        f"columns.heads.{head} has {field!r}; expected {', '.join(_OF_HEADS)}, or a column with all "
                        "annotations of heads"
                    )
                if column not in available:
                    raise InvalidDocumentError(
                        f"there is no column {column!r} for {field!r} of the head {head!r}; {_list(available)}"
                    )
                found[f"{HEAD}{head} {field}"] = column
        return found

    def _is_named_otherwise(self, field: str) -> bool:
        """Return whether the columns name other gold in place of a field that they do not name."""
        others = {"score": self.values, "label": self.labels, "labels": self.label or isinstance(self.labels, dict)}
        return bool(others.get(field)) or (field == HEADS and isinstance(self.heads, dict))

    @field_validator("values", "labels", mode="before")
    @classmethod
    def _named_columns(cls, given: Any) -> Any:
        """Turn a list of columns into a mapping."""
        return {name: name for name in given} if _is_list(given) else given

    @classmethod
    def of(cls, columns: "Columns | Mapping[str, Any] | None") -> Self:
        """Return the columns that a mapping names.

        Raises:
            InvalidDocumentError: a key of the mapping is not a field of a record.
        """
        if isinstance(columns, cls):
            return columns
        try:
            return cls.model_validate(dict(columns or {}))
        except ValidationError as error:
            raise InvalidDocumentError(
                f"columns {columns!r} is not valid; expected the keys {', '.join(cls.model_fields)} with names of "
                "columns"
            ) from error


def _list(available: Collection[str]) -> str:
    return f"the columns are: {', '.join(map(repr, available)) or 'none'}"


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
    other_gold = [name for field, name in columns.items() if field in _OTHER_GOLD or _is_prefixed(field)]
    columns = without_unusual_target(columns, record, other_gold)
    values = {field: record[column] for field, column in columns.items() if record.get(column) is not None}
    text, offsets = _text_and_offsets(values)
    claimed = set(columns.values())
    rest = {key: value for key, value in record.items() if key not in claimed and value is not None}
    count_unread_keys(rest)
    fields = {
        "id": str(values.get("id", read_from)),
        "raw_text": text,
        "raw_text_pair": values.get("text_pair"),
        "gold": _gold(values, offsets, names or {}, columns=columns),
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
    if "spans" in columns or "tags" in columns or "entities" in columns.values() or not _is_list(found):
        return columns
    annotated_otherwise = {*columns} & {"label", "labels", "score"} or any(map(_is_prefixed, columns))
    is_spans = all(map(_looks_like_span, found)) if found else not annotated_otherwise
    return {**columns, "spans": "entities"} if is_spans else columns


def _without_other_relations(columns: Mapping[str, str], record: Mapping[str, Any]) -> Mapping[str, str]:
    """Leave out relations of other tools."""
    if "relations" not in columns or are_relations(_rows_of(record.get(columns["relations"]))):
        return columns
    return {field: column for field, column in columns.items() if field != "relations"}


def _is_prefixed(field: str) -> bool:
    return field.startswith((VALUE, LABEL, HEAD))


def _looks_like_span(given: Any) -> bool:
    if isinstance(given, Mapping):
        return "label" in given and ("start" in given or "start_offset" in given)
    return _is_list(given) and len(given) == 3 and isinstance(given[2], str) and not isinstance(given[0], str)


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
    if not isinstance(given, Mapping) or (unknown := sorted({*given} - {*_OF_HEADS, "values", "answers"})):
        wrong = repr(given)[:80] if not isinstance(given, Mapping) else f"the key {unknown[0]!r}"
        raise InvalidDocumentError(
            f"the head {head!r} has {wrong}; write a mapping with {', '.join(_OF_HEADS)} or values, such as "
            "{label: play}"
        )
    fields = {key: value for key, value in given.items() if key != "values" and value is not None}
    numbers = {f"{VALUE}{name}": one for name, one in (given.get("values") or {}).items() if one is not None}
    return fields | numbers


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
    if not _is_list(given):
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
    if _is_list(given) and field == "label":
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
    if isinstance(given, Mapping):  # datasets stores a list of mappings as a mapping of lists
        return [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
    return given


def _answers(given: Any, text: Any) -> Iterable[Span]:
    given = _rows_of(given)
    if not _is_list(given):
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
    if not _is_list(given):
        raise InvalidDocumentError(f"spans is {given!r}; write a list of {{start, end, label}}")
    for index, span in enumerate(given):
        try:
            start, end, label = span if _is_list(span) else (span["start"], span["end"], span["label"])
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


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)
