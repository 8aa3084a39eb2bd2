"""The objects of a run, from its configuration: documents, processor, model, trainer."""

import warnings
from collections.abc import Collection, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PrinterCallback, ProgressCallback, TrainerCallback
from transformers.utils.hub import cached_file

from nlp_inference import Document, Processor, Task
from nlp_inference.architectures import AutoModelForPooledSequenceClassification
from nlp_inference.architectures.custom_architectures import architecture_named, runs_saved_code
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.architectures.padding_families import mixes_padding
from nlp_inference.backends.padding import PaddingWarning
from nlp_inference.backends.torch import model_class
from nlp_inference.encoding.tokenizer_file import warn_of_rebuilt_tokenizer
from nlp_inference.errors import InvalidSpecError, NlpInferenceError
from nlp_training._utils.base_model import locate_base
from nlp_training.augment import Augmentation, Augmenter
from nlp_training.batches.streaming import DocumentStream, some_documents
from nlp_training.config import RunConfig
from nlp_training.config.user_modules import import_modules, is_from_file
from nlp_training.data import check_documents
from nlp_training.data.checks import Problem, find_unknown_labels
from nlp_training.data.errors import DataWarning, InvalidDataError
from nlp_training.data.labels import complete_task
from nlp_training.data.unknown_labels import KnownLabels
from nlp_training.evaluation import Fitter, FittingWarning, choose_fitters
from nlp_training.gold import gold_kind_of, selection_score
from nlp_training.losses import Loss
from nlp_training.metrics import Metric
from nlp_training.provenance.environment import is_main_process
from nlp_training.tracking import place_logs
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.adapters import add_adapter
from nlp_training.trainer.arguments import resolve_config, training_arguments
from nlp_training.trainer.base_files import load_base_tokenizer, new_head_weights, reading_base
from nlp_training.trainer.base_limits import (
    check_reads,
    check_reads_pairs,
    fill_pad_token,
    limits_of_base,
    resize_embeddings,
    windows_within,
    with_pad_token,
)
from nlp_training.trainer.batch_loss import model_loss
from nlp_training.trainer.early_stopping import stop_early
from nlp_training.trainer.few_shot import FewShotTrainer
from nlp_training.trainer.head_bias import prior_biases, start_head_at
from nlp_training.trainer.parameter_groups import freeze_parameters, reinitialize_layers
from nlp_training.trainer.splits import Splits

_SHOWN = 5

_OPTIONAL: dict[str, Any] = {
    "_raise_exceptions_for_gated_repo": False,
    "_raise_exceptions_for_missing_entries": False,
    "_raise_exceptions_for_connection_errors": False,
}
"""For a file that a base need not have; what must be there was loaded before."""


def build_processor(config: RunConfig, train: list[Document] | None) -> Processor:
    """The processor that the configuration describes, whose task is completed from the training documents.

    Raises:
        InvalidSpecError: the configuration does not fit together, or the model could not read what the processor makes:
            it has too few embeddings for the tokenizer, or too few positions for a window.
    """
    base, settings = locate_base(config.model.base), config.processor
    tokenizer = load_base_tokenizer(config.model.base, revision=config.model.revision)
    if (file := cached_file(base, "tokenizer.json", revision=config.model.revision, **_OPTIONAL)) is not None:
        warn_of_rebuilt_tokenizer(tokenizer, Path(file), source=config.model.base)
    with_pad_token(tokenizer, settings.pad_token)
    import_modules(config.modules)
    check_components(config)
    task = complete_task(settings.task, train)
    limits = _limits(config, task)
    windows = windows_within(settings.windows, tokenizer, limits)
    processor = Processor(tokenizer, task, settings.preprocess, settings.postprocess, windows)
    check_reads(processor, limits, resize=config.model.resize_embeddings)
    return processor


def check_components(config: RunConfig) -> None:
    """Check the names and the arguments of losses, metrics and augmentations, before a model is loaded.

    Raises:
        InvalidSpecError: one of them does not exist, or an argument is invalid.
    """
    if config.loss is not None:
        Loss.from_spec(config.loss)
    for metric in config.metrics:
        Metric.from_spec(metric)
    for augmentation in config.augment:
        Augmentation.from_spec(augmentation)


def _limits(config: RunConfig, task: Task) -> ModelLimits:
    try:
        found = _class_of(config, task)
    except NlpInferenceError:  # building the model says it
        return ModelLimits()
    settings = {**config.model.settings, **task.model_settings()}
    return limits_of_base(found, locate_base(config.model.base), revision=config.model.revision, settings=settings)


def build_checked_processor(config: RunConfig, splits: Splits) -> Processor:
    """The processor, if it can learn from the documents.

    Warns:
        DataWarning: validation or test documents have labels that the task does not know, which count as misses.

    Raises:
        InvalidDataError: it cannot; says what is wrong with which document.
    """
    processor = build_processor(config, splits.get("train"))
    task = processor.task
    if any(document.raw_text_pair is not None for documents in splits.values() for document in documents):
        check_reads_pairs(processor, _limits(config, task))
    if config.data.overlapping_spans != "error" and not _is_flat(task):
        raise InvalidSpecError(
            f"data.overlapping_spans is {config.data.overlapping_spans!r}, but the task {task.name!r} expresses spans "
            "that overlap; leave it out"
        )
    labels = getattr(task, "labels", None)
    check_documents(splits, flat=task.flat, needs=task.needs, labels=labels, task_problem=task.gold_problem)
    unknown = [] if labels is None else list(find_unknown_labels(splits, needs=task.needs, labels=labels))
    if unknown and config.data.unknown_labels == "error":
        raise InvalidDataError(
            f"{len(unknown)} unknown labels (data.unknown_labels: error):"
            + "".join(f"\n- {problem.text}" for problem in unknown[:_SHOWN])
            + (f"\n- and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
        )
    if is_main_process():
        for split, problems in groupby(unknown, _split_of):
            _warn_of_unknown_labels(split, [problem.text for problem in problems])
    return processor


def _is_flat(task: Task) -> bool:
    """Return whether the task, or each of its heads with spans, needs spans that do not overlap."""
    with_spans = [one for one in task.tasks.values() if one.flat or gold_kind_of(one).shows_spans]
    return bool(with_spans) and all(one.flat for one in with_spans)


def _split_of(problem: Problem) -> str:
    return problem.split


def _warn_of_unknown_labels(split: str, told: list[str]) -> None:
    shown = "; ".join(text.removeprefix(f"{split}: ") for text in told[:_SHOWN])
    more = f"; and {len(told) - _SHOWN} more labels" if len(told) > _SHOWN else ""
    warnings.warn(f"{split}: {shown}{more}", DataWarning, stacklevel=3)


def resolve_for(config: RunConfig, processor: Processor, *, has_validation: bool) -> RunConfig:
    """The configuration with all that it leaves open decided.

    Raises:
        InvalidSpecError: it does not fit together.
    """
    fitters_of(config, processor.task, has_validation=has_validation)
    config = _with_window_weights(config, processor.task)
    if config.fit is None and (default := choose_fitters(processor.task, has_validation=has_validation)):
        # The resolved task sets every field, so that nothing would be fitted by default when it is trained again.
        config = config.model_copy(update={"fit": [one.to_spec() for one in default]})
    return resolve_config(config, processor=processor, best_metric=selection_score(processor.task))


def _with_window_weights(config: RunConfig, task: Task) -> RunConfig:
    """Decide whether documents have the same weight in the loss, which requires a loss of this library."""
    if config.few_shot is not None:
        return config
    if config.sampling.weigh_windows is not None:
        if config.sampling.weigh_windows and config.data.train.streaming:
            raise InvalidSpecError(
                "sampling.weigh_windows needs the number of windows, which is unknown for a stream; remove it, or set "
                "sampling.windows_per_document: 1"
            )
        return config
    keeps_loss = config.model.architecture is not None or config.training.get("label_smoothing_factor")
    loss = config.loss or task.default_loss or (None if keeps_loss else model_loss(task))
    weighs = task.pools_windows and not task.own_loss and not config.data.train.streaming and loss is not None
    sampling = config.sampling.model_copy(update={"weigh_windows": weighs})
    changed = {"sampling": sampling, "loss": loss} if weighs else {"sampling": sampling}
    return config.model_copy(update=changed)


def fitters_of(config: RunConfig, task: Task, *, has_validation: bool) -> tuple[Fitter, ...]:
    """Return what the run fits to validation documents after training; see `choose_fitters`."""
    return choose_fitters(task, config.fit, calibrate=config.calibrate, has_validation=has_validation)


def warn_of_fitted_scores(fitters: Sequence[Fitter], splits: Collection[str]) -> None:
    """Warn that a run scores only documents that something is fitted to.

    Args:
        fitters: what the run fits to validation documents.
        splits: the names of the data sets.

    Warns:
        FittingWarning: something is fitted, and there is no test set.
    """
    fields = [field for one in fitters for field in one.fields]
    if fields and not set(splits).difference(("train", "validation")) and is_main_process():
        warnings.warn(
            f"{', '.join(fields)} will be fitted to the validation documents, and there is no test set: the only "
            "scores will be those of the same documents, which are too good; give data.test",
            FittingWarning,
            stacklevel=2,
        )


def warn_of_padded_batches(config: RunConfig, model: PreTrainedModel) -> None:
    """Warn that a model trains on padded batches, although its outputs depend on padding and inference does not pad.

    Warns:
        PaddingWarning: the family of the model mixes padding into its outputs, and a batch has several rows.
    """
    rows = config.training.get("per_device_train_batch_size", 1)
    if rows != 1 and mixes_padding(model) and is_main_process():
        warnings.warn(
            f"the outputs of {type(model).__name__} depend on padding: training pads the {rows} rows of a batch to the "
            "longest one, and evaluation and inference run each row alone without padding. Rows of similar length "
            "(the default order) keep the difference small; to remove it, set training.per_device_train_batch_size: 1 "
            f"and training.gradient_accumulation_steps: {rows}",
            PaddingWarning,
            stacklevel=2,
        )


def build_model(config: RunConfig, processor: Processor, train: Sequence[Document] | None = None) -> PreTrainedModel:
    """The base model with a fresh head for the task of a processor.

    Args:
        config: the run.
        processor: of the model.
        train: the training documents, at whose frequencies of labels a head starts, if its task says so; `None` if they
            are streamed.

    Raises:
        InvalidSpecError: `model.settings` has a key that the run decides, or that the model's configuration has not.
        ArtefactError: the base model is damaged.

    Warns:
        UserWarning: the base has a head of another shape, as that of another task or with other labels.
    """
    task = processor.task
    decided = {"dtype": "float32", "revision": config.model.revision, **task.model_settings()}
    if config.model.pooling is not None:
        decided["text_pooling"] = config.model.pooling
    taken = sorted(set(config.model.settings) & {*decided, "torch_dtype", "config", "pretrained_model_name_or_path"})
    if taken:
        raise InvalidSpecError(f"model.settings has {taken[0]!r}, which the run decides itself; leave it out")
    biases = {} if train is None else prior_biases(task, train)
    try:
        with reading_base(config.model.base):
            model, loaded = _class_of(config, task).from_pretrained(
                locate_base(config.model.base),
                output_loading_info=True,
                **{"ignore_mismatched_sizes": True, **config.model.settings, **decided},
            )
    except TypeError as error:
        raise InvalidSpecError(f"model.settings {config.model.settings!r} do not fit the model: {error}") from error
    new = new_head_weights(model, loaded["mismatched_keys"], base=config.model.base)
    task.prepare_model(model, processor.tokenizer)
    for head, bias in biases.items():
        start_head_at(model, bias, missing={*loaded["missing_keys"], *new}, head=head)
    built: PreTrainedModel = model
    return built


def _class_of(config: RunConfig, task: Task) -> Any:
    """The class of the task's model, or the one of the user; what no package has lets its source travel."""
    if config.model.architecture is None:
        return _pooled_class(config, task)
    own = architecture_named(config.model.architecture)
    if is_from_file(own):
        if not runs_saved_code(model_class(task)):
            raise InvalidSpecError(
                f"model.architecture {config.model.architecture!r} is from a file, whose source would have to travel "
                f"with the model; the task {task.name!r} loads none. Put the class into a package, and name its module "
                "under modules"
            )
        own.register_for_auto_class(task.auto_model)
    return own


def _pooled_class(config: RunConfig, task: Task) -> Any:
    """The class of the task's model, or the one that pools all tokens if the run needs it."""
    reason = "few_shot" if config.few_shot is not None else "model.pooling" if config.model.pooling else None
    own = model_class(task)
    if reason is None or (reason == "model.pooling" and "text_pooling" in getattr(own, "settings", ())):
        return own
    if task.auto_model != AutoModelForPooledSequenceClassification.replaces:
        raise InvalidSpecError(
            f"{reason} is set, but the task {task.name!r} has no head for the complete text; remove it"
        )
    return AutoModelForPooledSequenceClassification


def build_trainer(
    config: RunConfig, processor: Processor, splits: Splits, *, callbacks: Sequence[TrainerCallback] = ()
) -> DocumentTrainer:
    """The trainer of a resolved run, without the Trainer's own log lines."""
    documents = (
        splits["train"]
        if "train" in splits
        else DocumentStream(
            config.data.train,
            overlapping_spans=config.data.overlapping_spans,
            known_labels=KnownLabels.of(processor.task) if config.data.unknown_labels == "drop" else None,
        )
    )
    model = build_model(config, processor, splits.get("train"))
    if config.model.resize_embeddings:
        resize_embeddings(model, processor)
    fill_pad_token(model, processor)
    if config.model.reinitialize_layers:
        reinitialize_layers(model, config.model.reinitialize_layers)
    if config.model.adapter is not None:
        add_adapter(model, config.model.adapter)
    if config.model.freeze != []:
        freeze_parameters(model, config.model.freeze)
    warn_of_padded_batches(config, model)
    make_trainer = DocumentTrainer if config.few_shot is None else partial(FewShotTrainer, few_shot=config.few_shot)
    trainer = make_trainer(
        model,
        training_arguments(config, best_metric=selection_score(processor.task)),
        processing_class=processor,
        train_dataset=documents,
        eval_dataset=splits.get("validation"),
        callbacks=callbacks,
        training_attention=config.model.training_attention,
        learning_rates=config.learning_rates,
        ema=config.ema,
        distillation=config.distillation,
        loss=config.loss,
        sample_weight=config.data.sample_weight,
        weigh_windows=bool(config.sampling.weigh_windows),
        windows_per_document=config.sampling.windows_per_document,
        balance=config.sampling.power if config.sampling.balance == "label" else None,
        augmenter=Augmenter(config.augment, some_documents(documents), seed=config.seed) if config.augment else None,
        metrics=[Metric.from_spec(spec) for spec in config.metrics],
    )
    if config.early_stopping is not None:
        trainer.add_callback(stop_early(config.early_stopping))
    place_logs(trainer, config.folder)
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer
