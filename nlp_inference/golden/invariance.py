"""Invariance of predictions to the order, batch, padding, windows, precision and backend."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from nlp_inference.backends.base import Backend
from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import Item
from nlp_inference.errors import PredictionError
from nlp_inference.golden.findings import Result, compare_results
from nlp_inference.golden.tolerance import tolerance_between
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor

PADDINGS = (1, 7, 64)
"""Numbers of padding tokens that are added to the rows of a batch."""

LARGE_BATCH = 16
"""Factor by which a large batch exceeds the usual token budget."""

_NEIGHBOR = "Dr. Ana Rossi wrote to Bo Lee of 5 Main Street, Rome, on 3 May 2024 about the invoice 0815. " * 4
_EXACT_DTYPE = "float32"


class VariantResult(BaseModel):
    """The differences between the predictions of one variant and the baseline of documents that are predicted alone.

    Attributes:
        variant: the changed condition.
        required: whether the predictions must be equal; if not, a difference is legitimate.
        documents: number of predicted documents.
        differing: ids of the documents whose spans or labels differ, or that fail on one side only.
        only_baseline, only_variant, other_label: number of spans (or other findings) that only one side has, and of
            those that both sides have at the same position under different labels.
        largest_score_difference: greatest score difference of the common findings.
        scores_within: tolerance of scores.
    """

    model_config = ConfigDict(frozen=True)

    variant: str
    required: bool
    documents: int
    differing: tuple[str, ...]
    only_baseline: int
    only_variant: int
    other_label: int
    largest_score_difference: float
    scores_within: float

    @computed_field  # type: ignore[prop-decorator]  # required by pydantic to add a property to the JSON
    @property
    def same(self) -> bool:
        """Whether only scores differ, and only within the tolerance."""
        return not self.differing and self.largest_score_difference <= self.scores_within


class InvarianceReport(BaseModel):
    """The results of all variants."""

    model_config = ConfigDict(frozen=True)

    backend: str
    dtype: str
    variants: tuple[VariantResult, ...]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def ok(self) -> bool:
        """Whether every required variant gives the same predictions."""
        return all(one.same for one in self.variants if one.required)

    @property
    def all_same(self) -> bool:
        """Whether all variants give the same predictions, including those that are not required to."""
        return all(one.same for one in self.variants)


def run_invariance(
    predictor: Predictor, items: Iterable[Item], *, others: Mapping[str, Predictor] | None = None, seed: int = 0
) -> InvarianceReport:
    """Predict the same documents under several conditions, and compare them with documents that are predicted alone.

    In float32, the order, batch size, padding and neighbors must not change a span or a label, nor a score beyond the
    tolerance of `tolerance_of`. The same applies to window offsets if a text fits one window. Other window boundaries
    change the context of a longer text, and another precision changes the arithmetic: these variants are measured, not
    required. If the predictor is not in float32, no variant is required.

    Args:
        predictor: the predictor to examine, whose settings define the baseline.
        items: texts or Documents, as for `Predictor.predict`.
        others: the same model in other precisions or backends, by name, such as `{"bfloat16": ...}`.
        seed: seed of the shuffled order.

    Raises:
        PredictionError: no document could be predicted, so there is nothing to compare.
        ArtefactError: no tolerance is defined for a backend or a precision.
    """
    documents = [_with_id(item, str(number)) for number, item in enumerate(items)]
    experiment = _Experiment(predictor, documents)
    variants = [
        *experiment.orders(seed),
        *experiment.batches(),
        *experiment.paddings(),
        *experiment.neighbors(),
        *experiment.window_offsets(),
        *(
            experiment.compared(name, _predict_all(other, documents), by=other)
            for name, other in (others or {}).items()
        ),
    ]
    return InvarianceReport(backend=predictor.backend.name, dtype=predictor.backend.dtype, variants=tuple(variants))


@dataclass(frozen=True)
class VariedBackend:
    """A wrapper of a backend with another batch size, and with additional padding on the right of every row.

    Args:
        backend: the backend of the model.
        token_budget: tokens of a batch, including padding.
        padding: padding tokens to add to every row, up to `max_length`.
        pad_token_id: padding value of `input_ids`; every other input is padded with zeros.
        max_length: greatest number of tokens that the model reads.
    """

    backend: Backend
    token_budget: int
    padding: int = 0
    pad_token_id: int = 0
    max_length: int = 0

    @property
    def name(self) -> str:
        """See `Backend.name`."""
        return self.backend.name

    @property
    def runs_on(self) -> str:
        """See `Backend.runs_on`."""
        return self.backend.runs_on

    @property
    def dtype(self) -> str:
        """See `Backend.dtype`."""
        return self.backend.dtype

    @property
    def threads(self) -> int:
        """See `Backend.threads`."""
        return self.backend.threads

    def use_threads(self, count: int) -> None:
        """See `Backend.use_threads`."""
        self.backend.use_threads(count)

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        return self.backend.forward({name: self._padded(name, array) for name, array in batch.items()})

    def _padded(self, name: str, array: NDArray[np.int64]) -> NDArray[np.int64]:
        extra = max(0, min(self.padding, self.max_length - array.shape[1]))
        value = self.pad_token_id if name == "input_ids" else 0
        return np.pad(array, ((0, 0), (0, extra)), constant_values=value) if extra else array


class _Experiment:
    """The baseline predictions, and the variants that are compared with them."""

    def __init__(self, predictor: Predictor, documents: Sequence[Item]) -> None:
        self.predictor, self.processor, self.backend = predictor, predictor.processor, predictor.backend
        self.documents = documents
        alone = self._predictor()
        self.baseline: list[Result] = [alone.predict([one], on_error="record")[0] for one in documents]
        _check_any_was_predicted(self.baseline)

    def orders(self, seed: int) -> Iterator[VariantResult]:
        """Predict the documents in other orders."""
        count = len(self.documents)
        shuffled = Random(seed).sample(range(count), count)  # noqa: S311 - not for security
        for name, order in (("reversed order", range(count)[::-1]), ("shuffled order", shuffled)):
            results = _predict_all(self._predictor(), [self.documents[index] for index in order])
            found = dict(zip(order, results, strict=True))
            yield self.compared(name, [found[index] for index in range(count)])

    def batches(self) -> Iterator[VariantResult]:
        """Predict all documents in batches of other sizes."""
        usual = self.predictor.token_budget
        for name, budget in (("one row", 1), ("usual size", usual), ("large", LARGE_BATCH * usual)):
            yield self.compared(f"batches: {name}", _predict_all(self._predictor(token_budget=budget), self.documents))

    def paddings(self) -> Iterator[VariantResult]:
        """Predict with additional padding."""
        for padding in PADDINGS:
            results = _predict_all(self._predictor(padding=padding), self.documents)
            yield self.compared(f"padding: {padding} more", results)

    def neighbors(self) -> Iterator[VariantResult]:
        """Predict each document in a batch between two other texts."""
        predictor = self._predictor(token_budget=LARGE_BATCH * self.predictor.token_budget)
        for name, text in (("short", ""), ("long", _NEIGHBOR)):
            neighbor = self.processor.task.as_probe(Document(id="neighbor", raw_text=text))
            results = [predictor.predict([neighbor, one, neighbor], on_error="record")[1] for one in self.documents]
            yield self.compared(f"neighbors: {name}", results)

    def window_offsets(self) -> Iterator[VariantResult]:
        """Predict with another overlap of the windows, which changes their offsets."""
        results = _predict_all(self.predictor.with_processor(_with_other_overlap(self.processor)), self.documents)
        long = [index for index, one in enumerate(self.baseline) if _windows(one) > 1]
        short = [index for index in range(len(results)) if index not in set(long)]
        yield self.compared("window offsets: texts of one window", results, only=short)
        yield self.compared("window offsets: longer texts", results, only=long, required=False)

    def compared(
        self,
        variant: str,
        results: Sequence[Result],
        *,
        by: Predictor | None = None,
        only: Sequence[int] | None = None,
        required: bool = True,
    ) -> VariantResult:
        """Compare results with the baseline, in the documents at the positions `only`."""
        baseline, other = self.backend, self.backend if by is None else by.backend
        positions = range(len(results)) if only is None else only
        unit = self.processor.task.value_unit
        compared = {index: compare_results(self.baseline[index], results[index], unit=unit) for index in positions}
        return VariantResult(
            variant=variant,
            required=required and baseline.dtype == other.dtype == _EXACT_DTYPE,
            documents=len(compared),
            differing=tuple(str(self.baseline[index].id) for index, one in compared.items() if one.differs),
            only_baseline=sum(one.only_first for one in compared.values()),
            only_variant=sum(one.only_second for one in compared.values()),
            other_label=sum(one.other_label for one in compared.values()),
            largest_score_difference=max((one.score_difference for one in compared.values()), default=0.0),
            scores_within=tolerance_between((baseline.name, baseline.dtype), (other.name, other.dtype)).score,
        )

    def _predictor(self, *, token_budget: int | None = None, padding: int = 0) -> Predictor:
        layout = self.processor.layout
        backend = VariedBackend(
            self.backend,
            token_budget=token_budget or self.predictor.token_budget,
            padding=padding,
            pad_token_id=layout.pad_token_id,
            max_length=layout.max_length,
        )
        return Predictor(self.processor, backend)


def _predict_all(predictor: Predictor, documents: Sequence[Item]) -> list[Result]:
    return list(predictor.stream(documents, on_error="record"))


def _check_any_was_predicted(results: Sequence[Result]) -> None:
    failed = [result for result in results if isinstance(result, FailedDocument)]
    if len(failed) == len(results):
        why = f"; the first failed with {failed[0].error}: {failed[0].description()}" if failed else ""
        raise PredictionError(
            f"none of {len(results)} documents could be predicted, so there is nothing to compare; pass texts that "
            f"the model can read{why}"
        )


def _with_id(item: Item, number: str) -> Item:
    """Return the item with an id that does not depend on the order of the documents."""
    if isinstance(item, str):
        return {"id": number, "raw_text": item}
    return {"id": number, **item} if isinstance(item, Mapping) else item


def _windows(result: Result) -> int:
    coverage = getattr(result, "coverage", None)
    return 0 if coverage is None else int(coverage.windows)


def _with_other_overlap(processor: Processor) -> Processor:
    """Return a processor whose windows overlap by half as many tokens, or by a quarter of a window if that is 0."""
    capacity = processor.layout.capacity(None)
    overlap = processor.windows.overlap_within(capacity)
    other = copy(processor)
    other.windows = processor.windows.model_copy(update={"overlap": overlap // 2 if overlap > 1 else capacity // 4})
    return other
