"""Tasks whose scores are probabilities of a softmax or of sigmoids, which temperature scaling can calibrate."""

from typing import Annotated, Any

from pydantic import Field

from nlp_inference.tasks.base import Task

Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""The divisor of logits before a softmax or sigmoid (Guo et al., 2017,
https://proceedings.mlr.press/v70/guo17a.html).

Above 1, all predictions become less certain; below 1, more certain. The best prediction does not change.
"""


class TemperatureTask(Task):
    """A task that divides logits by its field `temperature` before they become probabilities.

    The best predictions must not depend on the temperature, which training fits to their scores.
    """

    def with_temperature(self, temperature: float) -> "TemperatureTask":
        """Return the same task with another temperature.

        Raises:
            InvalidSpecError: it is not above 0, or not finite.
        """
        fields: dict[str, Any] = {**self.model_dump(), "temperature": temperature}
        return type(self).from_value(fields)


class SoftmaxTask(TemperatureTask):
    """A task that makes probabilities of logits by a softmax."""
