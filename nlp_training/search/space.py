"""Drawing values from a search space, and the configuration of a trial with these values."""

from collections.abc import Mapping

from optuna import Trial
from optuna.trial import FrozenTrial
from pydantic import JsonValue, ValidationError

from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import explain
from nlp_training.config import RunConfig, set_key
from nlp_training.config.search import Dimension

Space = Mapping[str, Dimension]
Values = dict[str, JsonValue]
"""A value for each key of a space."""


def suggest(trial: Trial, space: Space) -> Values:
    """Draw a value for each key."""
    for key, dimension in space.items():
        if dimension.choices is not None:
            trial.suggest_categorical(key, list(dimension.labels()))
        elif dimension.is_integer:
            low, high = int(dimension.low or 0), int(dimension.high or 0)
            trial.suggest_int(key, low, high, step=int(dimension.step or 1), log=dimension.log)
        else:
            low_end, high_end = float(dimension.low or 0), float(dimension.high or 0)
            trial.suggest_float(key, low_end, high_end, step=dimension.step, log=dimension.log)
    return values_of(trial, space)


def values_of(trial: Trial | FrozenTrial, space: Space) -> Values:
    """Return the values that a trial has drawn so far."""
    values: Values = {}
    for key, dimension in space.items():
        if key in trial.params:
            drawn = trial.params[key]
            values[key] = drawn if dimension.choices is None else dimension.labels()[drawn]
    return values


def with_values(config: RunConfig, values: Mapping[str, JsonValue]) -> RunConfig:
    """Return the configuration of a trial: that of the run with these values and without the search.

    Raises:
        InvalidSpecError: a key is unknown, or a value is invalid.

    Example:
        >>> config = RunConfig.model_validate({
        ...     "name": "demo", "model": {"base": "bert-base-cased"}, "data": {"train": "train.jsonl"},
        ...     "processor": {"task": "text-classification"}, "loss": "focal",
        ... })
        >>> with_values(config, {"loss.focal.gamma": 1.5}).loss
        {'focal': {'gamma': 1.5}}
    """
    content = config.model_dump(mode="json", exclude={"search"}, exclude_none=True)
    for key, value in values.items():
        set_key(content, key, value)
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise InvalidSpecError(f"search.space, with {values!r}: {explain(error, RunConfig)}") from error
