"""TrainingArguments from the `training` section: this library's defaults, and what the machine decides."""

from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import torch
from transformers import TrainingArguments

from nlp_inference.errors import InvalidSpecError
from nlp_training.config import RunConfig

_DEFAULTS: dict[str, Any] = {
    "train_sampling_strategy": "group_by_length",
    "per_device_train_batch_size": 16,
    "num_train_epochs": 3,
    "learning_rate": 5e-5,
    "logging_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 2,
    "report_to": "none",
    "bf16": "auto",
}


def training_arguments(config: RunConfig, *, best_metric: str) -> TrainingArguments:
    """Build the arguments of a run.

    Every field of `transformers.TrainingArguments` may stand in the section. `bf16: auto`, the default, asks the
    hardware. With validation data the run evaluates every epoch and ends with the best weights.

    Args:
        config: the run.
        best_metric: the score by which the best weights are chosen.

    Raises:
        InvalidSpecError: a key is not a field of `TrainingArguments`, or is one that the run decides itself.
    """
    given = dict(config.training)
    _check(given)
    values = {**_DEFAULTS, "seed": config.seed, "data_seed": config.seed, **given}
    if config.data.validation is not None:
        strategy = values.get("eval_strategy", values["save_strategy"])
        best = {"load_best_model_at_end": True, "metric_for_best_model": f"eval_{best_metric}"}
        values = {"eval_strategy": strategy, **best, **values}
    on_cpu = not torch.cuda.is_available() or bool(values.get("use_cpu"))
    values["use_cpu"] = on_cpu
    values.setdefault("dataloader_pin_memory", not on_cpu)
    if values["bf16"] == "auto":
        values["bf16"] = has_fast_bf16(on_cpu=on_cpu)
    try:
        return TrainingArguments(output_dir=str(config.folder / "checkpoints"), **values)
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(f"training: {error}") from error


def has_fast_bf16(*, on_cpu: bool) -> bool:
    """Whether this machine multiplies bfloat16 matrices faster than float32 ones."""
    if not on_cpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _check(given: dict[str, Any]) -> None:
    known = {field.name for field in fields(TrainingArguments) if field.init}
    for key in given:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidSpecError(f"training has no key {key!r}: it takes the fields of TrainingArguments{hint}")
    for key, instead in (("output_dir", "output_dir and name"), ("seed", "seed"), ("data_seed", "seed")):
        if key in given:
            raise InvalidSpecError(f"training.{key} is decided by the run; set {instead} at the top of the file")
