"""Tasks whose scores are softmax probabilities, which temperature scaling can calibrate."""

from typing import Annotated, Any

from pydantic import Field

from nlp_inference.tasks.base import Task

Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""The divisor of logits before the softmax (Guo et al., 2017, https://proceedings.mlr.press/v70/guo17a.html).

Above 1, all predictions become less certain; below 1, more certain. The best prediction does not change.
"""


class SoftmaxTask(Task):
    """A task that divides logits by its field `temperature` before the softmax.

    The best predictions must not depend on the temperature, which training fits to their scores.
    """

    def with_temperature(self, temperature: float) -> "SoftmaxTask":
        """Return the same task with another temperature.

        Raises:
            InvalidSpecError: it is not above 0, or not finite.
        """
        fields: dict[str, Any] = {**self.model_dump(), "temperature": temperature}
        return type(self).from_value(fields)
