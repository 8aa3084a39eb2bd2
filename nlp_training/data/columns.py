"""The columns of records: which column contains which field of a document and of its gold."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nlp_inference.document.inputs import CONTEXT, text_columns
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.notes import count_unread
from nlp_training.data.targets import TARGETS, top_column

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

OF_HEADS = ("spans", "label", "labels", "score", "tags")
"""The fields of a head that columns can name."""

OTHER_GOLD = frozenset({"spans", "label", "labels", "score", "tags", "answers", HEADS})

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
        found |= {field: named[field] for field in ("text", "text_pair") if field in named}
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
                if field not in OF_HEADS:
                    raise InvalidDocumentError(
                        f"columns.heads.{head} has {field!r}; expected {', '.join(OF_HEADS)}, or a column with all "
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
        return {name: name for name in given} if is_list(given) else given

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


def count_similar_names(columns: Iterable[str]) -> None:
    """Count columns of a record without gold whose names differ from those of gold only in case or white space.

    Example:
        >>> from nlp_training.data.notes import Notes
        >>> notes = Notes()
        >>> with notes.collecting():
        ...     count_similar_names(["Label", "page"])
        >>> dict(notes.unread)
        {"the column 'Label' (not 'label'; rename it, or set columns: {label: 'Label'})": 1}
    """
    fields = {name: field for field in OTHER_GOLD for name in _USUAL[field]} | dict.fromkeys(TARGETS, "target")
    for name in columns:
        near = name.strip().lower()
        if near != name and near in fields:
            count_unread(f"the column {name!r} (not {near!r}; rename it, or set columns: {{{fields[near]}: {name!r}}})")


def _list(available: Collection[str]) -> str:
    return f"the columns are: {', '.join(map(repr, available)) or 'none'}"


def is_prefixed(field: str) -> bool:
    """Return whether a key among the columns that were found belongs to a named number, a label or a head."""
    return field.startswith((VALUE, LABEL, HEAD))


def is_list(given: Any) -> bool:
    """Return whether a value is a sequence, but no string."""
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)
