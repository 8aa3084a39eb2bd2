"""Early stopping, from the configuration."""

from collections.abc import Mapping
from typing import Any

from transformers import EarlyStoppingCallback

from nlp_inference.errors import InvalidSpecError
from nlp_training.config.search import EarlyStopping


def stop_early(settings: EarlyStopping) -> EarlyStoppingCallback:
    """Return the callback of transformers for a configuration."""
    return EarlyStoppingCallback(settings.patience, settings.threshold)


def early_stopping_arguments(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the additional arguments for early stopping.

    Args:
        training: the resolved section.

    Raises:
        InvalidSpecError: the run does not keep the best weights, which are not the last ones with early stopping.
    """
    if not training.get("load_best_model_at_end"):
        raise InvalidSpecError(
            "early_stopping ends training after the best weights, but the run keeps the last ones: training has "
            f"eval_strategy {training.get('eval_strategy', 'no')!r}, save_strategy {training.get('save_strategy')!r} "
            f"and load_best_model_at_end {training.get('load_best_model_at_end', False)!r}; set data.validation or "
            "data.split, and remove these keys"
        )
    return {"restore_callback_states_from_checkpoint": True}
