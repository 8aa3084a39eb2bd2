"""Which files of a model are published: those on a list, weights as safetensors only, and nothing else."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_inference.architectures.checkpoint_files import PICKLE_SUFFIXES, find_weight_files
from nlp_inference.errors import PublishError

_NEEDED = ("processor_config.json", "config.json", "tokenizer.json", "golden.json", "README.md")
_MAY_COME = (
    "added_tokens.json",
    "chat_template.jinja",
    "data_report.json",
    "generation_config.json",
    "merges.txt",
    "metrics.json",
    "model.safetensors.index.json",
    "profile.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.model",
    "tokenizer_config.json",
    "training.yaml",
    "training_log.json",
    "vocab.json",
    "vocab.txt",
)
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_CODE_RUNS = frozenset({*PICKLE_SUFFIXES, ".pickle", ".joblib", ".h5", ".keras", ".npy", ".msgpack"})
_SECRET = re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b")


@dataclass(frozen=True, slots=True)
class Release:
    """What is published of a folder.

    Attributes:
        folder: where the files are.
        files: those that are sent, by name.
        code: those of `files` that are the source of custom transforms, which the user asked to be saved.
        left_out: names of what else is there, and stays here.
    """

    folder: Path
    files: dict[str, Path]
    code: frozenset[str]
    left_out: tuple[str, ...]


def find_release(run: str | Path) -> Release:
    """Find the files of a run that are published.

    Args:
        run: the folder of a run, or its `model` folder.

    Raises:
        PublishError: there is no whole model; there are files that run code when they are opened; a file that is to
            be sent holds a token of the Hub; or the source of a custom transform was changed since it was saved.
        ArtefactError: the weights are not whole.
    """
    folder = _model_folder(Path(run))
    there = {path.name: path for path in sorted(folder.iterdir())}
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        raise PublishError(f"{str(folder)!r} has no {', '.join(missing)}; publish a folder that nlp-training wrote")
    _refuse_pickles(there)
    weights = {path.name for path in find_weight_files(folder)}
    code = _custom_code(folder)
    wanted = {*_NEEDED, *_MAY_COME, *weights, *code}
    files = {name: path for name, path in there.items() if name in wanted and path.is_file()}
    _refuse_secrets({name: path for name, path in files.items() if name not in weights})
    return Release(folder, files, frozenset(code), tuple(name for name in there if name not in files))


def is_ours(name: str) -> bool:
    """Whether a file of a repository is one that an earlier release may have put there.

    Example:
        >>> is_ours("model-00001-of-00002.safetensors"), is_ours("golden.json"), is_ours("LICENSE")
        (True, True, False)
    """
    return name in {*_NEEDED, *_MAY_COME} or _WEIGHTS.fullmatch(name) is not None


def _model_folder(run: Path) -> Path:
    for folder in (run, run / "model"):
        if (folder / "processor_config.json").is_file():
            return folder
    raise PublishError(
        f"there is no model in {str(run)!r}: neither it nor its folder 'model' holds a processor_config.json; "
        "give the folder of a run that nlp-training finished"
    )


def _refuse_pickles(there: Iterable[str]) -> None:
    found = [name for name in there if Path(name).suffix in _CODE_RUNS]
    if found:
        raise PublishError(
            f"the folder holds {', '.join(found)}, which can run any code when it is opened; weights are published as "
            "safetensors only: save the model with model.save_pretrained(folder), and take these files away"
        )


def _refuse_secrets(files: dict[str, Path]) -> None:
    for name, path in files.items():
        if _SECRET.search(path.read_bytes()):
            raise PublishError(
                f"{name!r} holds what looks like a token of the Hub (hf_...); take it out, and revoke it"
            )


def _custom_code(folder: Path) -> set[str]:
    """Names of the source files that `processor_config.json` says were saved with the model, if they still are it."""
    try:
        config: Any = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
        named = {name: digest for one in config.get("custom", []) for name, digest in one.get("files", {}).items()}
    except (ValueError, AttributeError) as error:
        raise PublishError(f"processor_config.json cannot be read: {error}; save the processor again") from error
    for name, digest in named.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise PublishError(
                f"processor_config.json names the source file {name!r}, which is not there or not the one that was "
                "saved; save the processor again"
            )
    return set(named)
