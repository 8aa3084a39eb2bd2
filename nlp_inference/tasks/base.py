"""What a task is: how gold becomes label ids, and beside it the inverse, how model outputs become an annotation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from numpy.typing import NDArray

from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.words import WordRule
from nlp_inference.registry import Registered, Spec, split_spec

Arrays = Mapping[str, NDArray[Any]]


DELETED = "deleted by preprocessing"
EDGE_CHANGED = "its edge was changed by preprocessing"
UNREAD = "no token of its own"
"""Causes of `LostSpan` for which a transform may be to blame."""


class LostSpan(NamedTuple):
    """A gold span that the task cannot give back, and why."""

    span: Span
    cause: str


class Answered(NamedTuple):
    """A document and what a model answered.

    Attributes:
        encoded: the document.
        rows: its input rows, one for each window; `row.content` is where the window's tokens stand.
        outputs: for each row, the arrays that `Task.outputs` names, without the batch dimension. Axes over tokens may
            go on behind the row, with padding.
    """

    encoded: EncodedDocument
    rows: Sequence[Row]
    outputs: Sequence[Arrays]


class Task(Registered, ABC):
    """A kind of prediction. Subclasses are pydantic models: their fields are saved with the processor.

    A task needs no code elsewhere: it names the class of its model, makes targets for each window, and turns the
    model's outputs for all windows of a document into an `Annotation` in raw coordinates.
    """

    kind = "task"

    auto_model: ClassVar[str]
    """The class that loads its model, of transformers or of `nlp_inference.architectures`."""
    pipeline_tag: ClassVar[str]
    """The task's name on the Hub."""
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    """The model outputs that `decode` reads; each has the rows of the batch as its first axis."""
    needs: ClassVar[str]
    """The kind of gold that it learns from, by its name: `spans`, `category`, ...; see `nlp_training.gold`."""
    flat: ClassVar[bool] = False
    """Whether gold spans must not overlap."""
    own_loss: ClassVar[bool] = False
    """Whether only the loss of its model trains it: others read the id of one class for each row of logits."""
    pair_position: ClassVar[Literal["first", "second"]] = "second"
    """Where the second text of a pair stands in the model's input."""

    @property
    def word_rule(self) -> WordRule:
        """What a word is: where its windows are cut, and what a span begins and ends with."""
        return "unicode"

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let a subclass that decodes otherwise do so for several documents too."""
        super().__pydantic_init_subclass__(**kwargs)
        if "decode" in vars(cls) and "decode_all" not in vars(cls):
            cls.decode_all = Task.decode_all  # type: ignore[method-assign]  # in the place of an inherited one

    @abstractmethod
    def model_settings(self) -> dict[str, Any]:
        """What the configuration of this task's model must say, such as `id2label`."""

    @abstractmethod
    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """What a model is to answer for each window, from the document's gold.

        Args:
            encoded: the document.
            rows: its input rows, one for each window; `row.content` is where the window's tokens stand.

        Returns:
            For each row named arrays, as its model's `forward` takes them, without the batch dimension. In a batch,
            arrays of different shapes are padded with `IGNORED`.

        Raises:
            InvalidDocumentError: the document has no gold, or gold that this task cannot learn from.
        """

    def run(self, model: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the model about a batch; a task whose model generates calls `model.generate` instead."""
        return model(**inputs)

    def condense(self, row: Row, outputs: Arrays) -> Arrays:  # noqa: ARG002 - most outputs are not large
        """What `decode` needs of the outputs for a row, which it takes in their place; for outputs that are large.

        Called on the thread that ran the model, so that a chunk of documents need not hold all of its outputs.
        """
        return outputs

    @abstractmethod
    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """The inverse of `targets`: what the outputs for each window say about the document, in raw coordinates.

        The arguments are those of `Answered`.
        """

    def decode_all(self, answered: Sequence[Answered]) -> list[Annotation]:
        """What `decode` says of each of several documents; a task may find it for all of them at once."""
        return [self.decode(*one) for one in answered]

    @abstractmethod
    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """What a model that makes no mistake would answer for each row: the ceiling of this task."""

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:  # noqa: ARG002 - tasks without spans lose none
        """The gold spans that even a perfect model would not give back exactly, with the cause."""
        return []


def with_words_of_format_1(task: Task | Spec) -> Task | Spec:
    """The specification of a task with the words of the tokenizer, if it leaves them open: they were the default."""
    if isinstance(task, Task):
        return task
    name, value = split_spec(task, kind=Task.kind)
    member = Task.find(name)
    if member is None or "words" not in member.model_fields:
        return task
    fields = value if isinstance(value, Mapping) else {} if value is None else {next(iter(member.model_fields)): value}
    return {name: {"words": "tokenizer", **fields}}
