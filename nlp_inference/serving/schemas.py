"""Bodies of requests and responses, from which the OpenAPI document is made."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from nlp_inference.document import Annotation, Coverage
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.document.offsets import OffsetUnit


class Body(BaseModel):
    """A body that rejects unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Text = Annotated[str, StringConstraints(strict=True)]


class DocumentInput(Body):
    """A document to predict.

    Args:
        text: the text.
        text_pair: the second text of a pair: the hypothesis of a premise, or the question about the text.
        id: a name; the response contains it. Without one, it is the index of the document in the request.
        metadata: a JSON object; the response contains it.
        gold: annotation that the task reads as input, such as the spans between which it finds relations.
    """

    text: Text
    text_pair: Text | None = None
    id: Annotated[str, StringConstraints(strict=True, max_length=1000)] | Annotated[int, Field(strict=True)] | None = (
        None
    )
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    gold: Annotation | None = None


class DocumentsInput(Body):
    """Documents to predict, each as an object or as a text."""

    documents: list[DocumentInput | Text]


class Token(Body):
    """A token of the text: its range in the raw text and in the text after preprocessing."""

    text: str
    start: int
    end: int
    text_start: int
    text_end: int


class WindowRange(Body):
    """The tokens that one input row of the model contains, from `start` to `end`, exclusive.

    Predictions for the tokens from `owned_start` to `owned_end` come from this window.
    """

    start: int
    end: int
    owned_start: int
    owned_end: int


class Explanation(Body):
    """What happened to the text on the way to the model.

    Args:
        text: the text after preprocessing.
        text_pair: the same for the second text.
        edits: the edits of each transform, in the order in which they were made.
        edits_pair: the same for the second text.
        tokens: the tokens of the text. At most 20,000; `all_tokens` is their number.
        all_tokens: the number of tokens.
        tokens_pair: the tokens of the second text, at most 20,000.
        windows: the windows of the text.
    """

    text: str
    text_pair: str | None
    edits: tuple[EditRecord, ...]
    edits_pair: tuple[EditRecord, ...]
    tokens: list[Token]
    all_tokens: int
    tokens_pair: list[Token]
    windows: list[WindowRange]


class DocumentOutput(Body):
    """A predicted document.

    Args:
        id: the id of the request.
        predicted: the prediction. The offsets of spans refer to the text of the request.
        complete: whether the model read every character that is not white space.
        coverage: the part of the text that the model read, with the ranges that it did not read.
        metadata: the metadata of the request; absent if it is empty.
        offsets: the unit of all offsets, if it is not code points.
        explanation: with `explain=true`.
    """

    id: str
    predicted: Annotation
    complete: bool
    coverage: Coverage
    metadata: dict[str, JsonValue] | None = None
    offsets: OffsetUnit | None = None
    explanation: Explanation | None = None


class FailedOutput(Body):
    """A document of a list that could not be predicted; the others were."""

    id: str
    error: str
    error_type: str


class DocumentsOutput(Body):
    """Predicted documents, in the order of the request."""

    documents: list[DocumentOutput | FailedOutput]
    model: str
    revision: str


class ErrorOutput(Body):
    """The body of every error.

    Args:
        error: what is wrong, and what to do.
        error_type: the class of the error.
        request_id: the id of the request, which the log contains too.
    """

    error: str
    error_type: str
    request_id: str


class Limits(Body):
    """The limits of a request; see `ServerSettings`."""

    max_body_bytes: int
    max_characters: int
    max_documents: int
    timeout: float


class ModelInfo(Body):
    """A model of the server.

    Args:
        name: the name in URLs.
        task: the task.
        pipeline_tag: the tag of the task on the Hub.
        labels: the labels, by the name of the head; `""` for a model without heads.
        heads: the names of the heads of a multi-task model.
        needs_pair: whether every document must have a `text_pair`, such as the question of `question-answering`.
        revision: the first 12 digits of the digest of settings, tokenizer and weights.
        backend, dtype, device: how the model runs.
        preprocess, postprocess: the names of the transforms.
        max_length: tokens of a window.
        verified: whether the golden records were replayed when the model was loaded.
        fingerprint: the digests and versions that were recorded when the model was saved.
        card: the model card, in Markdown.
    """

    name: str
    task: str
    pipeline_tag: str
    labels: dict[str, list[str]]
    heads: list[str]
    needs_pair: bool
    revision: str
    backend: str
    dtype: str
    device: str
    preprocess: list[str]
    postprocess: list[str]
    max_length: int
    verified: bool
    fingerprint: dict[str, Any] | None
    card: str | None


class ServerInfo(Body):
    """What runs here."""

    version: str
    default: str
    models: list[ModelInfo]
    limits: Limits


class Health(Body):
    """The state of the server and of each model."""

    status: Literal["ready", "loading", "draining", "failed"]
    models: dict[str, Literal["ready", "loading", "failed"]]
    documents: int
