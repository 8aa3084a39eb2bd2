"""The objects of a run, from its configuration: documents, processor, model, trainer."""

from collections.abc import Sequence
from importlib import import_module

from transformers import AutoTokenizer, PreTrainedModel, PrinterCallback, ProgressCallback, TrainerCallback

from nlp_inference import Document, Processor, Task
from nlp_inference.backends.torch import model_class
from nlp_inference.errors import InvalidSpecError
from nlp_training.arguments import training_arguments
from nlp_training.augment import Augmenter
from nlp_training.base_model import locate_base
from nlp_training.config import RunConfig
from nlp_training.data import load_documents
from nlp_training.labels import with_labels
from nlp_training.metrics import document_metric
from nlp_training.trainer import DocumentTrainer

Splits = dict[str, list[Document]]


def load_splits(config: RunConfig) -> Splits:
    """The documents of every split: `train`, `validation` if there is one, and the test sets by their names."""
    return {
        name: load_documents(source, default_split=split) for name, (source, split) in config.data.sources().items()
    }


def build_processor(config: RunConfig, train: list[Document]) -> Processor:
    """The processor that the configuration describes, with the labels of the training documents if it names none."""
    tokenizer = AutoTokenizer.from_pretrained(locate_base(config.model.base), revision=config.model.revision)
    settings = config.processor
    import_modules(settings.modules)
    return Processor(
        tokenizer, with_labels(settings.task, train), settings.preprocess, settings.postprocess, settings.windows
    )


def import_modules(modules: Sequence[str]) -> None:
    """Import the modules that define transforms and tasks of the user.

    Raises:
        InvalidSpecError: one cannot be imported.
    """
    for name in modules:
        try:
            import_module(name)
        except Exception as error:
            raise InvalidSpecError(
                f"processor.modules names {name!r}, which cannot be imported: {type(error).__name__}: {error}; "
                "install the package that it belongs to, or take it out"
            ) from error


def build_model(config: RunConfig, task: Task) -> PreTrainedModel:
    """The base model with a fresh head for `task`.

    Raises:
        InvalidSpecError: `model.settings` has a key that the run decides, or that the model's configuration has not.
    """
    decided = {"dtype": "float32", "revision": config.model.revision, **task.model_settings()}
    taken = sorted(set(config.model.settings) & {*decided, "torch_dtype", "config", "pretrained_model_name_or_path"})
    if taken:
        raise InvalidSpecError(f"model.settings has {taken[0]!r}, which the run decides itself; leave it out")
    try:
        model: PreTrainedModel = model_class(task).from_pretrained(
            locate_base(config.model.base), **config.model.settings, **decided
        )
    except TypeError as error:
        raise InvalidSpecError(f"model.settings {config.model.settings!r} do not fit the model: {error}") from error
    return model


def build_trainer(
    config: RunConfig, processor: Processor, splits: Splits, *, callbacks: Sequence[TrainerCallback] = ()
) -> DocumentTrainer:
    """The trainer of a resolved run, without the Trainer's own log lines."""
    trainer = DocumentTrainer(
        build_model(config, processor.task),
        training_arguments(config, best_metric=document_metric(processor.task.needs).best),
        processing_class=processor,
        train_dataset=splits["train"],
        eval_dataset=splits.get("validation"),
        callbacks=callbacks,
        training_attention=config.model.training_attention,
        loss=config.loss,
        sample_weight=config.data.sample_weight,
        balance=config.sampling.power if config.sampling.balance == "label" else None,
        augmenter=Augmenter(config.augment, splits["train"], seed=config.seed) if config.augment else None,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer
