"""Tasks whose scores are probabilities of a softmax, which one number can calibrate."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nlp_inference.encoding import EncodedDocument
from nlp_inference.layout import Row
from nlp_inference.tasks.base import Arrays, Task

Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""What logits are divided by before a softmax (Guo et al., 2017, https://proceedings.mlr.press/v70/guo17a.html).

Above 1 all answers become less certain, below 1 more; which answer is best does not change.
"""


class Decisions(NamedTuple):
    """What the model was asked of a document, and the right answers.

    Attributes:
        logits: `[decisions, classes]`, as they go into the softmax but for the temperature.
        gold: `[decisions]`, the id of the right class.
    """

    logits: NDArray[np.float32]
    gold: NDArray[np.int64]


class SoftmaxTask(Task):
    """A task that divides logits by its field `temperature`, and then makes probabilities of them by a softmax."""

    @abstractmethod
    def decisions(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Decisions:
        """The logits that `decode` makes probabilities of, beside the gold, to fit a temperature to.

        Args:
            encoded: the document, with gold.
            rows: its input rows, one for each window.
            outputs: for each row, the model's outputs without the batch dimension.

        Raises:
            InvalidDocumentError: the document has no gold, or gold that this task cannot learn from.
        """

    def with_temperature(self, temperature: float) -> "SoftmaxTask":
        """The same task with another temperature.

        Raises:
            InvalidSpecError: it is not above 0, or not finite.
        """
        fields: dict[str, Any] = {**self.model_dump(), "temperature": temperature}
        return type(self).from_value(fields)
