"""Tasks whose scores are probabilities of a softmax or of sigmoids, which one number can calibrate."""

from typing import Annotated, Any

from pydantic import Field

from nlp_inference.tasks.base import Task

Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""What logits are divided by before a softmax or a sigmoid (Guo et al., 2017, https://proceedings.mlr.press/v70/guo17a.html).

Above 1 all answers become less certain, below 1 more; which answer is best does not change.
"""


class TemperatureTask(Task):
    """A task that divides logits by its field `temperature` before it makes probabilities of them.

    Which predictions are best must not depend on the temperature; training fits it to their scores.
    """

    def with_temperature(self, temperature: float) -> "TemperatureTask":
        """The same task with another temperature.

        Raises:
            InvalidSpecError: it is not above 0, or not finite.
        """
        fields: dict[str, Any] = {**self.model_dump(), "temperature": temperature}
        return type(self).from_value(fields)


class SoftmaxTask(TemperatureTask):
    """A task that makes probabilities of logits by a softmax."""
