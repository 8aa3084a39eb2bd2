"""The sections `search` and `early_stopping` of a configuration."""

import json
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from nlp_training.config.section import Section

FIXED = (
    "name",
    "output_dir",
    "seed",
    "cpu_threads",
    "data",
    "calibrate",
    "fit",
    "golden",
    "modules",
    "metrics",
    "search",
)
"""Sections that are the same in every trial, so that the scores of trials are comparable."""

Choice = str | int | float | bool | None


class EarlyStopping(Section):
    """When training stops before the last epoch.

    Args:
        patience: the number of consecutive evaluations without improvement after which training stops.
        threshold: the smallest difference from the best score that counts as an improvement.
    """

    patience: PositiveInt = 3
    threshold: NonNegativeFloat = 0.0


class Dimension(Section):
    """The values that a key may take: `choices`, or the numbers from `low` to `high`.

    Args:
        low: the smallest number. Only integers are sampled if `low`, `high` and `step` are integers: `2`, not `2.0`.
        high: the largest number.
        step: the difference between consecutive numbers.
        log: whether to sample on a logarithmic scale, for example learning rates.
        choices: values of any type, including complete sections.

    Example:
        >>> Dimension(low=2, high=5).is_integer, Dimension(low=2, high=5.0).is_integer
        (True, False)
    """

    low: int | float | None = None
    high: int | float | None = None
    step: PositiveInt | PositiveFloat | None = None
    log: bool = False
    choices: Annotated[list[JsonValue], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.choices is not None:
            if self.model_fields_set - {"choices"} and (self.low, self.high, self.step, self.log) != (None,) * 3 + (
                False,
            ):
                raise ValueError("choices cannot be combined with low, high, step or log; remove these keys")
            if len({json.dumps(one) for one in self.choices}) < len(self.choices):
                raise ValueError(f"the choices {self.choices!r} contain a duplicate; remove it")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low > self.high:
            raise ValueError(f"low is {self.low!r}, which is greater than high, {self.high!r}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"log requires low above 0 and no step, but low is {self.low!r} and step is {self.step!r}")
        return self

    @property
    def is_integer(self) -> bool:
        """Whether only integers are sampled."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step) if one is not None)

    def ends(self) -> list[JsonValue]:
        """Return every choice, or both ends of the range. If these are valid, all values are valid."""
        return [self.low, self.high] if self.choices is None else self.choices

    def labels(self) -> dict[Choice, JsonValue]:
        """Return the choices by their key in storage. Storage has no lists and mappings, so their key is JSON."""
        choices = self.choices or []
        return {one if not isinstance(one, list | dict) else json.dumps(one): one for one in choices}


class SearchConfig(Section):
    """The search space and budget of a hyperparameter search.

    A trial trains the configured model with different values for the keys of `space`. Its score is the validation
    score that selects the best weights of a run, `training.metric_for_best_model`.

    Args:
        space: the values of each key, by its dotted name, such as `training.learning_rate` or `loss.focal.gamma`.
        trials: the total number of trials, including those of an earlier start of the same search.
        timeout: seconds after each start after which no new trial begins.
        startup_trials: the number of trials with random values before earlier scores guide the choice. `median`
            prunes no trial before this number of trials has ended.
        pruner: how to stop weak trials: `median` stops those whose best score so far is below the median of the other
            trials at the same evaluation; `asha` keeps only the best third after 1, 3, 9 and so on evaluations; `none`
            stops no trial.
        warmup_evaluations: the number of evaluations of a trial before it may be stopped.
        storage: the URL of the trial database; `None` means `search.db` in the folder of the run.
        train_best: whether to train a final run with the best values and evaluate it on the test sets.
    """

    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    trials: PositiveInt = 20
    timeout: PositiveFloat | None = None
    startup_trials: NonNegativeInt = 5
    pruner: Literal["median", "asha", "none"] = "median"
    warmup_evaluations: NonNegativeInt = 1
    storage: str | None = None
    train_best: bool = False

    @field_validator("space")
    @classmethod
    def _space_has_no_fixed_keys(cls, space: dict[str, Dimension]) -> dict[str, Dimension]:
        for key in space:
            if key.partition(".")[0] in FIXED:
                raise ValueError(f"{key!r} is the same in all trials; remove it from the space")
        return space
