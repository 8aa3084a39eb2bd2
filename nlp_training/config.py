"""What a run is, as a YAML file says it: every key is known, and every key can be overridden on the command line."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

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
)

from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import explain
from nlp_inference.windowing import WindowSettings
from nlp_training.data.sources import DataSource

_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's numbers and booleans: as YAML 1.1 says, PyYAML takes `3e-4` for a string and `no` for false."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML's own loaders
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _YamlDumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as a string."""


_Yaml.add_implicit_resolver(_BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
for _class in (_Yaml, _YamlDumper):
    _class.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Section):
    """The model to start from.

    Args:
        base: a Hub id, a folder, or `package:NAME/FOLDER` for a folder inside an installed Python package.
        revision: branch, tag or commit on the Hub.
        settings: keys of the model's own configuration to set, such as `hidden_dropout_prob: 0.2`.
        training_attention: attention implementation while training, such as `sdpa`; `None` takes `eager` on a CPU,
            where the backward pass of the fused one is slow, and the model's own elsewhere. Evaluation always takes
            the model's own, as production does.
    """

    base: str
    revision: str = "main"
    settings: dict[str, JsonValue] = {}
    training_attention: str | None = None


class DataConfig(_Section):
    """Where the documents come from; each a local file, a Hub id, or a mapping, see `nlp_training.data.DataSource`.

    `test` may name several sets. Without `validation`, nothing is evaluated before the end, and the last weights
    are kept.

    Args:
        sample_weight: metadata key under which a training document says how much it counts in `loss`.
    """

    train: DataSource
    validation: DataSource | None = None
    test: dict[str, DataSource] = {}
    sample_weight: str | None = None

    def sources(self) -> dict[str, tuple[DataSource, str]]:
        """The source of every split there is, with its usual name on the Hub: `train`, `validation`, the test sets."""
        usual = {"train": "train", "validation": "validation"}
        named = {"train": self.train, "validation": self.validation, **self.test}
        return {name: (source, usual.get(name, "test")) for name, source in named.items() if source is not None}

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
        modules: modules that define transforms or tasks of your own, such as `my_package.transforms`; they are imported
            before the processor is built. An installed package that declares them as entry points needs no mention.
    """

    modules: list[str] = []
    task: str | dict[str, Any]
    preprocess: list[str | dict[str, Any]] = []
    postprocess: list[str | dict[str, Any]] = []
    windows: WindowSettings = WindowSettings()


class SamplingConfig(_Section):
    """Which training documents an epoch has; see `nlp_training.sampling`.

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
        cpu_threads: threads of each process on a CPU; `None` shares the cores among the processes of this machine.
        model: what to start from.
        data: what to learn from.
        processor: everything that decides a prediction apart from the weights.
        loss: what to minimise, such as `{focal: {gamma: 2}}`; see `nlp_training.losses`. `None` means the model's own.
        sampling: which training documents an epoch has.
        augment: random changes of the training documents, such as `{keyboard_typos: 0.2}`; see `nlp_training.augment`.
        training: how to train.
        calibrate: whether to fit the task's temperature on the validation documents, after training.
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
    cpu_threads: PositiveInt | None = None
    model: ModelConfig
    data: DataConfig
    processor: ProcessorConfig
    loss: str | dict[str, Any] | None = None
    sampling: SamplingConfig = SamplingConfig()
    augment: list[str | dict[str, Any]] = []
    training: dict[str, JsonValue] = {}
    calibrate: bool = False
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
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Yaml)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise InvalidSpecError(f"there is no configuration {str(path)!r}; those that ship are in configs/") from error
    except OSError as error:
        raise InvalidSpecError(f"the configuration {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSpecError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise InvalidSpecError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidSpecError(f"{path} holds {type(content).__name__}, expected a mapping with the keys of a run")
    for override in overrides:
        _override(content, override)
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise InvalidSpecError(f"{path}: {explain(error, RunConfig)}") from error


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InvalidSpecError(f"cannot read the override {override!r}; write key=value, such as seed=1")
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        if not isinstance(section.get(parent), dict):
            section[parent] = {}
        section = section[parent]
    try:
        section[last] = yaml.load(value, Loader=_Yaml)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidSpecError(f"the value of the override {override!r} is not valid YAML: {error}") from error


def save_config(config: RunConfig, path: str | Path) -> None:
    """Write a configuration, every default of the sections included, so that `load_config` reads it again."""
    content = config.model_dump(mode="json", exclude_none=True)
    text = yaml.dump(content, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")
