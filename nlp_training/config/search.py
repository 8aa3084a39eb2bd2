"""The sections `search` and `early_stopping` of a configuration."""

import json
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

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
"""Sections that are the same in every trial, so that scores can be compared, and none is better by luck."""

Choice = str | int | float | bool | None


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EarlyStopping(_Section):
    """When training stops before its last epoch.

    Args:
        patience: evaluations in a row that are not better than the best one so far, after which training stops.
        threshold: by how much an evaluation must be better to count.
    """

    patience: PositiveInt = 3
    threshold: NonNegativeFloat = 0.0


class Dimension(_Section):
    """The values that a key may take: `choices`, or the numbers from `low` to `high`.

    Args:
        low: the smallest number; whole if `high` and `step` are whole too, as written: `2`, not `2.0`.
        high: the largest.
        step: between neighbouring numbers.
        log: whether small numbers are tried as often as large ones, in the logarithm; for learning rates and the like.
        choices: values of any kind, whole sections too.

    Example:
        >>> Dimension(low=2, high=5).is_whole, Dimension(low=2, high=5.0).is_whole
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
                raise ValueError("choices stand alone; leave low, high, step and log out")
            if len({json.dumps(one) for one in self.choices}) < len(self.choices):
                raise ValueError(f"the choices {self.choices!r} have one of them twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low > self.high:
            raise ValueError(f"low is {self.low!r}, which is more than high, {self.high!r}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(
                f"log needs a low above 0, which is {self.low!r}, and takes no step, which is {self.step!r}"
            )
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step) if one is not None)

    def ends(self) -> list[JsonValue]:
        """Every choice, or both ends of the range: what must fit if all is to fit."""
        return [self.low, self.high] if self.choices is None else self.choices

    def labels(self) -> dict[Choice, JsonValue]:
        """The choices by what stands for them in storage, which takes no lists and mappings: those as JSON."""
        choices = self.choices or []
        return {one if not isinstance(one, list | dict) else json.dumps(one): one for one in choices}


class SearchConfig(_Section):
    """What to search, and for how long.

    A trial is a training as the configuration describes it, with other values for the keys of `space`. Its score is
    that on the validation documents by which a run chooses its best weights, `training.metric_for_best_model`.

    Args:
        space: what each key may be, by its name with dots, such as `training.learning_rate` or `loss.focal.gamma`.
        trials: how many, those of an earlier start of the same search included.
        timeout: seconds after which no trial is begun any more, from each start.
        startup_trials: trials that draw their values at random, before those that were good decide; `median` stops none
            before so many have ended.
        pruner: what stops trials that do badly: `median`, those whose best score so far is below the median of what
            others had by then; `asha`, all but the best third at 1, 3, 9 and so on evaluations; or `none`.
        warmup_evaluations: evaluations of a trial before it may be stopped.
        storage: URL of the database of the trials; `None` means `search.db` in the run's folder.
        train_best: whether to train the best values in the end, as a run of its own, with its test sets.
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
    def _varies_what_may_vary(cls, space: dict[str, Dimension]) -> dict[str, Dimension]:
        for key in space:
            if key.partition(".")[0] in FIXED:
                raise ValueError(f"{key!r} is the same in all trials; leave it out of the space")
        return space
