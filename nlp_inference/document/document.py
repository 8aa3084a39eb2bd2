"""The Document: a raw text, the edits of preprocessing, and the gold and predicted annotations.

Every offset in a Document is in code points of `raw_text` (or `raw_text_pair`), end exclusive.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from nlp_inference._utils.cached import cached
from nlp_inference._utils.late_binding import bound
from nlp_inference.document.aligned_text import AlignedText, EditRecord
from nlp_inference.document.annotation import Annotation, Coverage, Frozen, Span
from nlp_inference.document.offsets import OffsetUnit, converted
from nlp_inference.errors import InvalidDocumentError


def _encodable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"lone surrogate {text[error.start]!a} at character {error.start}, which cannot be encoded; "
                "repair it with: text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
            ) from error
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""A string that can be encoded in UTF-8."""


def _without_loss(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        content = json.dumps(metadata, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise ValueError(f"{error}; JSON has finite numbers only, write null or a string instead") from error
    try:
        _encodable(content)
    except ValueError as error:
        raise ValueError(f"its JSON has a {error}") from error
    return metadata


Metadata = Annotated[dict[str, JsonValue], AfterValidator(_without_loss)]
"""A JSON object in UTF-8; NaN and infinity are rejected, because they would silently become null."""


class Document(Frozen):
    """A text, the edits that preprocessing made to it, and its gold and predicted annotation.

    Args:
        raw_text: the original text; it never changes.
        raw_text_pair: the text pair (question, hypothesis), with separate edits.
        id: a name that is unique in its data set.
        gold: the human annotation. `None` means not annotated, an empty `Annotation` means that there is nothing to
            find.
        predicted: the annotation by a model, in the same form. `None` means not predicted.
        metadata: any JSON object; it is never changed.
        edits, edits_pair: records of the edits of preprocessing; their replay on the raw text gives `text`.
        coverage: the part of the text that the model read, if there is a prediction.

    Raises:
        pydantic.ValidationError: an offset is outside the text, a key is unknown, or a string contains lone surrogates.

    Example:
        >>> gold = Annotation(spans=(Span(start=13, end=17, label="CITY"),))
        >>> document = Document(raw_text="Ana lives in Rome", gold=gold)
        >>> [document.surface(span) for span in document.gold.spans]
        ['Rome']
        >>> Document.model_validate_json(document.model_dump_json()) == document
        True
    """

    raw_text: Text
    raw_text_pair: Text | None = None
    id: Text | None = None
    gold: Annotation | None = None
    predicted: Annotation | None = None
    metadata: Metadata = Field(default_factory=dict)  # pydantic copies a default of {} slowly, for every Document
    edits: tuple[EditRecord, ...] = ()
    edits_pair: tuple[EditRecord, ...] = ()
    coverage: Coverage | None = None

    @model_validator(mode="after")
    def _annotations_fit_the_text(self) -> Self:
        if self.gold is not None:
            _check_annotation("gold", self.gold, len(self.raw_text))
        if self.predicted is not None:
            _check_annotation("predicted", self.predicted, len(self.raw_text))
        return self

    @cached
    def aligned(self) -> AlignedText:
        """The raw text, the current text and the map between them."""
        return AlignedText(self.raw_text, self.edits)

    @cached
    def aligned_pair(self) -> AlignedText:
        """The same for the text pair, or for an empty text if there is none."""
        return AlignedText(self.raw_text_pair or "", self.edits_pair)

    @property
    def text(self) -> str:
        """The current text: `raw_text` after preprocessing."""
        return self.aligned.current

    @property
    def text_pair(self) -> str | None:
        """The current text pair, or `None`."""
        return None if self.raw_text_pair is None else self.aligned_pair.current

    def surface(self, span: Span) -> str:
        """Return the characters of the raw text that `span` covers."""
        return self.raw_text[span.start : span.end]

    def to_offsets(self, unit: OffsetUnit) -> dict[str, Any]:
        """Return the document as JSON, with the offsets of spans, edits and coverage ranges in another unit.

        The numbers `characters` and `read` of the coverage remain code points.

        Args:
            unit: `utf-16` for JavaScript, Java and C#, `utf-8` for bytes, `codepoint` for unchanged offsets.

        Returns:
            The fields of the document, and the unit as `offsets`. `from_offsets` is the inverse.

        Example:
            >>> document = Document(raw_text="😀 Ana", gold={"spans": [{"start": 2, "end": 5, "label": "PERSON"}]})
            >>> document.to_offsets("utf-16")["gold"]["spans"]
            [{'start': 3, 'end': 6, 'label': 'PERSON', 'score': None}]
            >>> Document.from_offsets(document.to_offsets("utf-8")) == document
            True
        """
        return {**converted(self.model_dump(mode="json"), unit), "offsets": unit}

    @classmethod
    def from_offsets(cls, content: Mapping[str, Any]) -> Self:
        """Build a document from the result of `to_offsets`.

        Raises:
            InvalidDocumentError: an offset is outside its text or inside a character, or the object does not describe
                a Document.
        """
        fields = dict(content)
        unit = fields.pop("offsets", "codepoint")
        try:
            return cls.model_validate(converted(fields, unit, back=True))
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise InvalidDocumentError(
                f"expected the result of Document.to_offsets, got another object: {error}"
            ) from error

    def with_aligned(self, aligned: AlignedText, aligned_pair: AlignedText | None = None) -> Self:
        """Return a copy with other edits; `aligned` must have the raw text of this document."""
        update: dict[str, Any] = {"edits": aligned.records}
        if aligned_pair is not None:
            update["edits_pair"] = aligned_pair.records
        copy = self.model_copy(update=update)
        copy.__dict__["aligned"] = aligned
        if aligned_pair is not None:
            copy.__dict__["aligned_pair"] = aligned_pair
        return copy

    def with_gold(self, gold: Annotation | None) -> Self:
        """Return a copy with this gold annotation.

        Raises:
            InvalidDocumentError: an offset is outside the raw text.
        """
        return self._with_annotation("gold", gold)

    def with_predicted(self, predicted: Annotation | None, *, coverage: Coverage | None = None) -> Self:
        """Return a copy with this prediction and its coverage.

        Raises:
            InvalidDocumentError: an offset is outside the raw text.
        """
        return self._with_annotation("predicted", predicted, coverage=coverage)

    def as_it_arrived(self) -> Self:
        """Return a copy without edits."""
        if not self.edits and not self.edits_pair:
            return self
        copy = self.model_copy(update={"edits": (), "edits_pair": ()})
        copy.__dict__.pop("aligned", None)
        copy.__dict__.pop("aligned_pair", None)
        return copy

    def with_merged_heads(self) -> Self:
        """Return a copy whose heads are merged; see `Annotation.merged`."""
        names = [name for name in ("gold", "predicted") if (one := getattr(self, name)) is not None and one.heads]
        return self.model_copy(update={name: getattr(self, name).merged() for name in names}) if names else self

    def unannotated(self) -> Self:
        """Return a copy as a server would receive it, without gold, prediction and edits."""
        return self.as_it_arrived().model_copy(update={"gold": None, "predicted": None, "coverage": None})

    def _with_annotation(self, name: str, annotation: Annotation | None, **others: Any) -> Self:
        if annotation is not None:
            try:
                _check_annotation(name, annotation, len(self.raw_text))
            except ValueError as error:
                raise InvalidDocumentError(f"document {self.id!r}: {error}") from error
        return self.model_copy(update={name: annotation, **others})

    def _repr_html_(self) -> str:
        html: str = bound("document_html")(self)
        return html

    def __rich__(self) -> Any:
        return bound("document_renderable")(self)


class FailedDocument(BaseModel):
    """Replacement of a Document that could not be predicted, with its id and the error."""

    model_config = ConfigDict(frozen=True)

    id: str
    error: str
    message: str

    def description(self) -> str:
        """Return the message with the id of the document, which many messages already begin with.

        Example:
            >>> FailedDocument(id="7", error="ValueError", message="no text").description()
            "document '7': no text"
        """
        name = f"document {self.id!r}"
        return self.message if self.message.startswith((f"{name}:", f"{name} ")) else f"{name}: {self.message}"


def as_document(item: "str | Mapping[str, Any] | Document", *, default_id: str | None = None) -> Document:
    """Convert a text or a JSON object to a Document; return a Document unchanged, except for a missing id.

    Raises:
        InvalidDocumentError: a string contains lone surrogates, or the object does not describe a Document.

    Example:
        >>> as_document("Hello", default_id="0").id
        '0'
    """
    if isinstance(item, Document):
        return item if item.id is not None or default_id is None else item.model_copy(update={"id": default_id})
    fields: dict[str, Any] = {"raw_text": item} if isinstance(item, str) else dict(item)
    if fields.get("id") is None:
        fields["id"] = default_id
    try:
        return Document.model_validate(fields)
    except ValidationError as error:
        raise InvalidDocumentError(f"document {fields['id']!r}: {_explain(error, fields)}") from error


def _explain(error: ValidationError, fields: Mapping[str, Any]) -> str:
    details = error.errors(include_url=False, include_input=False)
    problems: list[str] = []
    for detail in details:
        where, message = ".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {message}" if where else message)
    about_keys = any(detail["type"] in ("missing", "extra_forbidden") for detail in details)
    given = f" (keys given: {', '.join(map(repr, fields))})" if about_keys else ""
    return "; ".join(problems) + given


def _check_annotation(name: str, annotation: Annotation, length: int) -> None:
    for span in annotation.spans:
        if span.end > length:
            raise ValueError(
                f"{name} span {(span.start, span.end, span.label)!r} ends outside the raw text of {length} characters; "
                "offsets are code points of the raw text, end exclusive"
            )
    for relation in annotation.relations:
        if not (0 <= relation.head < len(annotation.spans) and 0 <= relation.tail < len(annotation.spans)):
            raise ValueError(
                f"{name} relation {relation!r} refers to a span that does not exist; there are "
                f"{len(annotation.spans)} spans"
            )
    if not "".join(_strings(annotation)).isascii():
        _check_encodable(name, annotation)
    for head, one in annotation.heads.items():
        _check_annotation(f"{name} head {head!r}", one, length)


def _check_encodable(name: str, annotation: Annotation) -> None:
    for text in _strings(annotation):
        try:
            _encodable(text)
        except ValueError as error:
            raise ValueError(f"{name} contains {text!a}: {error}") from error


def _strings(annotation: Annotation) -> Iterator[str]:
    """Yield the labels, names and texts of an annotation, without those of its heads."""
    for labeled in (annotation.spans, annotation.categories, annotation.relations):
        yield from (one.label for one in labeled)
    yield from annotation.generated
    for named in (annotation.values, annotation.label_scores, annotation.heads):
        yield from named
