"""Annotations of a text (spans, categories, relations), and the coverage of a prediction.

Every offset is in code points of the raw text, end exclusive.
"""

from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from nlp_inference._utils.cached import cached
from nlp_inference.document.offsets import OffsetMap, unit_offset


class Frozen(BaseModel):
    """An immutable record that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached,))


class Span(Frozen):
    """A labeled range of the raw text: `raw_text[start:end]`."""

    start: Annotated[int, Field(ge=0)]
    end: int
    label: str
    score: FiniteFloat | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"span {(self.start, self.end)!r} is empty or reversed; an end is exclusive")
        return self

    def to_utf16(self, text: str) -> tuple[int, int]:
        """Return start and end in UTF-16 code units of the raw text, as in JavaScript, Java and C#.

        For many spans of one document, `Document.to_offsets` is faster, because it reads the text once.

        Args:
            text: the raw text.

        Raises:
            InvalidDocumentError: the span ends outside the text.

        Example:
            >>> Span(start=2, end=11, label="PERSON").to_utf16("😀 Ana Lopez")
            (3, 12)
        """
        return unit_offset(text, self.start, "utf-16"), unit_offset(text, self.end, "utf-16")

    def to_utf8(self, text: str) -> tuple[int, int]:
        """Return start and end in UTF-8 bytes of the raw text, as in Go and Rust; see `to_utf16`.

        Example:
            >>> Span(start=2, end=11, label="PERSON").to_utf8("😀 Ana Lopez")
            (5, 14)
        """
        return unit_offset(text, self.start, "utf-8"), unit_offset(text, self.end, "utf-8")

    @classmethod
    def from_utf16(cls, text: str, *, start: int, end: int, label: str, score: float | None = None) -> Self:
        """Build a span from a start and an end in UTF-16 code units of the raw text.

        Raises:
            InvalidDocumentError: an offset is outside the text or inside a character.

        Example:
            >>> Span.from_utf16("😀 Ana Lopez", start=3, end=12, label="PERSON")
            Span(start=2, end=11, label='PERSON', score=None)
        """
        start, end = OffsetMap(text, "utf-16").to_code_points([start, end])
        return cls(start=start, end=end, label=label, score=score)

    @classmethod
    def from_utf8(cls, text: str, *, start: int, end: int, label: str, score: float | None = None) -> Self:
        """Build a span from a start and an end in UTF-8 bytes of the raw text; see `from_utf16`."""
        start, end = OffsetMap(text, "utf-8").to_code_points([start, end])
        return cls(start=start, end=end, label=label, score=score)


Strategy = Literal["score", "longest"]
"""The criterion by which spans are ranked."""


def priority(span: Span, strategy: Strategy) -> tuple[float | int | str, ...]:
    """Return a key that sorts better spans first; a span without score is worse than any span with a score.

    Ties are resolved by the greater length (by the better score with `longest`), then by the start, then by the label.
    """
    score = float("inf") if span.score is None else -span.score
    length = span.start - span.end
    first, second = (score, length) if strategy == "score" else (length, score)
    return first, second, span.start, span.label


class Category(Frozen):
    """A label of the whole document."""

    label: str
    score: FiniteFloat | None = None


class Relation(Frozen):
    """A labeled, directed link between two spans of the same annotation, by their indices in `spans`."""

    head: int
    tail: int
    label: str
    score: FiniteFloat | None = None


class Annotation(Frozen):
    """The annotation of a document by people (`Document.gold`) or by a model (`Document.predicted`).

    Args:
        spans: labeled ranges of the raw text.
        categories: labels of the complete document.
        relations: links between spans.
        values: named numbers of the complete document.
        generated: texts.
        label_scores: the score of every label of the task, also of those that are not predicted, for tasks that score
            each label independently. Ranking metrics use it. Omitted from JSON if it is empty.
        heads: the annotations of the heads of a multi-task model, by name. Gold has those that are annotated: a missing
            head is not annotated, an empty one has nothing. Omitted from JSON if it is empty.

    Example:
        >>> said = Annotation(categories=(Category(label="joy", score=0.9),), label_scores={"joy": 0.9, "anger": 0.1})
        >>> said.model_dump()["label_scores"], "label_scores" in Annotation().model_dump()
        ({'joy': 0.9, 'anger': 0.1}, False)
    """

    spans: tuple[Span, ...] = ()
    categories: tuple[Category, ...] = ()
    relations: tuple[Relation, ...] = ()
    values: dict[str, FiniteFloat] = Field(default_factory=dict)
    generated: tuple[str, ...] = ()
    label_scores: dict[str, FiniteFloat] = Field(default_factory=dict)
    heads: dict[str, "Annotation"] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_empty_new_fields(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep what earlier versions wrote byte for byte: they do not know these fields."""
        fields: dict[str, Any] = handler(self)
        for name in ("label_scores", "heads"):
            if not getattr(self, name):
                fields.pop(name, None)
        return fields

    @model_validator(mode="after")
    def _heads_have_no_heads(self) -> Self:
        nested = next((name for name, one in self.heads.items() if one.heads), None)
        if nested is not None:
            raise ValueError(f"the head {nested!r} has heads of its own; write the annotation of each head directly")
        return self

    def head(self, name: str) -> "Annotation | None":
        """Return the annotation of a head, `None` if it has none; the name `""` means this annotation.

        Example:
            >>> gold = Annotation(heads={"intent": Annotation(categories=(Category(label="play"),))})
            >>> gold.head("intent").categories[0].label, gold.head("slots"), gold.head("") == gold
            ('play', None, True)
        """
        return self if not name else self.heads.get(name)

    def of_all_heads(self) -> dict[str, "Annotation"]:
        """Return this annotation under the name `""`, then that of each head."""
        return {"": self, **self.heads}

    def merged(self) -> "Annotation":
        """Return the annotations of all heads as one, whose labels and values have the name of their head.

        Example:
            >>> gold = Annotation(heads={"intent": Annotation(categories=(Category(label="play"),))})
            >>> gold.merged().categories[0].label
            'intent/play'
        """
        if not self.heads:
            return self
        parts = [_qualified(head, one) for head, one in self.of_all_heads().items()]
        starts = accumulate((len(one.spans) for one in parts[:-1]), initial=0)
        return Annotation(
            spans=tuple(span for one in parts for span in one.spans),
            categories=tuple(category for one in parts for category in one.categories),
            relations=tuple(
                relation.model_copy(update={"head": relation.head + start, "tail": relation.tail + start})
                for one, start in zip(parts, starts, strict=True)
                for relation in one.relations
            ),
            values={name: value for one in parts for name, value in one.values.items()},
            generated=tuple(text for one in parts for text in one.generated),
            label_scores={label: score for one in parts for label, score in one.label_scores.items()},
        )

    def all_spans(self) -> tuple[Span, ...]:
        """Return the spans of this annotation and of its heads."""
        return tuple(span for one in self.of_all_heads().values() for span in one.spans)


def _qualified(head: str, annotation: Annotation) -> Annotation:
    """Return an annotation whose labels and values have the name of their head."""
    renamed = {
        name: tuple(one.model_copy(update={"label": qualified(head, one.label)}) for one in getattr(annotation, name))
        for name in ("spans", "categories", "relations")
    }
    numbers = {
        name: {qualified(head, key): value for key, value in getattr(annotation, name).items()}
        for name in ("values", "label_scores")
    }
    return annotation.model_copy(update={**renamed, **numbers})


def qualified(head: str, label: str) -> str:
    """Return the name of a label or a value of a head among those of all heads.

    Example:
        >>> qualified("intent", "play"), qualified("", "play")
        ('intent/play', 'play')
    """
    return f"{head}/{label}" if head else label


class Coverage(Frozen):
    """The part of a document that the model read.

    Args:
        characters: number of code points of the raw text and of the text pair, if there is one.
        read: number of code points that are in no unread, deleted or unknown range.
        windows: number of input rows of the document.
        truncated: whether the windows end before the last token.
        unread: ranges `(start, end)` of the raw text, without white space, that preprocessing kept but that no token
            in a window covers.
        unread_pair: the same for the text pair.
        deleted: ranges of the raw text that contain letters or digits and that preprocessing removed, so that the model
            did not see them.
        deleted_pair: the same for the text pair.
        unknown: ranges of the raw text under an unknown token (`[UNK]`), whose contents the model did not see.
        unknown_pair: the same for the text pair.
        imprecise: long ranges of the raw text that one edit rewrote as a unit: a span that touches such a range covers
            all of it. Their characters count as read.
    """

    characters: Annotated[int, Field(ge=0)]
    read: Annotated[int, Field(ge=0)]
    windows: int
    truncated: bool = False
    unread: tuple[tuple[int, int], ...] = ()
    unread_pair: tuple[tuple[int, int], ...] = ()
    deleted: tuple[tuple[int, int], ...] = ()
    deleted_pair: tuple[tuple[int, int], ...] = ()
    unknown: tuple[tuple[int, int], ...] = ()
    unknown_pair: tuple[tuple[int, int], ...] = ()
    imprecise: tuple[tuple[int, int], ...] = ()

    @property
    def not_seen(self) -> tuple[tuple[int, int], ...]:
        """Ranges of the raw text that the model did not see, sorted: unread, deleted and unknown."""
        return tuple(sorted((*self.unread, *self.deleted, *self.unknown)))

    @property
    def not_seen_pair(self) -> tuple[tuple[int, int], ...]:
        """Ranges of the text pair that the model did not see, sorted: unread, deleted and unknown."""
        return tuple(sorted((*self.unread_pair, *self.deleted_pair, *self.unknown_pair)))

    @property
    def complete(self) -> bool:
        """Whether every character that is not white space was read."""
        return not (self.truncated or self.not_seen or self.not_seen_pair)
