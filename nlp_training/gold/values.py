"""Named numbers of the complete document: errors are measured in their units."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Task
from nlp_inference.document import Annotation, Document
from nlp_inference.tasks.text_regression import FITTED_SCALINGS
from nlp_training.gold.base import MISSED, Compared, GoldKind, Learnable, Mistake, Value
from nlp_training.metrics import DocumentMetric, ValueErrors, ValuesBootstrap
from nlp_training.metrics.documents import Part, Score

TOO_HIGH = "too high"
TOO_LOW = "too low"


def _values(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return _listed(document.predicted or Annotation()), _listed(gold)


def _listed(annotation: Annotation) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in annotation.values.items()]


class Values(GoldKind):
    """Numbers of the complete document by name, as `Annotation.values`; a document may lack some of them."""

    name = "values"
    noun = "values"
    metric = DocumentMetric(
        main=Part(ValueErrors, _values),
        further={},
        paired=ValuesBootstrap,
        scores=(
            Score("mae", greater_is_better=False),
            Score("rmse", greater_is_better=False),
            Score("r2"),
            Score("pearson"),
            Score("spearman"),
        ),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        TOO_HIGH: "a prediction above gold, the largest errors first",
        TOO_LOW: "a prediction below gold, the largest errors first",
        MISSED: "a gold value that was not predicted",
    }
    pairs_shown = 10
    confuses_labels = False
    learned_settings: ClassVar[tuple[str, ...]] = ("names", "offsets", "scales")

    def open_settings(self, task: type[Task], settings: Mapping[str, Any]) -> list[str]:
        """Return `names`, and the numbers of the scaling if it has some, unless the settings have them."""
        fields = super().open_settings(task, settings)
        scaling = task.model_fields.get("scaling")
        if scaling is None or settings.get("scaling", scaling.default) in FITTED_SCALINGS:
            return fields
        return [field for field in fields if field == "names"]

    def learn_settings(self, golds: Sequence[Annotation], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that occur, and mean and standard deviation, or least number and range, of each value.

        A value that is always the same has scale 1.
        """
        names = list(settings.get("names") or sorted({name for gold in golds for name in gold.values}))
        columns = [np.array([gold.values[name] for gold in golds if name in gold.values]) for name in names]
        least_and_range = settings.get("scaling") == "min_max"
        fitted = [(_range_of if least_and_range else _spread_of)(column) for column in columns]
        return {
            "names": names,
            "offsets": [offset for offset, _ in fitted],
            "scales": [scale for _, scale in fitted],
        }

    def labels(self, gold: Annotation) -> list[str]:
        """Return the names of the values."""
        return list(gold.values)

    def numbers(self, annotation: Annotation) -> Mapping[str, float]:
        """Return the values."""
        return annotation.values

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the names of the values."""
        return [Compared(name) for name in annotation.values]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a value."""
        if gold.values:
            return None
        labels = [*(one.label for one in gold.categories), *(one.label for one in gold.spans)]
        found = f", only {', '.join(map(repr, labels))}" if labels else ""
        return f"has no values{found}. Give at least one number, name its column, or choose a task that learns labels"

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Leave out values whose name the task does not know."""
        known = {name: value for name, value in gold.values.items() if labels is None or name in labels}
        cause = "its name is not among those of the task"
        lost = [(Compared(name), cause) for name in gold.values if name not in known]
        if not known:
            return Learnable(None, lost)
        return Learnable(gold.model_copy(update={"values": known}) if lost else gold, lost)

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare each gold value with the prediction of its name."""
        for name, wanted in gold.values.items():
            found = predicted.values.get(name)
            if found is None:
                yield Mistake(MISSED, Value(name, wanted), None)
                continue
            kind = None if found == wanted else TOO_HIGH if found > wanted else TOO_LOW
            yield Mistake(kind, Value(name, wanted), Value(name, found, score=abs(found - wanted)))


def _spread_of(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation; scale 1 where all numbers are equal."""
    if not len(numbers):
        return 0.0, 1.0
    deviation = float(numbers.std())
    constant = numbers.min() == numbers.max()
    return float(numbers.mean()), 1.0 if constant or deviation == 0 else deviation


def _range_of(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Least number and range; scale 1 where all numbers are equal."""
    if not len(numbers):
        return 0.0, 1.0
    least, greatest = float(numbers.min()), float(numbers.max())
    return least, greatest - least or 1.0
