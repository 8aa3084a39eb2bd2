"""The configuration of a run: the sections and keys of its YAML file. The command line can override every key."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec, explain
from nlp_training.config.model import DistillationSettings, EmaSettings, FewShot, LearningRates, ModelConfig
from nlp_training.config.search import EarlyStopping, SearchConfig
from nlp_training.config.section import Section
from nlp_training.config.training_values import check_training_values
from nlp_training.config.user_modules import locate_files
from nlp_training.config.yaml_files import parse_yaml, read_yaml, yaml_text
from nlp_training.data.checks import UnknownLabels
from nlp_training.data.overlaps import OverlappingSpans
from nlp_training.data.sources import DataSource
from nlp_training.data.splits import SplitSettings


class DataConfig(Section):
    """The documents of each split. Each source is a file, a Hub id or a mapping; see `nlp_training.data.DataSource`.

    Args:
        train: the training documents.
        validation: the documents to evaluate on during training. Without them, the run evaluates only at the end and
            keeps the last weights.
        test: one or more test sets by name; null ones are left out. A single source becomes the test set `test`.
        split: the shares of `validation`, `test` or both to split off from `train`, such as `{validation: 0.1}`.
        sample_weight: the metadata key that contains the weight of a training document in `loss`.
        max_lost_gold: the largest share of the training gold that no model of the task can predict. Training stops
            with an error above it; 1 accepts any loss. See `nlp-training check-data`.
        overlapping_spans: how to handle overlapping gold spans if the task cannot express them: `error` raises an
            error; `outermost` and `longest` keep a subset in all splits, so evaluation compares with the reduced gold.
            See `nlp_training.data.overlaps.keep_flat`.
        unknown_labels: how to handle gold labels that the task does not know: `warn` accepts them except in `train`,
            and they count as misses; `error` accepts them nowhere; `drop` drops them from all splits and counts them,
            so evaluation compares with the reduced gold. A document that has no other gold is dropped too.
    """

    train: DataSource
    validation: DataSource | None = None
    test: dict[str, DataSource] = Field(default_factory=dict)
    split: SplitSettings | None = None
    sample_weight: str | None = None
    max_lost_gold: Annotated[float, Field(ge=0, le=1)] = 0.1
    overlapping_spans: OverlappingSpans = "error"
    unknown_labels: UnknownLabels = "warn"

    def sources(self) -> dict[str, tuple[DataSource, str]]:
        """Return the source and the usual split name on the Hub of each split: `train`, `validation`, the test sets."""
        usual = {"train": "train", "validation": "validation"}
        named = {"train": self.train, "validation": self.validation, **self.test}
        return {name: (source, usual.get(name, "test")) for name, source in named.items() if source is not None}

    @property
    def made(self) -> Collection[str]:
        """The names of the splits that are split off from the training documents."""
        return self.split.shares if self.split is not None else ()

    @property
    def has_validation(self) -> bool:
        """Whether there is a split to evaluate on during training."""
        return self.validation is not None or "validation" in self.made

    @model_validator(mode="after")
    def _makes_no_split_that_is_given(self) -> Self:
        if twice := sorted({*self.made} & {*self.sources()}):
            raise ValueError(f"{twice[0]} has a source, and split also makes it from train; remove one of them")
        return self

    @model_validator(mode="after")
    def _streams_nothing_but_train(self) -> Self:
        streamed = [name for name, (source, _) in self.sources().items() if source.streaming]
        if others := [name for name in streamed if name != "train"]:
            raise ValueError(f"{others[0]} is streamed, but only train can be; evaluation loads all documents")
        if streamed and self.split is not None:
            raise ValueError("train is streamed, so it cannot be split; give each other split a source")
        return self

    @field_validator("test", mode="before")
    @classmethod
    def _one_test_set(cls, value: Any) -> Any:
        if value is None:  # `data.test=null` on the command line removes the test sets of a file
            return {}
        is_source = isinstance(value, str) or (isinstance(value, Mapping) and set(value) & set(DataSource.model_fields))
        if isinstance(value, Mapping) and not is_source:
            return {name: source for name, source in value.items() if source is not None}
        return {"test": value} if is_source else value

    @field_validator("test")
    @classmethod
    def _no_split_twice(cls, value: dict[str, DataSource]) -> dict[str, DataSource]:
        taken = sorted({"train", "validation"} & set(value))
        if taken:
            raise ValueError(f"a test set is named {taken[0]!r}, but another split has this name; rename the test set")
        return value


class ProcessorConfig(Section):
    """Everything that determines a prediction except the weights; see `nlp_inference.Processor`.

    A task without labels gets the sorted labels of the training documents.

    Args:
        task: the task to learn.
        preprocess: the transforms of the text before the model.
        postprocess: the transforms of the prediction after the model.
        windows: how to split long texts. Without `max_length`, a window has as many tokens as tokenizer and model
            allow.
        pad_token: the vocabulary token to pad with if the tokenizer has no padding token. `None` means its
            end-of-text token. Padding is masked, so any token works.
    """

    task: str | dict[str, Any]
    preprocess: list[str | dict[str, Any]] = Field(default_factory=list)
    postprocess: list[str | dict[str, Any]] = Field(default_factory=list)
    windows: WindowSettings = WindowSettings()
    pad_token: str | None = None


class SamplingConfig(Section):
    """How to sample the training documents of an epoch; see `nlp_training.batches.samplers`.

    Args:
        balance: `label` draws documents with rare labels more often, as many draws as there are documents; `none`
            uses each document once.
        weigh_windows: whether each document has the same weight in the loss, instead of each window. `None` means true
            for tasks whose windows have the targets of the complete text, such as text classification, unless `train`
            is streamed.
        windows_per_document: how many random windows of a longer document an epoch uses, other ones in each epoch;
            `None` uses all. It bounds the time that long documents take in training.
        power: the strength of balancing: 1 makes labels equally frequent, smaller values balance them partially.
    """

    balance: Literal["none", "label"] = "none"
    power: Annotated[float, Field(gt=0, le=1)] = 1.0
    weigh_windows: bool | None = None
    windows_per_document: PositiveInt | None = None


class GoldenConfig(Section):
    """The texts of `golden.json`, which verify the saved model on any machine. They are published with the model.

    `golden.json` always includes a fixed set of difficult texts.

    Args:
        records: the number of validation documents to draw with the seed of the run. Set 0 if your texts are private.
        file: a JSON Lines file with more texts to record, in the format that `nlp-inference predict` reads.
    """

    records: NonNegativeInt = 32
    file: str | None = None


class RunConfig(Section):
    """The configuration of a run.

    Args:
        name: the name of the run and of its folder in `output_dir`.
        output_dir: the folder that contains runs.
        seed: the seed of all random operations, less than 2^32.
        modules: user modules to import before anything is built: files such as `my_ideas.py`, searched next to the
            configuration and then in the working directory, or importable modules such as `my_package.ideas`. An
            installed package that declares entry points does not need to be listed.
        cpu_threads: the number of threads of each process on a CPU. `None` means `OMP_NUM_THREADS`; if that is not
            set, the processes of this machine share its cores.
        model: the pretrained model to start from.
        data: the documents of each split.
        processor: everything that determines a prediction except the weights.
        loss: the loss to minimize, such as `{focal: {gamma: 2}}`; see `nlp_training.losses`. `None` means the loss of
            the model.
        sampling: how to sample the training documents of an epoch.
        metrics: additional custom metrics by name; see `nlp_training.metrics.Metric`.
        few_shot: train from 8 to 64 documents per label, such as `{encoder: frozen}`; see
            `nlp_training.config.few_shot.FewShot`. `{}` takes its defaults, `None` trains all weights as usual.
        augment: random changes of the training documents, such as `{keyboard_typos: 0.2}`; see `nlp_training.augment`.
        training: any field of `transformers.TrainingArguments`.
        ema: how to average the weights over the steps, such as `{decay: 0.999}`; the average is evaluated and saved.
        distillation: learn outputs and hidden states of a teacher in addition to gold, such as
            `{teacher: runs/large/model}`; the loss `distillation` learns its probabilities of classes.
        learning_rates: rates of the head and of layers that differ from that of the run, such as `{head: 1.0e-3}`.
        early_stopping: when to stop before the last epoch, such as `{patience: 3}`; requires validation documents.
        search: the search space of `nlp-training search`; other commands ignore it.
        calibrate: whether to fit the temperature of the task on the validation documents after training.
        fit: what to fit on the validation documents after training, such as `[thresholds]`; see
            `nlp_training.evaluation.Fitter`. `None` fits what the task fits by default, if there are validation
            documents and the config does not set the same fields of the task; `[]` fits nothing.
        golden: the texts that are recorded with the model to verify it.

    Example:
        >>> config = RunConfig.model_validate({
        ...     "name": "demo", "model": {"base": "bert-base-cased"}, "data": {"train": "train.jsonl"},
        ...     "processor": {"task": "text-classification"}, "training": {"num_train_epochs": 3},
        ... })
        >>> config.data.train.path
        'train.jsonl'
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    output_dir: str = "runs"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    modules: list[str] = Field(default_factory=list)
    cpu_threads: PositiveInt | None = None
    model: ModelConfig
    data: DataConfig
    processor: ProcessorConfig
    loss: str | dict[str, Any] | None = None
    sampling: SamplingConfig = SamplingConfig()
    metrics: list[str | dict[str, Any]] = Field(default_factory=list)
    augment: list[str | dict[str, Any]] = Field(default_factory=list)
    training: dict[str, JsonValue] = Field(default_factory=dict)
    ema: EmaSettings | None = None
    distillation: DistillationSettings | None = None
    learning_rates: LearningRates | None = None
    few_shot: FewShot | None = None
    early_stopping: EarlyStopping | None = None
    search: SearchConfig | None = None
    calibrate: bool = False
    fit: list[Spec] | None = None
    golden: GoldenConfig = GoldenConfig()

    @model_validator(mode="after")
    def _few_shot_reads_all_sections(self) -> Self:
        """Refuse sections that few-shot training would ignore."""
        if self.few_shot is None:
            return self
        others = {
            "loss": self.loss,
            "distillation": self.distillation,
            "augment": self.augment,
            "sampling": self.sampling != SamplingConfig(),
            "early_stopping": self.early_stopping,
            "data.sample_weight": self.data.sample_weight,
            "model.pooling": self.model.pooling not in (None, "mean"),
            "data.train.streaming": self.data.train.streaming,
        }
        if ignored := [name for name, value in others.items() if value]:
            raise ValueError(f"few_shot does not read {', '.join(ignored)}; remove it, or remove few_shot")
        return self

    @property
    def folder(self) -> Path:
        """The folder that the run writes to."""
        return Path(self.output_dir) / self.name


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a run's YAML file.

    Args:
        path: the file.
        overrides: strings `key.of.a.section=value` with the value in YAML; they take precedence over the file.

    Raises:
        InvalidSpecError: the file does not exist or is not YAML, a key is unknown, or a value is invalid.

    Example:
        >>> load_config("configs/quickstart.yaml", ["training.num_train_epochs=1"]).training["num_train_epochs"]
        1
    """
    content = read_yaml(path)
    for override in overrides:
        _override(content, override)
    try:
        config = RunConfig.model_validate(content)
    except ValidationError as error:
        raise InvalidSpecError(f"{path}: {explain(error, RunConfig)}") from error
    try:
        check_training_values(config.training)
    except InvalidSpecError as error:
        raise InvalidSpecError(f"{path}: {error}") from error
    return config.model_copy(update={"modules": locate_files(config.modules, beside=Path(path).parent)})


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InvalidSpecError(f"cannot read the override {override!r}; write key=value, such as seed=1")
    try:
        set_key(content, key, parse_yaml(value))
    except yaml.YAMLError as error:
        raise InvalidSpecError(f"the value of the override {override!r} is not valid YAML: {error}") from error


def set_key(content: dict[str, Any], key: str, value: Any) -> None:
    """Set `key.of.a.section` in place; create missing sections, and replace a parent that is not a section.

    Example:
        >>> content = {"loss": "focal"}
        >>> set_key(content, "loss.focal.gamma", 1.5)
        >>> content
        {'loss': {'focal': {'gamma': 1.5}}}
    """
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    section[last] = value


def save_config(config: RunConfig, path: str | Path) -> None:
    """Write a configuration, including all defaults, in a form that `load_config` reads."""
    Path(path).write_text(config_text(config), encoding="utf-8")


def config_text(config: RunConfig) -> str:
    """Return the YAML text that `save_config` writes."""
    return yaml_text(config.model_dump(mode="json", exclude_none=True))
