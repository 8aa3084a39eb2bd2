"""A stock checkpoint of transformers: its files, configuration, tokenizer and stored tensors, without its weights."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from nlp_inference._utils.cached import cached
from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference.architectures.checkpoint_files import WeightFiles, find_weight_files
from nlp_inference.architectures.checkpoint_tensors import StoredTensor, read_headers
from nlp_inference.architectures.config_sizes import check_config_sizes
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.architectures.model_limits import model_limits
from nlp_inference.errors import ArtefactError
from nlp_inference.hub import SETTINGS_FILES, WEIGHT_FILES, artefact_folder
from nlp_inference.tasks.labels import label_settings
from nlp_training._utils.base_model import locate_base
from nlp_training.adopt.deduction import UnsupportedModelError
from nlp_training.adopt.foreign import read_json, refuse_foreign

_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}


@dataclass
class StockModel:
    """A stock checkpoint.

    Attributes:
        source: the folder or the Hub id.
        folder: the folder of its files.
        commit: the commit on the Hub; `None` for a folder.
        config_json: the content of `config.json`.
        config: its configuration.
        tokenizer: a fast tokenizer, which deductions change.
        untouched: the tokenizer as it is saved, for the stock way of using the model.
        weights: the files of its weights.
        tensors: its stored tensors, by name.
    """

    source: str
    folder: Path
    commit: str | None
    config_json: Mapping[str, Any]
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    untouched: PreTrainedTokenizerBase
    weights: WeightFiles
    tensors: Mapping[str, StoredTensor]

    @classmethod
    def open(cls, source: str, *, revision: str = "main", add_prefix_space: bool | None = None) -> "StockModel":
        """Read a checkpoint from a folder or the Hub, without the values of its weights.

        Args:
            source: a folder, a Hub id, or `package:NAME/FOLDER`.
            revision: the branch, tag or commit of a Hub id.
            add_prefix_space: a setting of the tokenizer; `None` is that of the checkpoint.

        Raises:
            UnsupportedModelError: it is a model of another library, needs its own code, or has no fast tokenizer.
            ArtefactError: there is no such model, or its files are damaged.
        """
        place = locate_base(source)
        folder = artefact_folder(place, files=SETTINGS_FILES, revision=revision)
        refuse_foreign(folder, source=source)
        commit = None if Path(place).is_dir() else folder.name
        # the branch may have moved since the settings were read
        folder = artefact_folder(place, files=(*SETTINGS_FILES, *WEIGHT_FILES), revision=commit or revision)
        weights = _weights(folder, source)
        tensors = read_headers(weights, prefixes={})
        config_json = read_json(folder / "config.json")
        check_config_sizes(config_json, source=source, shapes=[one.shape for one in tensors.values()])
        with as_artefact_errors(f"the model {source!r}"):
            config = AutoConfig.from_pretrained(folder)
            tokenizer, untouched = (
                _tokenizer(folder, source, add_prefix_space=given) for given in (add_prefix_space, None)
            )
        return cls(source, folder, commit, config_json, config, tokenizer, untouched, weights, tensors)

    @property
    def architectures(self) -> tuple[str, ...]:
        """The classes that `config.json` names."""
        return tuple(self.config_json.get("architectures") or ())

    @property
    def id2label(self) -> dict[int, str]:
        """The names of the outputs in `config.json`; those of transformers where it has none."""
        stated = self.config_json.get("id2label")
        if isinstance(stated, dict):
            return {int(row): str(name) for row, name in stated.items() if str(row).isdigit()}
        return {int(row): name for row, name in (self.config.id2label or {}).items()}

    @cached
    def outline(self) -> nn.Module:
        """The model without memory, on the meta device."""
        with torch.device("meta"):
            outline: nn.Module = self.model_class(copy.deepcopy(self.config))
        return outline

    @property
    def model_class(self) -> Any:
        """The class of the model.

        Raises:
            UnsupportedModelError: the installed transformers has no such class.
        """
        name = next(iter(self.architectures), "")
        found = getattr(transformers, name, None)
        if found is None:
            raise UnsupportedModelError(
                f"config.json of {self.source!r} names the class {name!r}, which transformers "
                f"{transformers.__version__} does not have; install the version that saved it"
            )
        return found

    @property
    def limits(self) -> ModelLimits:
        """The limits of the model."""
        return model_limits(self.outline)

    @property
    def dtype(self) -> str:
        """The precision of most of the stored weights."""
        counted = Counter(one.dtype for one in self.tensors.values())
        most = counted.most_common(1)[0][0] if counted else "F32"
        return _DTYPES.get(most, most)

    def load(self, names: Sequence[str] | None) -> PreTrainedModel:
        """Load the weights in float32 on the CPU.

        Args:
            names: the names of the outputs; `None` keeps those of the checkpoint.

        Raises:
            UnsupportedModelError: the checkpoint lacks weights, so that predictions would be random.
        """
        config = copy.deepcopy(self.config)
        if names is not None:
            config.update(label_settings(names))
        with as_artefact_errors(f"the model {self.source!r}"):
            model, report = self.model_class.from_pretrained(
                self.folder, config=config, dtype="float32", use_safetensors=True, output_loading_info=True
            )
        missing = sorted(map(str, (*report["missing_keys"], *report["mismatched_keys"])))
        if missing:
            raise UnsupportedModelError(
                f"the weights of {self.source!r} lack {', '.join(missing[:5])}, so that predictions would be random; "
                "adopt a fine-tuned model, or fine-tune this one: nlp-training train"
            )
        fill = model.config.get_text_config()
        if getattr(fill, "pad_token_id", None) is None:
            fill.pad_token_id = self.tokenizer.pad_token_id
        loaded: PreTrainedModel = model.eval()
        return loaded

    def head_rows(self) -> int:
        """Return the number of outputs of the head, from the stored weights.

        It differs from `config.num_labels` if `id2label` has gaps.
        """
        stated = int(self.config.num_labels or 0)
        stored = self.tensors.get(f"{head_name(self.outline, stated)}.weight")
        return stated if stored is None else stored.shape[0]


def head_name(model: nn.Module, rows: int) -> str | None:
    """Return the name of the last linear layer of a model with this number of outputs.

    Example:
        >>> head_name(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)), 3)
        '2'
    """
    found = [name for name, one in model.named_modules() if isinstance(one, nn.Linear) and one.out_features == rows]
    return found[-1] if found else None


def _weights(folder: Path, source: str) -> WeightFiles:
    try:
        return find_weight_files(folder)
    except ArtefactError as error:
        if any(folder.glob("*.safetensors*")):  # a shard is missing
            raise
        raise UnsupportedModelError(
            f"{source!r} has no weights in safetensors: {error}. The owner of a model on the Hub can add them with "
            "https://huggingface.co/spaces/safetensors/convert"
        ) from error


def _tokenizer(folder: Path, source: str, *, add_prefix_space: bool | None) -> PreTrainedTokenizerBase:
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise UnsupportedModelError(
            f"{source!r} has no tokenizer ({', '.join(_TOKENIZERS[:3])}, ...); save that of its base model next to it: "
            "AutoTokenizer.from_pretrained(BASE).save_pretrained(FOLDER)"
        )
    settings = {} if add_prefix_space is None else {"add_prefix_space": add_prefix_space}
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **settings)
    if not tokenizer.is_fast:
        raise UnsupportedModelError(
            f"the tokenizer of {source!r}, {type(tokenizer).__name__}, has no fast version, so that its tokens have no "
            "offsets; adopt a model with a tokenizer.json"
        )
    return tokenizer
