"""The training of a student, by the same route as every run."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console

from nlp_inference import Document, Processor
from nlp_inference.backends.bf16 import has_fast_bf16
from nlp_inference.errors import ArtefactError
from nlp_inference.predict.batching import token_budget_batches
from nlp_training._utils.complete_checkpoints import last_complete
from nlp_training._utils.replacing import replacing_folder
from nlp_training.artefact.folder import SETTINGS_FILE
from nlp_training.compress.options import CompressOptions, StudentPlan
from nlp_training.compress.students import cut_layers, importance_of, narrow
from nlp_training.compress.teacher import CompressTeacher, run_name
from nlp_training.config import RunConfig, set_key
from nlp_training.evaluation import choose_fitters
from nlp_training.losses import Loss
from nlp_training.provenance.manifest import RunManifest
from nlp_training.runs.run import train
from nlp_training.trainer.batch_loss import has_several_labels, model_loss

_SAMPLED = 256
"""Documents on which the importance of feed-forward values is measured."""

_TOKENS = 1024
_REFITTED = ".* will be fitted to the validation documents"
"""A warning that the teacher's training gave before."""

_DEFAULTS: Mapping[str, Any] = {
    "per_device_train_batch_size": 16,
    "warmup_steps": 0.1,
    "lr_scheduler_type": "linear",
}
_NOT_TAKEN = ("max_steps", "resume_from_checkpoint", "num_train_epochs", "eval_steps", "save_steps", "logging_steps")
"""Keys of the teacher's training that depend on its length."""


def train_student(
    plan: StudentPlan,
    teacher: CompressTeacher,
    documents: Sequence[Document],
    options: CompressOptions,
    *,
    work: Path,
    data: Mapping[str, Any],
    console: Console,
) -> Path:
    """Cut, train and save a student, unless it is finished; return the folder of its model.

    Args:
        plan: the student.
        teacher: its teacher.
        documents: training documents, on which the importance of feed-forward values is measured.
        options: what the user states.
        work: the folder of the compression.
        data: the section `data` of the configuration.
        console: the console for progress.

    Raises:
        InvalidSpecError: the layers cannot be cut, or the configuration is inconsistent.
        InterruptedRunError: training was interrupted.
    """
    folder = work / "students" / plan.name
    if is_finished(folder):
        return folder / "model"
    base = work / "bases" / plan.name
    if not (base / SETTINGS_FILE).is_file():
        save_base(plan, teacher, documents, base)
    config = student_config(plan, teacher, options, base=base, output_dir=folder.parent, data=data)
    resume = last_complete(folder / "checkpoints") is not None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_REFITTED)
        return train(config, console=console, resume=resume, overwrite=not resume).model


def is_finished(folder: Path) -> bool:
    """Return whether the run of a student is finished."""
    try:
        return RunManifest.load(folder).status == "finished"
    except (ArtefactError, OSError):
        return False


def save_base(plan: StudentPlan, teacher: CompressTeacher, documents: Sequence[Document], target: Path) -> None:
    """Write the student before training, with the weights of its teacher.

    Args:
        plan: the student.
        teacher: its teacher.
        documents: documents on which the importance of feed-forward values is measured.
        target: the folder to write.
    """
    student = cut_layers(teacher.model, plan.layers)
    if plan.width is not None:
        narrow(student, plan.width, importance_of(student, _batches(teacher.processor, documents, student)))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(target) as folder:
        student.save_pretrained(folder)
        teacher.processor.with_fingerprint(None).save_pretrained(folder)


def _batches(processor: Processor, documents: Sequence[Document], model: Any) -> list[dict[str, torch.Tensor]]:
    drawn = Random(0).sample(list(documents), min(_SAMPLED, len(documents)))  # noqa: S311 - a sample
    rows = []
    for one in processor.encode([processor.task.as_input(document) for document in drawn]):
        rows += processor.rows(one)
    batches = []
    for positions in token_budget_batches([len(row.input_ids) for row in rows], _TOKENS):
        batch = processor.collate([rows[position] for position in positions])
        inputs = {name: torch.from_numpy(array) for name, array in batch.items()}
        batches.append(inputs | processor.task.decoder_inputs(model, inputs["input_ids"]))
    return batches


def student_config(
    plan: StudentPlan,
    teacher: CompressTeacher,
    options: CompressOptions,
    *,
    base: Path,
    output_dir: Path,
    data: Mapping[str, Any],
) -> RunConfig:
    """Return the configuration of the training of a student: that of its teacher, with distillation.

    Args:
        plan: the student.
        teacher: its teacher.
        options: what the user states.
        base: the folder of the student before training.
        output_dir: the folder that contains the runs of students.
        data: the section `data`.
    """
    config = artefact_config(teacher, data, base=base)
    content = config.model_dump(mode="json", exclude_none=True)
    given = {} if teacher.config is None else teacher.config.model_dump(mode="json", exclude_none=True)
    content |= {"name": run_name(plan.name), "output_dir": str(output_dir)}
    content["training"] |= {"num_train_epochs": options.epochs, "learning_rate": teacher.learning_rate}
    content |= _distillation(teacher, given.get("loss"), options)
    for key, value in options.settings.items():
        set_key(content, key, value)
    config = RunConfig.model_validate(content)
    learned = config.distillation
    if learned is not None and not (learned.hidden_states or learned.attentions or learned.outputs):
        return config.model_copy(update={"distillation": None})
    return config


def artefact_config(teacher: CompressTeacher, data: Mapping[str, Any], *, base: Path) -> RunConfig:
    """Return the configuration of the teacher with the documents of a compression, without what depends on its base.

    Args:
        teacher: the teacher.
        data: the section `data`.
        base: the folder of the weights.
    """
    given = {} if teacher.config is None else teacher.config.model_dump(mode="json", exclude_none=True)
    processor = teacher.processor
    kept: dict[str, Any] = {
        key: given[key] for key in ("modules", "augment", "metrics", "cpu_threads", "golden") if key in given
    }
    training = {key: value for key, value in given.get("training", {}).items() if key not in _NOT_TAKEN}
    of_model = given.get("model", {})
    model = {key: of_model[key] for key in ("settings", "architecture") if key in of_model}
    if "architecture" not in model:
        model["pooling"] = teacher.pooling
    content: dict[str, Any] = {
        **kept,
        "name": run_name(given.get("name", teacher.folder.name)),
        "seed": given.get("seed", 42),
        "model": {**model, "base": str(base)},
        "data": dict(data),
        "processor": {
            "task": processor.task.to_spec(),
            "preprocess": processor.preprocess.to_spec(),
            "postprocess": processor.postprocess.to_spec(),
            "windows": processor.windows.model_dump(mode="json", exclude_none=True),
            "pad_token": processor.tokenizer.pad_token,
        },
        "training": {**_DEFAULTS, **training},
        "fit": _fitters(teacher, has_validation="validation" in data),
    }
    return RunConfig.model_validate(content)


def _fitters(teacher: CompressTeacher, *, has_validation: bool) -> list[Any]:
    """Return what is fitted after training: what was fitted for the teacher, or what its task fits by default."""
    if not has_validation:
        return []
    config = teacher.config
    if config is not None and config.fit is not None and (config.fit or config.training):  # adoption leaves both empty
        return [*config.fit]
    task = teacher.processor.task
    named = {head: one.fitters for head, one in task.tasks.items()}
    fitted = [
        {"head": {"head": head, "fitter": name}} if head else name for head, names in named.items() for name in names
    ]
    is_calibrated = getattr(task, "temperature", 1.0) != 1.0
    return [one.to_spec() for one in choose_fitters(task, fitted, calibrate=is_calibrated, has_validation=True)]


def _distillation(teacher: CompressTeacher, loss: Any, options: CompressOptions) -> dict[str, Any]:
    """Return the sections `loss` and `distillation`.

    Classes are learned from the teacher's probabilities by the loss `distillation`, added to the teacher's own loss.
    Other outputs, those of a model with its own loss, are learned as numbers.
    """
    name = str(teacher.folder)
    inner = loss or _class_loss(teacher)
    dtype = "bfloat16" if has_fast_bf16(on_cpu=not torch.accelerator.is_available()) else "float32"
    section = {"teacher": name, "dtype": dtype, "hidden_states": options.hidden_states, "outputs": options.outputs}
    of_classes = inner is not None and _reads_classes(inner) and options.mix > 0
    if of_classes:
        added = {"teacher": name, "dtype": dtype, "temperature": options.temperature, "mix": options.mix, "loss": inner}
        found: dict[str, Any] = {"loss": {"distillation": added}}
    else:
        section["outputs"] = options.outputs or 1.0
        found = {} if loss is None else {"loss": loss}
    return found | {"distillation": section}


def _class_loss(teacher: CompressTeacher) -> Any:
    """Return the loss of the task if it is one of a class for each item, else `None`."""
    task = teacher.processor.task
    has_classes = not task.own_loss and "logits" in task.outputs and "" in task.tasks
    return (task.default_loss or model_loss(task)) if has_classes and not has_several_labels(task) else None


def _reads_classes(spec: Any) -> bool:
    """Return whether the loss `distillation` can add to a loss."""
    loss = Loss.from_spec(spec)
    parts = loss.parts()
    return not (
        loss.multi_label
        or loss.numeric
        or loss.of_heads
        or any(one.outermost or one.name == "distillation" for one in parts)
    )
