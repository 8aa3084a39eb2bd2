"""What a run is, as a YAML file says it: every key is known, and every key can be overridden on the command line."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
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
from nlp_training.config.search import EarlyStopping, SearchConfig
from nlp_training.config.training_values import check_training_values
from nlp_training.config.user_modules import locate_files
from nlp_training.config.yaml_files import parse_yaml, read_yaml, yaml_text
from nlp_training.data.overlaps import OverlappingSpans
from nlp_training.data.sources import DataSource
from nlp_training.data.splits import SplitSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Section):
    """The model to start from.

    Args:
        base: a Hub id, a folder, or `package:NAME/FOLDER` for a folder inside an installed Python package.
        revision: branch, tag or commit on the Hub.
        architecture: the name of a model class of your own, see `nlp_inference.architectures.architecture`, in place of
            the one that the task takes.
        settings: keys of the model's own configuration to set, such as `hidden_dropout_prob: 0.2`.
        training_attention: attention implementation while training, such as `sdpa`; `None` takes `eager` on a CPU,
            where the backward pass of the fused one is slow, and the model's own elsewhere. Evaluation always takes
            the model's own, as production does.
        resize_embeddings: whether to add embeddings for tokens that the tokenizer has and the model has not, such as
            those of `tokenizer.add_tokens`; without it, such a pair is refused.
    """

    base: str
    revision: str = "main"
    architecture: str | None = None
    settings: dict[str, JsonValue] = {}
    training_attention: str | None = None
    resize_embeddings: bool = False


class DataConfig(_Section):
    """Where the documents come from; each a local file, a Hub id, or a mapping, see `nlp_training.data.DataSource`.

    `test` may name several sets. Without `validation`, nothing is evaluated before the end, and the last weights
    are kept.

    Args:
        split: `validation`, `test` or both, to be made of the documents of `train`, such as `{validation: 0.1}`.
        sample_weight: metadata key under which a training document says how much it counts in `loss`.
        max_lost_gold: the share of the training gold that no model of the task could give back, above which nothing is
            trained; 1 trains whatever is lost. See `nlp-training check-data`.
        overlapping_spans: what to do with gold spans that overlap, for a task that cannot express them: `error` refuses
            them; `outermost` and `longest` keep some, see `nlp_training.data.overlaps.keep_flat`, in all splits, so
            that evaluation compares with the reduced gold.
    """

    train: DataSource
    validation: DataSource | None = None
    test: dict[str, DataSource] = {}
    split: SplitSettings | None = None
    sample_weight: str | None = None
    max_lost_gold: Annotated[float, Field(ge=0, le=1)] = 0.1
    overlapping_spans: OverlappingSpans = "error"

    def sources(self) -> dict[str, tuple[DataSource, str]]:
        """The source of every split there is, with its usual name on the Hub: `train`, `validation`, the test sets."""
        usual = {"train": "train", "validation": "validation"}
        named = {"train": self.train, "validation": self.validation, **self.test}
        return {name: (source, usual.get(name, "test")) for name, source in named.items() if source is not None}

    @property
    def made(self) -> Collection[str]:
        """The names of the splits that are made of the training documents."""
        return self.split.shares if self.split is not None else ()

    @property
    def has_validation(self) -> bool:
        """Whether there is a split to evaluate on while training."""
        return self.validation is not None or "validation" in self.made

    @model_validator(mode="after")
    def _makes_no_split_that_is_given(self) -> Self:
        if twice := sorted({*self.made} & {*self.sources()}):
            raise ValueError(f"{twice[0]} is given, and split makes another one of train; leave one of them out")
        return self

    @model_validator(mode="after")
    def _streams_nothing_but_train(self) -> Self:
        streamed = [name for name, (source, _) in self.sources().items() if source.streaming]
        if others := [name for name in streamed if name != "train"]:
            raise ValueError(f"{others[0]} is streamed, but only train can be: what is evaluated is read as a whole")
        if streamed and self.split is not None:
            raise ValueError("train is streamed, so that no split can be made of it; give the others a source each")
        return self

    @field_validator("test", mode="before")
    @classmethod
    def _one_test_set(cls, value: Any) -> Any:
        is_source = isinstance(value, str) or (isinstance(value, Mapping) and set(value) & set(DataSource.model_fields))
        return {"test": value} if is_source else value

    @field_validator("test")
    @classmethod
    def _no_split_twice(cls, value: dict[str, DataSource]) -> dict[str, DataSource]:
        taken = sorted({"train", "validation"} & set(value))
        if taken:
            raise ValueError(f"a test set is named {taken[0]!r}, as another split is; give it a name of its own")
        return value


class ProcessorConfig(_Section):
    """Everything that decides a prediction apart from the weights; see `nlp_inference.Processor`.

    A task without labels takes those of the training documents, sorted.

    Args:
        task: what is predicted.
        preprocess: transforms of the text before the model.
        postprocess: transforms of the prediction after the model.
        windows: how long texts are cut. Without `max_length`, a window has as many tokens as tokenizer and model allow.
        pad_token: a token of the vocabulary to pad with, for a tokenizer without a padding token; `None` takes the one
            for the end of a text then. Padding is masked, so that any token serves.
    """

    task: str | dict[str, Any]
    preprocess: list[str | dict[str, Any]] = []
    postprocess: list[str | dict[str, Any]] = []
    windows: WindowSettings = WindowSettings()
    pad_token: str | None = None


class SamplingConfig(_Section):
    """Which training documents an epoch has; see `nlp_training.batches.samplers`.

    Args:
        balance: `label` draws documents the more often the rarer their labels are, as many as there are; `none` takes
            each once.
        power: how much more often: 1 makes labels equally frequent, less meets them part of the way.
    """

    balance: Literal["none", "label"] = "none"
    power: Annotated[float, Field(gt=0, le=1)] = 1.0


class GoldenConfig(_Section):
    """The texts of `golden.json`, with which anyone can verify the model; they are published with it.

    A fixed set of hostile texts is always among them.

    Args:
        records: validation documents to draw, by the run's seed. 0 draws none, if your texts are not for others.
        file: JSON Lines with texts of your own to record, as `nlp-inference predict` reads them.
    """

    records: NonNegativeInt = 32
    file: str | None = None


class RunConfig(_Section):
    """A run: `model`, `data`, `processor`, and `training`, which takes every field of `transformers.TrainingArguments`.

    Args:
        name: of the folder that the run makes, under `output_dir`.
        output_dir: where runs are kept.
        seed: of everything random.
        modules: code of your own, imported before anything is built: files such as `my_ideas.py`, looked for beside the
            configuration and then in the working directory, or modules that Python finds, such as `my_package.ideas`.
            An installed package that declares what it has as entry points needs no mention.
        cpu_threads: threads of each process on a CPU; `None` takes `OMP_NUM_THREADS`, and where that is not set shares
            the cores among the processes of this machine.
        model: what to start from.
        data: what to learn from.
        processor: everything that decides a prediction apart from the weights.
        loss: what to minimise, such as `{focal: {gamma: 2}}`; see `nlp_training.losses`. `None` means the model's own.
        sampling: which training documents an epoch has.
        metrics: further scores, by the names of metrics of your own; see `nlp_training.metrics.Metric`.
        augment: random changes of the training documents, such as `{keyboard_typos: 0.2}`; see `nlp_training.augment`.
        training: how to train.
        early_stopping: when training ends before its last epoch, such as `{patience: 3}`; needs validation documents.
        search: what `nlp-training search` tries; not used by anything else.
        calibrate: whether to fit the task's temperature on the validation documents, after training.
        fit: what else to fit on the validation documents after training, such as `[thresholds]`; see
            `nlp_training.evaluation.Fitter`. `None` fits what the task fits by default, if there are validation
            documents and the config does not set the same fields of the task; `[]` fits nothing.
        golden: the texts that are recorded with the model, to verify it with.

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
    seed: int = 42
    modules: list[str] = []
    cpu_threads: PositiveInt | None = None
    model: ModelConfig
    data: DataConfig
    processor: ProcessorConfig
    loss: str | dict[str, Any] | None = None
    sampling: SamplingConfig = SamplingConfig()
    metrics: list[str | dict[str, Any]] = []
    augment: list[str | dict[str, Any]] = []
    training: dict[str, JsonValue] = {}
    early_stopping: EarlyStopping | None = None
    search: SearchConfig | None = None
    calibrate: bool = False
    fit: tuple[Spec, ...] | None = None
    golden: GoldenConfig = GoldenConfig()

    @property
    def folder(self) -> Path:
        """Where the run leaves what it makes."""
        return Path(self.output_dir) / self.name


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a run's YAML file.

    Args:
        path: the file.
        overrides: `key.of.a.section=value` each, the value in YAML; they win over the file.

    Raises:
        InvalidSpecError: the file is not there or not YAML, a key is unknown, or a value does not fit.

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
    """Set `key.of.a.section`; sections that are not there are made, in place of anything that is no section.

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
    """Write a configuration, every default of the sections included, so that `load_config` reads it again."""
    Path(path).write_text(config_text(config), encoding="utf-8")


def config_text(config: RunConfig) -> str:
    """A configuration as `save_config` writes it."""
    return yaml_text(config.model_dump(mode="json", exclude_none=True))
