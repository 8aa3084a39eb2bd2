"""Numbers for the whole text, such as a rating or the similarity of two texts."""

from collections.abc import Mapping, Sequence
from math import floor
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, field_validator, model_validator

from nlp_inference.document import Annotation
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.windows import Pooling
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, DocumentOutputs, Task
from nlp_inference.tasks.labels import check_labels, label_settings

Scaling = Literal["none", "standard", "min_max", "log1p"]
"""How numbers become the targets of the model, which is trained best on targets near 0.

`standard` subtracts the mean and divides by the standard deviation, `min_max` maps the least number to 0 and the
greatest to 1, `log1p` takes `log(1 + y)` of numbers above -1 such as counts and prices, and `none` changes nothing.
"""

FITTED_SCALINGS: tuple[Scaling, ...] = ("standard", "min_max")
"""The scalings that have `offsets` and `scales`."""

Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_FARTHEST_BIN = 20
"""Halves of a unit beyond which all values are in one bin."""

_GREATEST_EXPONENT = 700.0
"""`expm1` of more than this is no finite number."""


class TextRegression(Task):
    """Predict one number or several for a text, or for a pair of texts, as `Annotation.values`.

    A document may lack some of the values: these give no loss. Predictions are in the units of the gold. No sigmoid is
    applied: the model learns by the mean squared error (problem type "regression" of transformers), and its outputs
    are not limited to a range.

    Args:
        names: the names of the values; one unnamed number is called `score` by the readers of data.
        pooling: how the outputs for several windows become those of the text: their `mean`, each window weighted by
            the tokens that it owns; their `max`, value by value; or those of the `first` window. Outputs are pooled
            before the scaling is reversed.
        symmetric: whether a text pair is read in both orders, in training too; the outputs are then their mean, so that
            the prediction does not depend on the order.
        scaling: `standard`, `min_max`, `log1p` or `none`; see `Scaling`.
        offsets: what is subtracted from each value, in the order of `names`. Training takes it from its documents.
        scales: what the difference is divided by, in the order of `names`. Training takes it from its documents.

    Example:
        >>> task = TextRegression(names=("score",), offsets=(2.5,), scales=(2,))
        >>> task.to_targets({"score": 3.5}).tolist(), task.to_values(np.float32([0.5]))
        ([0.5], {'score': 3.5})
    """

    name = "text-regression"
    auto_model = "AutoModelForSequenceClassification"
    encoder_head = "text"
    pipeline_tag = "text-classification"
    pools_windows = True
    needs = "values"
    default_loss: ClassVar[str | None] = "mean_squared_error"

    names: tuple[str, ...]
    pooling: Pooling = "mean"
    symmetric: bool = False
    scaling: Scaling = "standard"
    offsets: tuple[FiniteFloat, ...] | None = None
    scales: tuple[Scale, ...] | None = None

    _check_names = field_validator("names")(check_labels)

    @model_validator(mode="after")
    def _check_scaling(self) -> Self:
        """Require the numbers of a scaling that has some, and refuse them for one that has none."""
        for field, numbers in (("offsets", self.offsets), ("scales", self.scales)):
            if self.scaling not in FITTED_SCALINGS and numbers is not None:
                raise ValueError(f"scaling {self.scaling!r} has no {field}; leave {field} out")
            if self.scaling in FITTED_SCALINGS and (numbers is None or len(numbers) != len(self.names)):
                raise ValueError(
                    f"scaling {self.scaling!r} needs {field} with a number for each of names {self.names!r}, and has "
                    f"{numbers!r}; set them, or set scaling: none"
                )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The names, by which checks of data find values that the task does not know."""
        return self.names

    @property
    def names_one_label(self) -> bool:
        """Whether there is only one value."""
        return len(self.names) == 1

    def model_settings(self) -> dict[str, Any]:
        """`num_labels`, the names of the values, and the problem type "regression"."""
        return {**label_settings(self.names), "problem_type": "regression"}

    def gold_problem(self, gold: Annotation) -> str | None:
        """Refuse gold with none of the values, and values that the scaling cannot read."""
        values = {name: gold.values[name] for name in self.names if name in gold.values}
        if not values:
            return f"has none of the values {', '.join(map(repr, self.names))}; {self.name} learns from at least one"
        wrong = next((name for name, value in values.items() if self.scaling == "log1p" and value <= -1), None)
        if wrong is None:
            return None
        return (
            f"has the value {wrong!r} {values[wrong]!r}, and scaling 'log1p' reads values above -1; choose another "
            "scaling"
        )

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[names]`, float32: the scaled values for each window, NaN where a value is not annotated.

        Raises:
            InvalidDocumentError: the document has none of the values, or one that cannot be scaled.
        """
        labels = self.to_targets(self._gold_values(encoded)).astype(np.float32)
        return [{"labels": labels} for _ in rows]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """The scaled values, in float64; 0 where a value is not annotated."""
        logits = np.nan_to_num(self.to_targets(self._gold_values(encoded)), nan=0.0)
        return [{"logits": logits} for _ in rows]

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """The values in the units of the gold."""
        logits = DocumentOutputs(encoded, rows, outputs).of_text("logits", self.pooling)
        return Annotation(values=self.to_values(logits))

    def to_targets(self, values: Mapping[str, float]) -> NDArray[np.float64]:
        """`[names]`: scaled values, NaN where there is none.

        Args:
            values: by name, in the units of the gold.
        """
        raw = np.array([values.get(name, np.nan) for name in self.names], dtype=np.float64)
        if self.scaling == "log1p":
            return np.log1p(raw)
        return raw if self.offsets is None else (raw - np.array(self.offsets)) / np.array(self.scales)

    def to_values(self, logits: NDArray[np.floating]) -> dict[str, float]:
        """Return the values of each name, in the units of the gold: the inverse of `to_targets`.

        Args:
            logits: `[names]`, scaled values.
        """
        raw = logits.astype(np.float64)
        if self.scaling == "log1p":
            raw = np.expm1(np.minimum(raw, _GREATEST_EXPONENT))
        elif self.offsets is not None:
            raw = raw * np.array(self.scales) + np.array(self.offsets)
        return dict(zip(self.names, raw.tolist(), strict=True))

    def value_unit(self, name: str, value: float) -> float:
        """Return by how much a value changes if its output changes by 1, or by its own size if that is above 1."""
        if name not in self.names:
            return 1.0
        output = abs(self._output(name, value))
        if self.scaling == "log1p":
            return (1 + max(value, 0.0)) * max(1.0, output)
        scale = 1.0 if self.scales is None else self.scales[self.names.index(name)]
        return scale * max(1.0, output)

    def value_bin(self, name: str, value: float) -> str:
        """Return the range of a value: half a unit of its output, where values are scaled."""
        if self.scaling == "none" or name not in self.names:
            return super().value_bin(name, value)
        number = min(max(floor(2 * self._output(name, value)), -_FARTHEST_BIN), _FARTHEST_BIN)
        index = self.names.index(name)
        ends = [self.to_values(np.full(len(self.names), end / 2)) for end in (number, number + 1)]
        low, high = (f"{one[self.names[index]]:.4g}" for one in ends)
        return f"{low} to {high}"

    def _output(self, name: str, value: float) -> float:
        """The scaled value; that of a value below -1, which `log1p` does not scale, is that of -1 nearly."""
        value = max(value, -0.999) if self.scaling == "log1p" else value
        return float(self.to_targets({name: value})[self.names.index(name)])

    def _gold_values(self, encoded: EncodedDocument) -> dict[str, float]:
        document = encoded.document
        gold = document.gold.values if document.gold is not None else {}
        problem = self.gold_problem(document.gold or Annotation())
        if problem is not None:
            raise InvalidDocumentError(f"document {document.id!r} {problem}")
        return gold
