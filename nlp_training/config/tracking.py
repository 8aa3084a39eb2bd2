"""The trackers that a run reports to, and whether they are installed."""

from collections.abc import Sequence

from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
    is_tensorboard_available,
)

from nlp_inference._utils.extras import install_command
from nlp_inference.errors import InvalidSpecError, MissingExtraError

DEFAULT = "tensorboard"
_EXTRAS = {"tensorboard": "train", "mlflow": "mlflow"}


def choose_trackers(report_to: object) -> list[str]:
    """Return the trackers that `report_to` names and check that they are installed.

    TensorBoard, the default, is omitted if it is not installed, so that a run does not fail without it.

    Args:
        report_to: as in `transformers.TrainingArguments`: a name, several names, `all` or `none`.

    Raises:
        InvalidSpecError: transformers has no such tracker.
        MissingExtraError: a tracker is not installed.

    Example:
        >>> choose_trackers("none"), choose_trackers(["tensorboard"])
        ([], ['tensorboard'])
    """
    names = report_to if isinstance(report_to, list | tuple) else [report_to]
    if list(names) in ([None], ["none"]):
        return []
    available = get_available_reporting_integrations()
    if list(names) == ["all"]:
        return [str(name) for name in available]
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise InvalidSpecError(f"training.report_to names {name!r}; expected none, all, or any of {known}")
        if name != DEFAULT and name not in {*available, "azure_ml", "flyte"}:
            command = install_command(_EXTRAS[name]) if name in _EXTRAS else f"pip install {name}"
            raise MissingExtraError(f"training.report_to names {name!r}, which is not installed: {command}")
    return [name for name in dict.fromkeys(names) if name != DEFAULT or is_tensorboard_available()]


def describe_trackers(trackers: Sequence[str] | None) -> str:
    """Describe the trackers of a run in one line, with the reason if there is none.

    Example:
        >>> describe_trackers(["tensorboard", "mlflow"]), describe_trackers([])
        ('tensorboard, mlflow', 'none')
    """
    if trackers or is_tensorboard_available():
        return ", ".join(trackers or ()) or "none"
    return "none: tensorboard is not installed; pip install tensorboard"
