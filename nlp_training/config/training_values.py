"""Checks of the section `training` against `TrainingArguments` before anything is loaded or built."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import InvalidSpecError

_OTHERWISE_CHECKED = {"resume_from_checkpoint", "report_to", "output_dir"}
_PUBLISHING = ("push_to_hub", "hub_")
_SET_BY_THE_RUN = {"output_dir": "output_dir and name", "seed": "seed", "data_seed": "seed"}
_LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
_CHOICES = {
    "train_sampling_strategy": ("group_by_length", "random", "sequential"),
    "log_level": _LOG_LEVELS,
    "log_level_replica": _LOG_LEVELS,
    "ddp_backend": ("nccl", "mpi", "xccl", "gloo", "hccl"),
    "dataloader_multiprocessing_context": ("fork", "forkserver", "spawn"),
}
"""Names that `TrainingArguments` has as plain strings."""
_POSITIVE: FieldInfo = Field(gt=0, allow_inf_nan=False)
_NOT_NEGATIVE: FieldInfo = Field(ge=0, allow_inf_nan=False)
_AT_LEAST_1: FieldInfo = Field(ge=1)
_SHARE: FieldInfo = Field(ge=0, lt=1)
_BOUNDS: dict[str, FieldInfo] = {
    **dict.fromkeys(("num_train_epochs", "logging_steps", "eval_steps", "save_steps"), _POSITIVE),
    **dict.fromkeys(("learning_rate", "weight_decay", "warmup_steps", "max_grad_norm", "adam_epsilon"), _NOT_NEGATIVE),
    **dict.fromkeys(("eval_delay", "neftune_noise_alpha"), _NOT_NEGATIVE),
    **dict.fromkeys(("dataloader_num_workers", "save_total_limit"), Field(ge=0)),
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size"), _AT_LEAST_1),
    **dict.fromkeys(("gradient_accumulation_steps", "dataloader_prefetch_factor"), _AT_LEAST_1),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "label_smoothing_factor"), _SHARE),
    "max_steps": Field(ge=-1),
}
_OPTIM_ARGS = re.compile(r"[^=,]+=[^=,]+(,[^=,]+=[^=,]+)*")
_PACKAGES = {"deepspeed": "deepspeed", "use_liger_kernel": "liger_kernel"}


def check_training_values(training: Mapping[str, Any]) -> None:
    """Check the keys, the type of each value, names of choices, the learning rate schedule, and required packages.

    `training_arguments` checks values that depend on the device or on other sections.

    Args:
        training: the section as it is in the configuration.

    Raises:
        InvalidSpecError: a key is not a field of `TrainingArguments` or is set by the run, or a value is invalid; the
            message names the key, the value and what was expected.

    Example:
        >>> check_training_values({"learning_rate": "abc"})
        Traceback (most recent call last):
        nlp_inference.errors.InvalidSpecError: training.learning_rate is 'abc'; input should be a valid number
    """
    hints = _hints()
    _check_keys(training, known=hints)
    for key in (key for key in training if key in hints and key not in _OTHERWISE_CHECKED):
        value = training[key]
        if (key, value) == ("bf16", "auto"):
            continue
        try:
            _adapter(key).validate_python(value)
        except ValidationError as error:
            expected = "; ".join(dict.fromkeys(_lower(one["msg"]) for one in error.errors(include_url=False)))
            raise InvalidSpecError(f"training.{key} is {_shown(value)}; {expected}") from error
        _check_choice(key, value, hints[key])
    for key, package in _PACKAGES.items():
        if training.get(key) and find_spec(package) is None:
            raise InvalidSpecError(
                f"training.{key} is {_shown(training[key])}, but the package {package!r} is not installed; install it "
                "or remove the key"
            )
    if (given := training.get("optim_args")) and not _OPTIM_ARGS.fullmatch(given):
        raise InvalidSpecError(
            f"training.optim_args is {given!r}; expected KEY=VALUE,KEY=VALUE such as decay_rate=-0.8"
        )
    _check_schedule(training)
    _check_reserved(training)


def _check_keys(training: Mapping[str, Any], *, known: Collection[str]) -> None:
    for key in training:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidSpecError(f"training has no key {key!r}; expected a field of TrainingArguments{hint}")


def _check_reserved(training: Mapping[str, Any]) -> None:
    for key in training:
        if key.startswith(_PUBLISHING):
            raise InvalidSpecError(
                f"training.{key} would publish during training, before verification; remove it, and publish after "
                "training: nlp-training publish"
            )
        if key in _SET_BY_THE_RUN:
            raise InvalidSpecError(
                f"training.{key} is set by the run; set {_SET_BY_THE_RUN[key]} at the top level of the file"
            )


@cache
def _hints() -> dict[str, Any]:
    from transformers import TrainingArguments

    hints = get_type_hints(TrainingArguments)
    return {field.name: hints[field.name] for field in fields(TrainingArguments) if field.init}


@cache
def _adapter(key: str) -> TypeAdapter[Any]:
    bounded: Any = _hints()[key]
    if key in _BOUNDS:
        bounded = Annotated[bounded, _BOUNDS[key]]
    return TypeAdapter(bounded, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _check_choice(key: str, value: Any, hint: Any) -> None:
    """Check a string against the known names, such as those of schedules."""
    if not isinstance(value, str):
        return
    kinds = [kind for kind in get_args(hint) if isinstance(kind, type) and issubclass(kind, Enum)]
    for known in (_CHOICES.get(key), _compile_choices(key), *([str(one.value) for one in kind] for kind in kinds)):
        if known is not None and value not in known:
            raise InvalidSpecError(f"training.{key} is {value!r}; expected one of {', '.join(known)}")


def _compile_choices(key: str) -> Sequence[str] | None:
    """Return the names of backends and modes of `torch.compile`, whose modules are slow to import."""
    if key == "torch_compile_backend":
        from accelerate.utils import DynamoBackend

        return [one.value.lower() for one in DynamoBackend]
    if key == "torch_compile_mode":
        from torch._inductor import list_mode_options

        return ["default", *(name for name in list_mode_options() if name != "default")]
    return None


def _check_schedule(training: Mapping[str, Any]) -> None:
    """Build the schedule for an optimizer of one parameter, which reveals missing keys in `lr_scheduler_kwargs`."""
    name, settings = training.get("lr_scheduler_type", "linear"), training.get("lr_scheduler_kwargs")
    if not {"lr_scheduler_type", "lr_scheduler_kwargs"} & {*training} or isinstance(settings, str):
        return
    import torch
    from transformers import TrainingArguments, get_scheduler

    rate = training.get("learning_rate", TrainingArguments.learning_rate)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    try:
        get_scheduler(name, optimizer, num_warmup_steps=1, num_training_steps=10, scheduler_specific_kwargs=settings)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        problem = str(error).replace("\n", " ")
        raise InvalidSpecError(
            f"cannot build the schedule training.lr_scheduler_type {name!r} with lr_scheduler_kwargs {settings!r}: "
            f"{problem}; set its settings in training.lr_scheduler_kwargs"
        ) from error


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    return shorten(repr(value), width=200)
