"""The interface of a stock head: the task that it becomes, and its predictions without this library."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import transformers
from transformers import PreTrainedModel

from nlp_inference import Annotation, Document, Task
from nlp_inference.registry import Spec
from nlp_training.adopt.deduction import Deduction
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel

Classes = Mapping[str, str | tuple[str, ...]]


@dataclass
class HeadPlan:
    """What a head becomes.

    Attributes:
        task: the task.
        model: the loaded model, with the names of its outputs.
        deductions: what was deduced.
        rows: for each output of the task, the row of the model's head, `None` for an output that it lacks; `None`
            keeps the head as it is.
        postprocess: transforms of the prediction that the task needs.
        pairs: whether the model reads text pairs.
        search: fields of the task that the checkpoint states or limits, without those of the user.
    """

    task: Task
    model: PreTrainedModel
    deductions: list[Deduction] = field(default_factory=list)
    rows: tuple[int | None, ...] | None = None
    postprocess: tuple[Spec, ...] = ()
    pairs: bool = False
    search: Mapping[str, Any] = field(default_factory=dict)


class StockPrediction(NamedTuple):
    """What the stock way of using a model predicts for a text.

    Attributes:
        annotation: the prediction, in the form of this library; `None` if it fails.
        error: why it fails; empty otherwise.
        words: for each span, the text that the pipeline returns for it.
        read: how many characters of the text the model read.
        tags: start, end and tag of each token, for a token classifier.
        is_impossible: whether the best outputs are no prediction at all, such as an end before the start.
    """

    annotation: Annotation | None
    error: str = ""
    words: tuple[str, ...] = ()
    read: int = 0
    tags: tuple[tuple[int, int, str], ...] = ()
    is_impossible: bool = False


class StockRoute(ABC):
    """The stock way of using a model: `transformers.pipeline`, or what its documentation does without one."""

    title: ClassVar[str] = "transformers.pipeline"
    """How tables and the page call it."""
    call: str
    """The code that a user would write."""

    @abstractmethod
    def predict(self, document: Document) -> StockPrediction:
        """Predict one text."""


class StockHead(ABC):
    """A stock head of transformers."""

    auto_model: ClassVar[str]
    """The class of transformers that loads its models."""
    tasks: ClassVar[tuple[str, ...]]
    """The tasks that it can become, for messages and `--task`."""

    @property
    def mapping(self) -> Classes:
        """The classes of its models by model type."""
        names = getattr(transformers, self.auto_model)._model_mapping  # noqa: SLF001 - the only table of classes
        found: Classes = names._model_mapping  # noqa: SLF001
        return found

    def has_class(self, name: str) -> bool:
        """Return whether a class of transformers is one of its models."""
        return any(name == one or (isinstance(one, tuple) and name in one) for one in self.mapping.values())

    @abstractmethod
    def plan(self, stock: StockModel, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> HeadPlan:
        """Return the task that a checkpoint becomes.

        Args:
            stock: the checkpoint; its tokenizer has a padding token and a limit.
            options: what the user states.
            texts: documents to measure what the names do not say.

        Raises:
            AmbiguousModelError: something cannot be deduced.
        """

    @abstractmethod
    def route(self, model: PreTrainedModel, stock: StockModel, task: Task) -> StockRoute:
        """Return the stock way of using the model."""


def stock_pipeline(task: str, model: PreTrainedModel, stock: StockModel, **settings: Any) -> Any:
    """Return a pipeline of transformers with the tokenizer as it is saved, on the CPU."""
    make: Any = transformers.pipeline
    return make(task, model=model, tokenizer=stock.untouched, device="cpu", **settings)


def task_with(
    task: type[Task], settings: Mapping[str, Any], options: AdoptOptions, deductions: list[Deduction]
) -> Task:
    """Return a task with the fields that the user sets, and note them.

    Raises:
        InvalidSpecError: a field is unknown, or a value is invalid.
    """
    found = Task.from_spec({task.name: {**settings, **options.settings}})
    deductions.extend(
        Deduction(name, str(value), "as stated", f"--set {name}=…", "given") for name, value in options.settings.items()
    )
    return found
