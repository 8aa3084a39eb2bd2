"""The interface of a task: gold to targets for training, and model outputs to an annotation for prediction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.pair_windows import mean_of_orders, row_weights
from nlp_inference.encoding.windows import Pooling, pool, stitch
from nlp_inference.encoding.words import WordRule
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Registered, Spec, split_spec
from nlp_inference.tasks.numeric import relative_bin

Arrays = Mapping[str, NDArray[Any]]


DELETED = "deleted by preprocessing"
EDGE_CHANGED = "its edge was changed by preprocessing"
UNREAD = "no token of its own"
"""Causes of `LostSpan` that a transform may be responsible for."""


_QUESTION = "Where does Ana live?"
"""The text pair of probes."""


class LostSpan(NamedTuple):
    """A gold span that the task cannot reproduce, the cause, and the head that it belongs to (empty without heads)."""

    span: Span
    cause: str
    head: str = ""


class LostRelation(NamedTuple):
    """A gold relation that the task cannot reproduce, with its spans, and the cause."""

    label: str
    head: Span
    tail: Span
    cause: str


class DocumentOutputs(NamedTuple):
    """The model outputs for a document.

    Attributes:
        encoded: the document.
        rows: its input rows, one for each window; `row.content` is the position of the window's tokens in the row.
        outputs: for each row, the arrays that `Task.outputs` names, without the batch dimension. Axes over tokens may
            be longer than the row, because of padding.
    """

    encoded: EncodedDocument
    rows: Sequence[Row]
    outputs: Sequence[Arrays]

    def of_tokens(self, name: str) -> NDArray[Any]:
        """Join an output with a row for each token over all windows, `[tokens, ...]`; see `stitch`."""
        content = [output[name][row.content] for row, output in zip(self.rows, self.outputs, strict=True)]
        return stitch(self.encoded.windows, content)

    def of_text(self, name: str, pooling: Pooling) -> NDArray[Any]:
        """Combine an output that describes a complete window over all windows, `[...]`; see `pool`."""
        outputs, windows = [output[name] for output in self.outputs], self.encoded.windows
        pairs = self.encoded.pair_windows
        if pairs is None:
            return pool(windows, outputs, pooling=pooling)
        outputs = mean_of_orders(outputs, pairs)
        count = len(outputs)
        return pool(windows[:count], outputs, pooling=pooling, weights=row_weights(windows[:count], pairs[:count]))


class Task(Registered, ABC):
    """A kind of prediction. Subclasses are pydantic models: their fields are saved with the processor.

    A task needs no code elsewhere: it names the class of its model, makes targets for each window, and turns the
    model outputs for all windows of a document into an `Annotation` in raw coordinates.
    """

    kind = "task"

    auto_model: ClassVar[str]
    """The class that loads its model, of transformers or of `nlp_inference.architectures`."""
    pipeline_tag: ClassVar[str]
    """The name of the task on the Hub."""
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    """The model outputs that `decode` reads; the first axis of each is the rows of the batch."""
    needs: ClassVar[Spec]
    """The kind of gold that it learns from, by name: `spans`, `category`, ...; see `nlp_training.gold`. A task whose
    kind depends on its fields overrides it with a property that returns a specification."""
    encoder_head: ClassVar[str | None] = None
    """The head on a shared encoder that predicts it in a `multi-task` model: `text`, `token`, `crf` or `span`; see
    `nlp_inference.architectures.heads`. `None`: it needs a separate model."""
    fitters: ClassVar[tuple[str, ...]] = ()
    """What training fits to validation documents after the weights, by name; see `nlp_training.evaluation.fitting`."""
    selection_score: ClassVar[str | None] = None
    """The score by which training chooses the best weights; `None` takes the first one of its kind of gold. A task
    whose thresholds are fitted after training needs a score that does not depend on them."""
    flat: ClassVar[bool] = False
    """Whether gold spans must not overlap."""
    own_loss: ClassVar[bool] = False
    """Whether only the loss of its model can train it. The losses of `nlp_training.losses` train all other tasks."""
    default_loss: ClassVar[str | None] = None
    """The loss of `nlp_training.losses` that trains it unless the config names one; `None`: that of its model."""
    needs_pair: ClassVar[bool] = False
    """Whether every document must have a text pair, such as the question of `question-answering`."""
    pair_position: ClassVar[Literal["first", "second"]] = "second"
    """Position of the text pair in the model input."""
    has_pipeline: ClassVar[bool] = True
    """Whether a stock pipeline of transformers returns predictions of this kind, which `as_pipeline` then returns."""
    settings_of_new_models: ClassVar[Mapping[str, Any]] = {}
    """Settings of a new run that its config leaves open; the defaults of the fields are those of earlier models."""
    default_overlap: ClassVar[int | None] = None
    """Tokens that consecutive windows share if the settings do not say it; `None` means a quarter of a window."""
    not_exportable: ClassVar[str | None] = None
    """Why its models cannot be exported to another backend, as the end of "a model of the task ..."; else `None`."""

    @property
    def text_prefix(self) -> str:
        """A text that the model reads before every window. It is no part of the document, and has no offsets."""
        return ""

    pools_windows: ClassVar[bool] = False
    """Whether each output and each target describes a complete window: either text of a pair can be split, and training
    can weigh documents alike, however many windows they have."""

    @property
    def reads_both_orders(self) -> bool:
        """Whether a text pair is read in both orders, and the outputs are their mean; the field `symmetric`."""
        return bool(getattr(self, "symmetric", False))

    @property
    def word_rule(self) -> WordRule:
        """The definition of a word: windows are cut between words, and spans start and end at their edges."""
        return "unicode"

    @property
    def tasks(self) -> Mapping[str, "Task"]:
        """The tasks that this one consists of, by the name of their head; a task without heads is the only one, `""`.

        `Annotation.head` returns the annotation of each.
        """
        return {"": self}

    @classmethod
    def task_specs(cls, settings: Mapping[str, Any]) -> Mapping[str, Spec]:  # noqa: ARG003 - most tasks have none
        """Return the specifications of the tasks that its settings contain, by the name of their head."""
        return {}

    @classmethod
    def with_task_specs(cls, settings: Mapping[str, Any], specs: Mapping[str, Spec]) -> dict[str, Any]:  # noqa: ARG003
        """Return settings with other specifications of their tasks."""
        return dict(settings)

    def with_tasks(self, tasks: Mapping[str, "Task"]) -> "Task":
        """Return this task with other fields of the tasks that it consists of; see `tasks`."""
        return tasks[""]

    def only(self, heads: Iterable[str]) -> "Task":
        """Return this task with some of its heads, which decodes nothing else.

        Raises:
            InvalidSpecError: the task has no heads, or not these.
        """
        raise InvalidSpecError(f"heads is {list(heads)!r}, but the task {self.name!r} has no heads; leave heads out")

    def model_outputs_of(self, head: str, outputs: Arrays) -> Arrays:  # noqa: ARG002 - most tasks have no heads
        """Return the model outputs for a row that one of its `tasks` reads, under the names that it knows."""
        return outputs

    @property
    def names_one_label(self) -> bool:
        """Whether each prediction has exactly one category or value, so that pipelines return it without a list."""
        return getattr(self, "top_k", None) == 1

    @property
    def longest_output(self) -> int:
        """The most tokens that its model writes for a row; 0 for a model that writes none."""
        return 0

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Replace an inherited `decode_all` where a subclass overrides only `decode`."""
        super().__pydantic_init_subclass__(**kwargs)
        if "decode" in vars(cls) and "decode_all" not in vars(cls):
            cls.decode_all = Task.decode_all  # type: ignore[method-assign]  # in the place of an inherited one

    def input_problem(self, document: Document) -> str | None:
        """Say what a document lacks in addition to its text, as the end of "document ..."; `None` if it is complete."""
        if not self.needs_pair or document.raw_text_pair is not None:
            return None
        return (
            f"has no text pair, which the task {self.name!r} needs; give it as `text_pair` (or `question`, next to "
            "`context`)"
        )

    def as_input(self, document: Document) -> Document:
        """Return a document with gold as a caller of a prediction supplies it: by default without any annotation."""
        return document.unannotated()

    def as_probe(self, document: Document) -> Document:
        """Add to a text what the task needs in addition, made up, so that the model can run on any text."""
        if not self.needs_pair or document.raw_text_pair is not None:
            return document
        return document.model_copy(update={"raw_text_pair": _QUESTION})

    def complete_gold(self, gold: Annotation) -> Annotation:
        """Add to gold what follows from it, so that it contains all that a perfect prediction contains."""
        return gold

    def given_in(self, encoded: EncodedDocument) -> list[NDArray[np.int64]] | None:  # noqa: ARG002 - most need none
        """Return for each window what the document supplies and `condense` reads as `row.given`; `None` for nothing."""
        return None

    @abstractmethod
    def model_settings(self) -> dict[str, Any]:
        """Return what the config of this task's model must contain, such as `id2label`."""

    def head_bias(self, counts: Mapping[str, int], *, documents: int) -> NDArray[np.float32] | None:  # noqa: ARG002
        """Return the bias that the last layer of a new head starts with, `[labels]`; `None` keeps that of the model.

        Args:
            counts: for each label, how many training documents have it.
            documents: how many training documents have gold.
        """
        return None

    @abstractmethod
    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return the training targets of each window, from the gold of the document.

        Args:
            encoded: the document.
            rows: its input rows, one for each window; `row.content` is the position of the window's tokens in the row.

        Returns:
            For each row named arrays, as the model's `forward` takes them, without the batch dimension. In a batch,
            arrays of different shapes are padded with `IGNORED`, those of floats with NaN.

        Raises:
            InvalidDocumentError: the document has no gold, or gold that this task cannot learn from.
        """

    def gold_problem(self, gold: Annotation) -> str | None:  # noqa: ARG002 - most tasks accept what their kind does
        """Say why this task cannot learn from gold that its kind accepts, as the end of "document ..."; else `None`."""
        return None

    def encoding_problem(self, encoded: EncodedDocument) -> str | None:  # noqa: ARG002 - most tasks read every input
        """Say why this task cannot read a document, as the end of "document ..."; else `None`."""
        return None

    def target_problem(self, encoded: EncodedDocument) -> str | None:  # noqa: ARG002 - most tasks learn from windows
        """Say why this task cannot be trained on a document that it can read, as the end of "document ..."."""
        return None

    def prepare_model(self, model: Any, tokenizer: Any) -> None:
        """Change a model before it is trained, in addition to `model_settings`.

        Args:
            model: the base model with a head, of transformers.
            tokenizer: the tokenizer of the processor.
        """

    def decoder_inputs(self, model: Any, labels: Any) -> dict[str, Any]:  # noqa: ARG002 - most models have no decoder
        """Return what the model reads of the targets in training, in addition to the inputs of prediction.

        Args:
            model: without wrappers of training.
            labels: `[rows, tokens]`, a tensor, `IGNORED` where there is no target.
        """
        return {}

    def run(self, model: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the model on a batch; a task whose model generates calls `model.generate` instead."""
        return model(**inputs)

    def probe(self, model: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the model once on a batch, for the test whether outputs depend on padding; `run`, unless that is slow."""
        outputs = self.run(model, inputs)
        return {name: outputs[name] for name in self.outputs}

    def row_tokens(self, row: Row) -> int:
        """Return how many tokens of a batch's budget a row takes: those that it has, unless its outputs are long."""
        return len(row.input_ids)

    def condense(self, row: Row, outputs: Arrays) -> Arrays:  # noqa: ARG002 - most outputs are small
        """Reduce the outputs for a row to what `decode` needs, for outputs that are large.

        `decode` receives the result in place of the outputs. Called on the thread that ran the model, so that a chunk
        of documents does not keep all outputs in memory.
        """
        return outputs

    @abstractmethod
    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Turn the outputs for all windows of a document into its annotation, in raw coordinates.

        This is the inverse of `targets`. The arguments are the attributes of `DocumentOutputs`.
        """

    def decode_all(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Decode several documents. Override it where decoding them together is faster than one by one."""
        return [self.decode(*one) for one in outputs]

    @abstractmethod
    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return the outputs for each row of a model that makes no mistake: the ceiling of this task."""

    def value_unit(self, name: str, value: float) -> float:  # noqa: ARG002 - most tasks scale nothing
        """Return the unit in which differences of a predicted value are compared with tolerances of model outputs.

        Args:
            name: of the value.
            value: as predicted.
        """
        return 1.0

    def value_bin(self, name: str, value: float) -> str:  # noqa: ARG002 - most tasks know no usual size
        """Return the name of the bin of a predicted value in the drift profile: of any size, a quarter of an octave.

        Args:
            name: of the value.
            value: as predicted.

        Example:
            >>> from nlp_inference.tasks import TextClassification
            >>> TextClassification(labels=("a",)).value_bin("score", 5.5)
            '5 to 6'
        """
        return relative_bin(value)

    def lost_cause(self, encoded: EncodedDocument) -> str | None:  # noqa: ARG002 - most tasks lose spans or nothing
        """Return why even a perfect model would not reproduce the gold of the complete document; else `None`."""
        return None

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:  # noqa: ARG002 - tasks without spans lose none
        """Return the gold spans that even a perfect model would not reproduce exactly, with the cause."""
        return []

    def lost_relations(self, encoded: EncodedDocument) -> list[LostRelation]:  # noqa: ARG002 - most tasks have none
        """Return the gold relations that even a perfect model would not reproduce, with the cause."""
        return []


class BatchDecodedTask(Task, ABC):
    """A task that decodes several documents as one array, which is faster than one by one.

    Subclasses implement `_decode_batch`. `decode` and `decode_all` never call each other, so that a class that
    overrides `decode` and calls `super().decode` decodes so in batches, too.
    """

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Turn the outputs for all windows of a document into its annotation; see `Task.decode`."""
        return self._decode_batch([DocumentOutputs(encoded, rows, outputs)])[0]

    def decode_all(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Decode several documents as one array."""
        return self._decode_batch(outputs) if outputs else []

    @abstractmethod
    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the annotation of each document, in raw coordinates; there is at least one."""


def with_words_of_format_1(task: Task | Spec) -> Task | Spec:
    """Return the specification of a task with `words: tokenizer`, the default of format 1, unless it sets `words`."""
    if isinstance(task, Task):
        return task
    name, value = split_spec(task, kind=Task.kind)
    member = Task.find(name)
    if member is None or "words" not in member.model_fields:
        return task
    fields = value if isinstance(value, Mapping) else {} if value is None else {next(iter(member.model_fields)): value}
    return {name: {"words": "tokenizer", **fields}}
