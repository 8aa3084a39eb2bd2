"""Fields of a task that are fitted to validation documents after the weights were trained, such as thresholds."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from accelerate.utils import broadcast_object_list
from pydantic import BeforeValidator, PlainSerializer

from nlp_inference import Annotation, Document, Predictor, Processor, Task
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.registry import Registered, Spec
from nlp_inference.tasks import DocumentOutputs, TemperatureTask
from nlp_training.batches.streams import in_chunks
from nlp_training.gold import documents_of_head

if TYPE_CHECKING:
    from nlp_training.trainer import DocumentTrainer

_DOCUMENTS_AT_ONCE = 256


class FittingWarning(UserWarning):
    """Validation documents do not suffice to fit something, or to score what was fitted."""


class Fitter(Registered, ABC):
    """Fits some fields of a task to validation documents.

    Subclasses register under their `name`. `Task.fitters` names those that run by default, the section `fit` of a run
    those that run instead. Installed packages register fitters as entry points of the group `nlp_training.fitters`.
    """

    kind = "fitter"

    fields: ClassVar[tuple[str, ...]]
    """The fields of the task that it sets. By default it does not run where the config sets one of them."""

    comes_first: ClassVar[bool] = False
    """Whether it runs before others, because it changes all scores."""

    @abstractmethod
    def check(self, task: Task) -> None:
        """Check that the task has the fields to fit.

        Raises:
            InvalidSpecError: it has not.
        """

    @abstractmethod
    def fit(self, predictor: Predictor, documents: Sequence[Document], *, seed: int) -> Task:
        """Return the task of the predictor with fitted fields.

        Args:
            predictor: the predictor with the trained weights.
            documents: documents with gold, not those of training, because their scores are too certain.
            seed: the seed of the sample, if not all documents are needed.
        """


class HeadFitter(Fitter):
    """Fits the fields of the task of one head, to the documents that annotate it.

    Args:
        head: the name of the head.
        fitter: the fitter of its task, as a specification.

    Example:
        >>> Fitter.from_spec({"head": {"head": "tags", "fitter": "thresholds"}}).fields
        ('tags.threshold', 'tags.thresholds')
    """

    name = "head"

    head: str
    fitter: Annotated[Fitter, BeforeValidator(Fitter.from_spec), PlainSerializer(lambda one: one.to_spec())]

    @property
    def fields(self) -> tuple[str, ...]:  # type: ignore[override]  # they depend on the fitter
        """The fields, each with the name of the head and a dot in front."""
        return tuple(f"{self.head}.{field}" for field in self.fitter.fields)

    @property
    def comes_first(self) -> bool:  # type: ignore[override]  # it depends on the fitter
        """That of the fitter."""
        return self.fitter.comes_first

    def check(self, task: Task) -> None:
        """Check that there is such a head, and that its task has the fields to fit."""
        if self.head not in task.tasks:
            raise InvalidSpecError(f"fit names the head {self.head!r}, but the heads are {', '.join(task.tasks)}")
        self.fitter.check(task.tasks[self.head])

    def fit(self, predictor: Predictor, documents: Sequence[Document], *, seed: int) -> Task:
        """Return the task of the predictor with fitted fields of the head; unchanged if no document annotates it."""
        task = predictor.processor.task
        of_head = documents_of_head(documents, self.head)
        if not of_head:
            warnings.warn(
                f"no validation document has gold for the head {self.head!r}; {', '.join(self.fields)} stay",
                FittingWarning,
                stacklevel=2,
            )
            return task
        view: Any = _PredictorOfHead(predictor, self.head)
        return task.with_tasks({**task.tasks, self.head: self.fitter.fit(view, of_head, seed=seed)})


class _PredictorOfHead:
    """A predictor as the fitter of the task of one head sees it."""

    def __init__(self, predictor: Predictor, head: str) -> None:
        self._predictor, self._head = predictor, head
        self.processor = with_task(predictor.processor, predictor.processor.task.tasks[head])

    def model_outputs(self, documents: Iterable[Document]) -> Iterator[DocumentOutputs]:
        """Run the model, and yield the outputs of the head."""
        task = self._predictor.processor.task
        for one in self._predictor.model_outputs(documents):
            yield one._replace(outputs=[task.model_outputs_of(self._head, row) for row in one.outputs])


def choose_fitters(
    task: Task, names: Sequence[Spec] | None = None, *, calibrate: bool = False, has_validation: bool
) -> tuple[Fitter, ...]:
    """Return what is fitted after training, in order: a temperature comes first, because it changes all scores.

    Args:
        task: as the config describes it.
        names: specifications of fitters; `None` takes those of the task whose fields the config leaves open.
        calibrate: whether to fit a temperature too.
        has_validation: whether there are validation documents; without them nothing is fitted by default.

    Raises:
        InvalidSpecError: a fitter does not suit the task, or there are no documents to fit it to.
        UnknownTypeError: there is no such fitter.

    Example:
        >>> from nlp_inference.tasks import TextClassification
        >>> choose_fitters(TextClassification(labels=("spam", "ham")), calibrate=True, has_validation=True)
        (Temperature(),)
    """
    default = [one for head, of_head in task.tasks.items() for one in _defaults(of_head, head)]
    chosen = list(map(Fitter.from_spec, names)) if names is not None else default if has_validation else []
    if calibrate:
        chosen += _temperatures(task, chosen)
    for one in chosen:
        one.check(task)
    if chosen and not has_validation:
        raise InvalidSpecError(
            f"{chosen[0].name!r} is fitted to validation documents, but there are none; set data.validation, or "
            "remove `calibrate` and `fit` from the config"
        )
    return tuple(sorted(chosen, key=lambda one: not one.comes_first))


def _defaults(task: Task, head: str) -> list[Fitter]:
    """Return the fitters of a task, or of the task of a head, whose fields are left open."""
    found = map(Fitter.from_spec, task.fitters)
    return [_for_head(one, head) for one in found if not task.model_fields_set.intersection(one.fields)]


def _for_head(fitter: Fitter, head: str) -> Fitter:
    return HeadFitter(head=head, fitter=fitter) if head else fitter


def _temperatures(task: Task, chosen: Sequence[Fitter]) -> list[Fitter]:
    """Return the fitters of temperatures that are not chosen yet: of the task, or of each head that has one."""
    temperature = Fitter.from_spec("temperature")
    if not any(head for head in task.tasks):
        return [] if any(one.name == temperature.name for one in chosen) else [temperature]
    fields = {field for one in chosen for field in one.fields}
    found: list[Fitter] = []
    for head, of_head in task.tasks.items():
        if not isinstance(of_head, TemperatureTask):
            continue
        if f"{head}.temperature" not in fields:
            found.append(HeadFitter(head=head, fitter=temperature))
    if not found and not fields:
        temperature.check(next(iter(task.tasks.values())))  # no head has a temperature, so that it raises
    return found


def fit_task(
    trainer: "DocumentTrainer", fitters: Sequence[Fitter], documents: Sequence[Document], *, seed: int
) -> Task:
    """Fit the task to the current weights. The trainer evaluates and saves with the result from then on.

    Every process must call this; the main process predicts.

    Args:
        trainer: the trainer after training.
        fitters: see `choose_fitters`.
        documents: validation documents with gold.
        seed: of the documents that are drawn.

    Returns:
        The fitted task.
    """
    for fitter in fitters:
        fields: list[dict[str, Any] | None] = [None]
        if trainer.is_world_process_zero():
            with trainer.serving() as predictor:
                fields = [fitter.fit(predictor, documents, seed=seed).model_dump()]
        task = type(trainer.processor.task).from_value(broadcast_object_list(fields)[0])
        trainer.processor = trainer.processing_class = with_task(trainer.processor, task)
    return trainer.processor.task


class Decoded(NamedTuple):
    """A validation document after decoding, before postprocessing.

    Attributes:
        outputs: the model outputs.
        document: with `predicted`.
        gold: what the outputs are compared with.
    """

    outputs: DocumentOutputs
    document: Document
    gold: Annotation


def decode_validation(
    predictor: Predictor, processor: Processor, documents: Sequence[Document], *, fitted: str
) -> Iterator[Decoded]:
    """Run the model once on validation documents, and decode its outputs.

    Args:
        predictor: runs the model.
        processor: decodes; that of the predictor, or one with another task.
        documents: documents with gold.
        fitted: what is fitted, for error messages, such as `a threshold`.

    Raises:
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        outputs = list(predictor.model_outputs(chunk))
        for one, document in zip(outputs, processor.interpret_outputs(outputs), strict=True):
            if (gold := one.encoded.document.gold) is None:
                raise InvalidDocumentError(f"document {document.id!r} has no gold to fit {fitted} to")
            yield Decoded(one, document, gold)


def mark_fitted(metrics: Mapping[str, dict[str, Any]], fitters: Sequence[Fitter], *, split: str = "validation") -> None:
    """Note under `fitted`, in the scores of the documents that fields were fitted to, which fields those are.

    Args:
        metrics: scores by data set; those of `split` are changed.
        fitters: what was fitted.
        split: the data set that it was fitted to.

    Example:
        >>> metrics = {"validation": {"f1": 0.9}, "test": {"f1": 0.8}}
        >>> mark_fitted(metrics, [Fitter.from_spec("temperature")])
        >>> metrics
        {'validation': {'f1': 0.9, 'fitted': ['temperature']}, 'test': {'f1': 0.8}}
    """
    if fitters and split in metrics:
        metrics[split]["fitted"] = [field for one in fitters for field in one.fields]


def with_task(processor: Processor, task: Task) -> Processor:
    """Return the same processor with another task of the same labels."""
    other = copy(processor)
    other.task = task
    return other
