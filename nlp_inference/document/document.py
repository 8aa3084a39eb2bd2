"""The Document: a text as it arrived, what was done to it, and what is known or predicted about it.

Every offset in a Document is in code points of `raw_text` (or `raw_text_pair`), end exclusive.
"""

import json
from collections.abc import Mapping
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
                f"lone surrogate {text[error.start]!a} at character {error.start}, which no encoding can carry; "
                "repair it with: text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
            ) from error
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""A string that UTF-8 can carry."""


def _without_loss(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{error}; JSON has finite numbers only, write null or a string in their place") from error
    return metadata


Metadata = Annotated[dict[str, JsonValue], AfterValidator(_without_loss)]
"""What JSON can hold: a NaN or an infinity would silently become null."""


class Document(Frozen):
    """A text, the edits that preprocessing made to it, and its gold and predicted annotation.

    Args:
        raw_text: the text as it arrived; it never changes.
        raw_text_pair: the second text of a pair (question, hypothesis), with edits of its own.
        id: any name that is unique in its data set.
        gold: what people say. `None` means not annotated, an empty `Annotation` means that there is nothing to find.
        predicted: what a model says, in the same terms. `None` means not predicted.
        metadata: anything that JSON can hold; carried along untouched.
        edits, edits_pair: records of what preprocessing did; their replay on the raw text gives `text`.
        coverage: what the model read, when there is a prediction.

    Raises:
        pydantic.ValidationError: an offset lies outside the text, a key is unknown, or the text holds lone surrogates.

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
    id: str | None = None
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
        """The same of the second text; of an empty text if there is none."""
        return AlignedText(self.raw_text_pair or "", self.edits_pair)

    @property
    def text(self) -> str:
        """The current text: what preprocessing made of `raw_text`."""
        return self.aligned.current

    @property
    def text_pair(self) -> str | None:
        """The current second text, if there is one."""
        return None if self.raw_text_pair is None else self.aligned_pair.current

    def surface(self, span: Span) -> str:
        """The characters of the raw text that `span` covers."""
        return self.raw_text[span.start : span.end]

    def to_offsets(self, unit: OffsetUnit) -> dict[str, Any]:
        """The document as JSON has it, with every offset in another unit: spans, edits, and ranges of the coverage.

        The numbers `characters` and `read` of the coverage stay code points.

        Args:
            unit: `utf-16` for JavaScript, Java and C#, `utf-8` for bytes, `codepoint` for offsets as they are.

        Returns:
            The fields of the document, and `offsets`, the unit. `from_offsets` reads it again.

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
        """The document that `to_offsets` gave.

        Raises:
            InvalidDocumentError: an offset lies outside its text or inside a character, or the object does not describe
                a Document.
        """
        fields = dict(content)
        unit = fields.pop("offsets", "codepoint")
        try:
            return cls.model_validate(converted(fields, unit, back=True))
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise InvalidDocumentError(
                f"expected what Document.to_offsets gives, got another object: {error}"
            ) from error

    def with_aligned(self, aligned: AlignedText, aligned_pair: AlignedText | None = None) -> Self:
        """The same document after further edits: `aligned` must stem from this document's raw text."""
        update: dict[str, Any] = {"edits": aligned.records}
        if aligned_pair is not None:
            update["edits_pair"] = aligned_pair.records
        copy = self.model_copy(update=update)
        copy.__dict__["aligned"] = aligned
        if aligned_pair is not None:
            copy.__dict__["aligned_pair"] = aligned_pair
        return copy

    def with_gold(self, gold: Annotation | None) -> Self:
        """The same document with this gold annotation.

        Raises:
            InvalidDocumentError: an offset lies outside the raw text.
        """
        return self._with_annotation("gold", gold)

    def with_predicted(self, predicted: Annotation | None, *, coverage: Coverage | None = None) -> Self:
        """The same document with this prediction and what was read for it.

        Raises:
            InvalidDocumentError: an offset lies outside the raw text.
        """
        return self._with_annotation("predicted", predicted).model_copy(update={"coverage": coverage})

    def as_it_arrived(self) -> Self:
        """The same document without edits."""
        if not self.edits and not self.edits_pair:
            return self
        copy = self.model_copy(update={"edits": (), "edits_pair": ()})
        copy.__dict__.pop("aligned", None)
        copy.__dict__.pop("aligned_pair", None)
        return copy

    def unannotated(self) -> Self:
        """The same document as a server would receive it: no gold, no prediction, no edits."""
        return self.as_it_arrived().model_copy(update={"gold": None, "predicted": None, "coverage": None})

    def _with_annotation(self, name: str, annotation: Annotation | None) -> Self:
        if annotation is not None:
            try:
                _check_annotation(name, annotation, len(self.raw_text))
            except ValueError as error:
                raise InvalidDocumentError(f"document {self.id!r}: {error}") from error
        return self.model_copy(update={name: annotation})

    def _repr_html_(self) -> str:
        html: str = bound("document_html")(self)
        return html

    def __rich__(self) -> Any:
        return bound("document_renderable")(self)


class FailedDocument(BaseModel):
    """Stands in the place of a Document that could not be predicted, and says which one and why."""

    model_config = ConfigDict(frozen=True)

    id: str
    error: str
    message: str


def as_document(item: "str | Mapping[str, Any] | Document", *, default_id: str | None = None) -> Document:
    """Make a Document of a text or of a JSON object; a Document is returned as it is.

    Raises:
        InvalidDocumentError: the text holds lone surrogates, or the object does not describe a Document.

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
    problems = [
        f"{'.'.join(map(str, detail['loc'])) or 'document'}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False)
    ]
    return f"{'; '.join(problems)} (keys given: {', '.join(map(repr, fields))})"


def _check_annotation(name: str, annotation: Annotation, length: int) -> None:
    for span in annotation.spans:
        if span.end > length:
            raise ValueError(
                f"{name} span {(span.start, span.end, span.label)!r} ends outside the raw text of {length} characters; "
                "offsets are code points of the raw text, end exclusive"
            )
    for relation in annotation.relations:
        if not (0 <= relation.head < len(annotation.spans) and 0 <= relation.tail < len(annotation.spans)):
            raise ValueError(f"{name} relation {relation!r} names a span that is not among {len(annotation.spans)}")
