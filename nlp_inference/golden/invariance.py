"""The same texts in other orders, batches, paddings, windows, precisions and backends: does the prediction stay?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from nlp_inference.backends.base import Backend
from nlp_inference.document import FailedDocument
from nlp_inference.document.inputs import Item
from nlp_inference.errors import PredictionError
from nlp_inference.golden.findings import Result, compare_results
from nlp_inference.golden.tolerance import tolerance_between
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor

PADDINGS = (1, 7, 64)
"""By how many tokens rows are padded beyond what their batch needs."""

LARGE_BATCH = 16
"""How many times the usual tokens a large batch holds."""

_NEIGHBOUR = "Dr. Ana Rossi wrote to Bo Lee of 5 Main Street, Rome, on 3 May 2024 about the invoice 0815. " * 4
_EXACT_DTYPE = "float32"


class VariantResult(BaseModel):
    """How far the predictions of one variant are from those of every document by itself.

    Attributes:
        variant: what was done differently.
        required: whether there must be no difference; if not, the difference has a reason that is not a fault.
        documents: how many were predicted.
        differing: the ids of those whose spans or labels differ, or that fail on one side only.
        only_baseline, only_variant, other_label: spans, or other findings, that one side has alone, and those that both
            have in the same place under different labels.
        largest_score_difference: of what both found.
        scores_within: how far scores may lie apart.
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

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way to have a property in the JSON
    @property
    def same(self) -> bool:
        """Whether nothing differs but scores, and these by no more than is allowed."""
        return not self.differing and self.largest_score_difference <= self.scores_within


class InvarianceReport(BaseModel):
    """All variants, and whether those that must not differ do not."""

    model_config = ConfigDict(frozen=True)

    backend: str
    dtype: str
    variants: tuple[VariantResult, ...]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def ok(self) -> bool:
        """Whether every variant that must give the same does."""
        return all(one.same for one in self.variants if one.required)

    @property
    def all_same(self) -> bool:
        """Whether all variants give the same, also those that need not."""
        return all(one.same for one in self.variants)


def run_invariance(
    predictor: Predictor, items: Iterable[Item], *, others: Mapping[str, Predictor] | None = None, seed: int = 0
) -> InvarianceReport:
    """Predict the same documents in many ways, and compare each with every document predicted by itself.

    In float32 neither order nor batch size, padding or neighbours may change a span or a label, nor a score by more
    than `tolerance_of` says, and nor may the windows' offsets where a text fits one window. A longer text that is cut
    in other places is read in another context, and another precision is other arithmetic: these are measured, not
    required. So is everything if the predictor itself is not in float32.

    Args:
        predictor: what to examine; its own settings are the baseline's.
        items: texts or Documents, as `Predictor.predict` takes them.
        others: the same model by other names, such as `{"bfloat16": ...}`: in other precisions or backends.
        seed: of the shuffled order.

    Raises:
        PredictionError: there is no document that could be predicted, and so nothing to compare.
        ArtefactError: no tolerance is stated for a backend or a precision.
    """
    documents = [_with_id(item, str(number)) for number, item in enumerate(items)]
    experiment = _Experiment(predictor, documents)
    variants = [
        *experiment.orders(seed),
        *experiment.batches(),
        *experiment.paddings(),
        *experiment.neighbours(),
        *experiment.window_offsets(),
        *(
            experiment.compared(name, _predict_all(other, documents), by=other)
            for name, other in (others or {}).items()
        ),
    ]
    return InvarianceReport(backend=predictor.backend.name, dtype=predictor.backend.dtype, variants=tuple(variants))


@dataclass(frozen=True)
class VariedBackend:
    """The same model in batches of another size, with further padding on the right of every row.

    Args:
        backend: runs the model.
        token_budget: tokens of a batch, padding included.
        padding: tokens to add to every row of a batch, where the model reads that many.
        pad_token_id: what to pad `input_ids` with; every other input is padded with zeros.
        max_length: tokens that the model reads.
    """

    backend: Backend
    token_budget: int
    padding: int = 0
    pad_token_id: int = 0
    max_length: int = 0

    @property
    def name(self) -> str:
        """That of the model's own backend."""
        return self.backend.name

    @property
    def runs_on(self) -> str:
        """What the model's own backend computes on."""
        return self.backend.runs_on

    @property
    def dtype(self) -> str:
        """That of the model's own backend."""
        return self.backend.dtype

    @property
    def threads(self) -> int:
        """Those of the model's own backend."""
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
    """The baseline, and the variants to compare with it."""

    def __init__(self, predictor: Predictor, documents: Sequence[Item]) -> None:
        self.predictor, self.processor, self.backend = predictor, predictor.processor, predictor.backend
        self.documents = documents
        alone = self._predictor()
        self.baseline: list[Result] = [alone.predict([one], on_error="record")[0] for one in documents]
        _check_any_was_predicted(self.baseline)

    def orders(self, seed: int) -> Iterator[VariantResult]:
        """The documents in other orders."""
        count = len(self.documents)
        shuffled = Random(seed).sample(range(count), count)  # noqa: S311 - no secret
        for name, order in (("reversed order", range(count)[::-1]), ("shuffled order", shuffled)):
            results = _predict_all(self._predictor(), [self.documents[place] for place in order])
            found = dict(zip(order, results, strict=True))
            yield self.compared(name, [found[place] for place in range(count)])

    def batches(self) -> Iterator[VariantResult]:
        """All documents together, in batches of other sizes."""
        usual = self.predictor.token_budget
        for name, budget in (("one row", 1), ("usual size", usual), ("large", LARGE_BATCH * usual)):
            yield self.compared(f"batches: {name}", _predict_all(self._predictor(token_budget=budget), self.documents))

    def paddings(self) -> Iterator[VariantResult]:
        """Rows padded further than their batch needs."""
        for padding in PADDINGS:
            results = _predict_all(self._predictor(padding=padding), self.documents)
            yield self.compared(f"padding: {padding} more", results)

    def neighbours(self) -> Iterator[VariantResult]:
        """Each document in a batch between two others, which are not of the file."""
        predictor = self._predictor(token_budget=LARGE_BATCH * self.predictor.token_budget)
        for name, neighbour in (("short", ""), ("long", _NEIGHBOUR)):
            results = [predictor.predict([neighbour, one, neighbour], on_error="record")[1] for one in self.documents]
            yield self.compared(f"neighbours: {name}", results)

    def window_offsets(self) -> Iterator[VariantResult]:
        """Windows that overlap by another number of tokens, so that they begin elsewhere."""
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
        """What differs from the baseline, in the documents at the positions `only`."""
        mine, other = self.backend, self.backend if by is None else by.backend
        places = range(len(results)) if only is None else only
        unit = self.processor.task.value_unit
        compared = {place: compare_results(self.baseline[place], results[place], unit=unit) for place in places}
        return VariantResult(
            variant=variant,
            required=required and mine.dtype == other.dtype == _EXACT_DTYPE,
            documents=len(compared),
            differing=tuple(str(self.baseline[place].id) for place, one in compared.items() if one.differs),
            only_baseline=sum(one.only_first for one in compared.values()),
            only_variant=sum(one.only_second for one in compared.values()),
            other_label=sum(one.other_label for one in compared.values()),
            largest_score_difference=max((one.score_difference for one in compared.values()), default=0.0),
            scores_within=tolerance_between((mine.name, mine.dtype), (other.name, other.dtype)).score,
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
        why = f"; the first, {failed[0].id!r}, failed of {failed[0].error}: {failed[0].message}" if failed else ""
        raise PredictionError(
            f"none of {len(results)} documents could be predicted, so that nothing can be compared; give texts that "
            f"the model can read{why}"
        )


def _with_id(item: Item, number: str) -> Item:
    """The item under a name that does not depend on its place among others."""
    if isinstance(item, str):
        return {"id": number, "raw_text": item}
    return {"id": number, **item} if isinstance(item, Mapping) else item


def _windows(result: Result) -> int:
    coverage = getattr(result, "coverage", None)
    return 0 if coverage is None else int(coverage.windows)


def _with_other_overlap(processor: Processor) -> Processor:
    """A processor whose windows overlap by half as many tokens, or by a quarter of a window if that is none."""
    capacity = processor.layout.capacity(None)
    overlap = processor.windows.overlap_within(capacity)
    other = copy(processor)
    other.windows = processor.windows.model_copy(update={"overlap": overlap // 2 if overlap > 1 else capacity // 4})
    return other
