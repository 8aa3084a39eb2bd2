"""Tasks whose scores are probabilities of a softmax, which one number can calibrate."""

from typing import Annotated, Any

from pydantic import Field

from nlp_inference.tasks.base import Task

Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""What logits are divided by before a softmax (Guo et al., 2017, https://proceedings.mlr.press/v70/guo17a.html).

Above 1 all answers become less certain, below 1 more; which answer is best does not change.
"""


class SoftmaxTask(Task):
    """A task that divides logits by its field `temperature`, and then makes probabilities of them by a softmax.

    Which answers are best must not depend on the temperature; training fits it to their scores.
    """

    def with_temperature(self, temperature: float) -> "SoftmaxTask":
        """The same task with another temperature.

        Raises:
            InvalidSpecError: it is not above 0, or not finite.
        """
        fields: dict[str, Any] = {**self.model_dump(), "temperature": temperature}
        return type(self).from_value(fields)
