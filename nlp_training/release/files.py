"""The selection of published files: only those on a list, and weights only as safetensors."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from nlp_inference._utils.digests import file_digest
from nlp_inference.architectures.checkpoint_files import PICKLE_SUFFIXES, find_weight_files
from nlp_inference.architectures.model_code import sources_in
from nlp_inference.backends.descriptors import ExportedFiles, all_backends, find_backend
from nlp_inference.errors import PublishError
from nlp_training.artefact.folder import model_folder

_NEEDED = ("processor_config.json", "config.json", "tokenizer.json", "golden.json", "README.md")
_MAY_COME = (
    "added_tokens.json",
    "adoption.json",
    "chat_template.jinja",
    "data_report.json",
    "generation_config.json",
    "merges.txt",
    "metrics.json",
    "model.safetensors.index.json",
    "profile.json",
    "requirements.txt",
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
_SECRETS = {
    "a token of the Hub (hf_...)": re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b"),
    "a password in an address (://name:password@...)": re.compile(rb"://[^\s/:@\"']+:[^\s/@\"']+@"),
}
_SECRET_KEY = re.compile(r"(^|_)(token|key|password|secret)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Release:
    """The published files of a folder.

    Attributes:
        folder: the folder of the files.
        files: the files to upload, by name; exported models have names such as `onnx/model.onnx`.
        weights: the names of weights in `files`, including exported ones.
        exports: the backend and precision of each exported model in `files`.
        code: the names in `files` of source files of custom transforms, which were saved on request of the user.
        left_out: the names of other files, which are not uploaded.
    """

    folder: Path
    files: dict[str, Path]
    weights: frozenset[str]
    exports: tuple[tuple[str, str], ...]
    code: frozenset[str]
    left_out: tuple[str, ...]


def find_release(run: str | Path) -> Release:
    """Find the files of a run that are published.

    Args:
        run: the folder of a run, or its `model` folder.

    Raises:
        PublishError: the model is incomplete; there are files that run code when they are opened; a file to upload
            contains what looks like a secret; or the source of a custom transform was changed since it was saved.
        ArtefactError: there is no model, or its weights are incomplete.
    """
    folder = model_folder(run)
    backends = _exported_files()
    there = _files_in(folder, {files.folder for files in backends.values()})
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        raise PublishError(f"{str(folder)!r} has no {', '.join(missing)}; publish a folder that nlp-training wrote")
    exported = {(name, dtype): files for name, files in backends.items() for dtype in files.in_folder(folder)}
    weights = {path.name for path in find_weight_files(folder)}
    exports = {path for (_, dtype), files in exported.items() for path in files.paths(dtype)}
    _refuse_pickles(
        name for name in there if name not in exports
    )  # backends read exports only as tensors, not as pickles
    weights |= exports
    code = _custom_code(folder)
    records = {files.golden_file(dtype) for (_, dtype), files in exported.items()}
    wanted = {*_NEEDED, *_MAY_COME, *weights, *records, *code}
    files = {name: path for name, path in there.items() if name in wanted and path.is_file()}
    _refuse_secrets({name: path for name, path in files.items() if name not in weights})
    left_out = tuple(name for name in there if name not in files)
    return Release(folder, files, frozenset(weights), tuple(exported), frozenset(code), left_out)


def select_models(release: Release, *, backend: str, dtypes: Collection[str] = ()) -> Release:
    """Return a release with the models of one backend, and all settings.

    Args:
        release: a release with all models.
        backend: the name of the backend.
        dtypes: the precisions of its exported models; empty for all.

    Raises:
        InvalidSpecError: there is no such backend.
        PublishError: the release has no such model, or `dtypes` is given for a backend that runs the weights.
    """
    exported = find_backend(backend).exported
    if exported is None and dtypes:
        raise PublishError(f"a precision selects an exported model, and {backend!r} runs the weights; remove --dtype")
    there = [dtype for name, dtype in release.exports if name == backend]
    missing = [dtype for dtype in dtypes if dtype not in there]
    if exported is not None and (missing or not there):
        raise PublishError(
            f"the model is not exported to {backend} in {', '.join(missing) or 'any precision'}; it has "
            f"{', '.join(there) or 'none'}: run nlp-training export first"
        )
    kept = tuple((backend, dtype) for dtype in there if exported is not None and dtype in (dtypes or there))
    dropped = {name for one in release.exports if one not in kept for name in _names_of_export(*one)}
    if exported is not None:
        dropped |= {path.name for path in find_weight_files(release.folder)}
        dropped |= {name for name in release.files if name.endswith(".safetensors.index.json")}
    files = {name: path for name, path in release.files.items() if name not in dropped}
    left_out = tuple(sorted({*release.left_out, *(dropped & release.files.keys())}))
    return replace(release, files=files, weights=release.weights & files.keys(), exports=kept, left_out=left_out)


def _names_of_export(backend: str, dtype: str) -> set[str]:
    files = _exported_files()[backend]
    return {*files.paths(dtype), files.golden_file(dtype)}


def _exported_files() -> dict[str, ExportedFiles]:
    """Return the exported files of each backend."""
    return {one.name: one.exported for one in all_backends() if one.exported is not None}


def _files_in(folder: Path, exports: Collection[str]) -> dict[str, Path]:
    """Return the contents of a folder by name, including the files in folders of exported models."""
    found = {path.name: path for path in sorted(folder.iterdir())}
    for name in sorted(exports):
        if (folder / name).is_dir():
            del found[name]
            found |= {f"{name}/{path.name}": path for path in sorted((folder / name).iterdir())}
    return found


def is_ours(name: str) -> bool:
    """Return whether a file of a repository may come from an earlier release.

    Example:
        >>> is_ours("model-00001-of-00002.safetensors"), is_ours("golden.json"), is_ours("LICENSE")
        (True, True, False)
    """
    if name in {*_NEEDED, *_MAY_COME} or _WEIGHTS.fullmatch(name) is not None:
        return True
    return "/" in name and any(
        name in (*files.paths(dtype), files.golden_file(dtype))
        for files in _exported_files().values()
        for dtype in files.stems
    )


def sources_of_release(settings: bytes) -> frozenset[str]:
    """Return the source files of a release from its `processor_config.json`; none if that is damaged.

    Example:
        >>> sources_of_release(b'{"custom": [{"files": {"shout.py": "5f2c..."}}]}')
        frozenset({'shout.py'})
    """
    try:
        return frozenset(name for name in _named_sources(settings) if name.endswith(".py"))
    except (ValueError, AttributeError, TypeError):
        return frozenset()


def _named_sources(settings: bytes) -> dict[str, str]:
    """Return the source files that were saved with a model, with their digests."""
    config: Any = json.loads(settings)
    return {name: digest for one in config.get("custom", []) for name, digest in one.get("files", {}).items()}


def _refuse_pickles(there: Iterable[str]) -> None:
    found = [name for name in there if Path(name).suffix in _CODE_RUNS]
    if found:
        raise PublishError(
            f"the folder contains {', '.join(found)}, which can run any code when it is opened; weights are published "
            "only as safetensors: save the model with model.save_pretrained(folder), and remove these files"
        )


def _refuse_secrets(files: dict[str, Path]) -> None:
    for name, path in files.items():
        content = path.read_bytes()
        for what in (what for what, pattern in _SECRETS.items() if pattern.search(content)):
            raise PublishError(f"{name!r} contains what looks like {what}; remove it, and revoke it")
    if "training.yaml" in files:
        settings: Any = yaml.safe_load(files["training.yaml"].read_bytes())
        for key in _secret_keys({key: value for key, value in dict(settings or {}).items() if key != "processor"}):
            raise PublishError(f"'training.yaml' contains a value under {key!r}, a name of secrets; remove it")


def _secret_keys(settings: Any) -> Iterator[str]:
    """Yield keys at any level of settings that have the name of a secret and a string value."""
    if isinstance(settings, Mapping):
        yield from (str(key) for key, value in settings.items() if isinstance(value, str) and _is_secret(str(key)))
    inner = settings.values() if isinstance(settings, Mapping) else settings if isinstance(settings, list) else ()
    for value in inner:
        yield from _secret_keys(value)


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _custom_code(folder: Path) -> set[str]:
    """Return the source files in `processor_config.json` after checking that they are unchanged."""
    try:
        named = _named_sources((folder / "processor_config.json").read_bytes())
    except (ValueError, AttributeError, TypeError) as error:
        raise PublishError(f"processor_config.json cannot be read: {error}; save the processor again") from error
    for name, digest in named.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or file_digest(path) != digest:
            raise PublishError(
                f"processor_config.json names the source file {name!r}, which is missing or has changed since it was "
                "saved; save the processor again"
            )
    return set(named) | {path.name for path in sources_in(folder)}
