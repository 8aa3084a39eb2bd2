"""TrainingArguments from the `training` section, with the defaults of this library and of the machine."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from nlp_inference import Processor
from nlp_inference.backends.bf16 import has_fast_bf16
from nlp_inference.errors import InvalidSpecError
from nlp_training.batches.streaming import stream_defaults
from nlp_training.config import RunConfig
from nlp_training.config.tracking import DEFAULT, choose_trackers
from nlp_training.config.training_values import check_training_values
from nlp_training.gold import document_metric, greater_is_better
from nlp_training.metrics import Metric
from nlp_training.trainer.early_stopping import early_stopping_arguments
from nlp_training.trainer.machine import divide_step, loader_workers

_DEFAULTS: dict[str, Any] = {
    "train_sampling_strategy": "group_by_length",
    "per_device_train_batch_size": 16,
    "num_train_epochs": 3,
    "learning_rate": 5e-5,
    "logging_strategy": "epoch",
    "save_total_limit": 2,
    "report_to": DEFAULT,
    "bf16": "auto",
}
_FEW_SHOT: dict[str, Any] = {"per_device_train_batch_size": 64, "num_train_epochs": 5, "save_strategy": "no"}
"""Other defaults of few-shot training, whose batches contain pairs."""
_REFUSED = (TypeError, ValueError, ImportError, RuntimeError, OSError, LookupError, AttributeError)
"""The errors of TrainingArguments for incompatible values and for missing packages or files."""


def resolve_config(config: RunConfig, *, processor: Processor, best_metric: str) -> RunConfig:
    """Return the run with all settings that depend on data and machine: labels, strategies, precision, batches.

    Resolving the result again does not change it.

    Raises:
        InvalidSpecError: the settings of the section `training` are incompatible.
    """
    training = resolve_training(config, best_metric=best_metric)
    on_cpu, task = _on_cpu(training), processor.task
    attention = config.model.training_attention or ("eager" if on_cpu else None)
    model = config.model.model_copy(update={"training_attention": attention})
    batches = divide_step(training, model, max_length=processor.layout.max_length, on_cpu=on_cpu)
    return config.model_copy(
        update={
            "cpu_threads": torch.get_num_threads(),
            "model": model,
            "processor": config.processor.model_copy(update={"task": {task.name: task.model_dump(mode="json")}}),
            "training": training | batches,
        }
    )


def training_arguments(config: RunConfig, *, best_metric: str) -> TrainingArguments:
    """Build the arguments of a run.

    The section may contain every field of `transformers.TrainingArguments`. `bf16: auto`, the default, depends on the
    hardware. With validation data, the run evaluates in every epoch and ends with the best weights; it saves when it
    evaluates, unless saving is turned off.

    Args:
        config: the configuration of the run.
        best_metric: the score that selects the best weights.

    Raises:
        InvalidSpecError: a key is not a field of `TrainingArguments`, is set by the run, or is incompatible with
            the others.
    """
    values = {"run_name": config.name, **resolve_training(config, best_metric=best_metric)}
    values["report_to"] = choose_trackers(values["report_to"])
    folder = str(config.folder / "checkpoints")
    try:
        args = TrainingArguments(output_dir=folder, seed=config.seed, data_seed=config.seed, **values)
        Trainer.get_optimizer_cls_and_kwargs(args)
    except _REFUSED as error:
        raise InvalidSpecError(f"training: {error}") from error
    return args


def resolve_training(config: RunConfig, *, best_metric: str) -> dict[str, Any]:
    """Return the section `training` with the defaults of this library and of the machine."""
    check_training_values(config.training)
    of_stream = stream_defaults(config) if config.data.train.streaming else {}
    few_shot = {} if config.few_shot is None else _FEW_SHOT
    values = {**_DEFAULTS, **few_shot, **of_stream, **config.training}
    values |= _strategies(values, has_validation=config.data.has_validation, best_metric=best_metric)
    score = values.get("metric_for_best_model")
    if score is not None and not greater_is_better(score, [Metric.from_spec(spec) for spec in config.metrics]):
        values.setdefault("greater_is_better", False)
    values.setdefault("use_cpu", not torch.accelerator.is_available())
    if config.early_stopping is not None:
        values |= early_stopping_arguments(values)
    on_cpu = _on_cpu(values)
    if on_cpu and (half := next((key for key in ("fp16", "fp16_full_eval") if values.get(key)), None)):
        raise InvalidSpecError(
            f"training.{half} is true, but the run is on a CPU, which cannot train with fp16; remove it: bf16: auto, "
            "the default, depends on the hardware"
        )
    values.setdefault("dataloader_pin_memory", not on_cpu)
    values.setdefault("dataloader_num_workers", loader_workers(on_cpu=on_cpu))
    if values.get("dataloader_persistent_workers") and not values["dataloader_num_workers"]:
        raise InvalidSpecError(
            "training.dataloader_persistent_workers is true, but batches are made in the process itself; set "
            "training.dataloader_num_workers to 1 or more, or remove the key"
        )
    if values["bf16"] == "auto":
        values["bf16"] = not values.get("fp16") and has_fast_bf16(on_cpu=on_cpu)
    return values


def _strategies(values: dict[str, Any], *, has_validation: bool, best_metric: str) -> dict[str, Any]:
    """Return when to evaluate and save, and whether to end with the best weights."""
    save, evaluate = values.get("save_strategy"), values.get("eval_strategy")
    if not has_validation:
        _refuse_evaluation(values)
        return {"save_strategy": save or "epoch"}
    evaluate = evaluate or (save if save in {"steps", "epoch"} else "epoch")
    save = save or (evaluate if evaluate != "no" else "epoch")
    keeps_best = values.get("load_best_model_at_end", evaluate != "no" and save != "no")
    if keeps_best and ("no" in {save, evaluate} or save not in {evaluate, "best"}):
        raise InvalidSpecError(
            f"training.save_strategy is {save!r} and training.eval_strategy is {evaluate!r}, but the best weights can "
            "only be kept if the run saves when it evaluates; set both to 'epoch' or both to 'steps', or set "
            "load_best_model_at_end: false"
        )
    chosen: dict[str, Any] = {"save_strategy": save, "eval_strategy": evaluate, "load_best_model_at_end": keeps_best}
    if keeps_best or save == "best":
        chosen["metric_for_best_model"] = values.get("metric_for_best_model", f"eval_{best_metric}")
    if evaluate == "steps":
        steps = values.get("eval_steps", values.get("save_steps", 500))
        chosen["eval_steps"] = steps
        chosen["save_steps"] = values.get("save_steps", steps)
    return chosen


def _refuse_evaluation(values: dict[str, Any]) -> None:
    requested = {
        "eval_strategy": values.get("eval_strategy", "no") != "no",
        "eval_on_start": bool(values.get("eval_on_start")),
        "load_best_model_at_end": bool(values.get("load_best_model_at_end")),
        "save_strategy": values.get("save_strategy") == "best",
    }
    for key in (key for key, is_requested in requested.items() if is_requested):
        raise InvalidSpecError(
            f"training.{key} is {values[key]!r}, but there is nothing to evaluate on; set data.validation, or "
            "data.split to split the training documents"
        )


def _on_cpu(values: dict[str, Any]) -> bool:
    return bool(values["use_cpu"]) or not torch.accelerator.is_available()


def check_best_metric(
    args: TrainingArguments, processor: Processor, eval_dataset: Any, *, own: Sequence[Metric] = ()
) -> None:
    """Raise an error before training if evaluation has no score with the name of `metric_for_best_model`."""
    name = args.metric_for_best_model
    if name is None or args.eval_strategy == "no":
        return
    known = document_metric(processor.task.needs, own).names
    if isinstance(eval_dataset, Mapping):
        known = tuple(f"{one}_{score_name}" for one in eval_dataset for score_name in known)
    if name.removeprefix("eval_") not in known:
        raise InvalidSpecError(
            f"metric_for_best_model is {name!r}, but the scores of evaluation are {', '.join(known)}; choose one of "
            "these"
        )
