"""Which backend runs a model, which of its files that needs, and how it is loaded."""

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from nlp_inference._utils.extras import install_command, require
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.backends.base import Backend
from nlp_inference.backends.onnx_files import ONNX_STEMS, exported, onnx_file, onnx_golden_file
from nlp_inference.errors import InvalidSpecError, MissingExtraError
from nlp_inference.hub import WEIGHT_FILES
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task

BackendName = Literal["auto", "torch", "onnx"]
ChosenBackend = Literal["torch", "onnx"]


def choose_backend(name_or_path: str | Path, *, backend: BackendName, dtype: str | None) -> ChosenBackend:
    """Which backend to load a model with.

    `auto` takes what there is: torch, whose predictions were scored, if it is installed and the folder holds its
    weights; ONNX Runtime otherwise, and for `int8`, which torch does not run.

    Args:
        name_or_path: a folder or a Hub id, of which nothing is fetched yet.
        backend: what the user asked for.
        dtype: the precision that the user asked for; `None` is whichever the model has, see `choose_dtype`.

    Raises:
        InvalidSpecError: there is no such backend.
        MissingExtraError: torch is not installed, and the folder holds nothing for ONNX Runtime.

    Example:
        >>> choose_backend("org/model", backend="auto", dtype="int8")
        'onnx'
    """
    if backend in ("torch", "onnx"):
        return backend
    if backend != "auto":
        raise InvalidSpecError(f"the backend is {backend!r}; write 'auto', 'torch' or 'onnx'")
    folder = Path(name_or_path) if str(name_or_path) and Path(name_or_path).is_dir() else None
    there = exported(folder) if folder is not None else []
    if dtype != "int8" and find_spec("torch") is not None and (not there or _has_weights(folder)):
        return "torch"
    if dtype != "int8" and folder is not None and not there:
        raise MissingExtraError(
            f"'torch' is not installed, and {str(name_or_path)!r} holds no exported model, which would need none. "
            f"Install it with: {install_command('torch')}, or export the model where it was trained: "
            "nlp-training export RUN"
        )
    return "onnx"


def choose_dtype(name_or_path: str | Path, *, backend: ChosenBackend, dtype: str | None) -> str:
    """Which precision to load a model in.

    Args:
        name_or_path: a folder, or a Hub id, of which nothing may be fetched yet.
        backend: what runs the model.
        dtype: the precision that the user asked for, which is taken; `None` takes the first of `float32`, `float16` and
            `int8` that the folder was exported in, where ONNX Runtime runs it, and `float32` otherwise.

    Example:
        >>> choose_dtype("org/model", backend="torch", dtype=None)
        'float32'
    """
    if dtype is not None or backend == "torch" or not (str(name_or_path) and Path(name_or_path).is_dir()):
        return dtype or "float32"
    return next(iter(exported(Path(name_or_path))), "float32")


def exported_on_hub(settings: Path) -> str | None:
    """The first precision that a model was exported in, as the fingerprint in its `processor_config.json` says.

    Args:
        settings: a folder with the settings of the model, such as a download without the exported files.
    """
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):  # the processor says it better
        named = json.loads(read_saved_file(settings / "processor_config.json"))["fingerprint"]["exports"]
        return next((dtype for dtype, stem in ONNX_STEMS.items() if f"{stem}.onnx" in named), None)
    return None


def _has_weights(folder: Path | None) -> bool:
    return folder is None or any(next(folder.glob(pattern), None) for pattern in WEIGHT_FILES)


def backend_files(backend: ChosenBackend, *, dtype: str) -> tuple[str, ...]:
    """Patterns of the files that a backend needs of an artefact, beside its settings."""
    return WEIGHT_FILES if backend == "torch" else (onnx_file(dtype), onnx_golden_file(dtype))


def load_backend(
    backend: ChosenBackend,
    folder: Path,
    *,
    task: Task,
    device: str | None = None,
    dtype: str = "float32",
    fingerprint: Fingerprint | None = None,
    trust_remote_code: bool = False,
) -> Backend:
    """Load the model of an artefact; see `TorchBackend.from_pretrained` and `OnnxBackend.from_pretrained`.

    Raises:
        MissingExtraError: the backend is not installed.
        ArtefactError: the model cannot be loaded, or is not the one that the processor was saved with.
    """
    if backend == "onnx":
        from nlp_inference.backends.onnx import OnnxBackend

        return OnnxBackend.from_pretrained(folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint)
    require("torch", extra="torch")
    from nlp_inference.backends.torch import TorchBackend

    return TorchBackend.from_pretrained(
        folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint, trust_remote_code=trust_remote_code
    )
