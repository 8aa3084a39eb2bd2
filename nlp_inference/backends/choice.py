"""Choice of the backend and the precision of a model, and loading of the backend."""

import json
from contextlib import suppress
from pathlib import Path

from nlp_inference._utils.extras import install_command
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.backends.base import Backend
from nlp_inference.backends.descriptors import AUTO, BackendDescriptor, all_backends, find_backend
from nlp_inference.errors import InvalidSpecError, MissingExtraError
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task


def choose_backend(name_or_path: str | Path, *, backend: str, dtype: str | None) -> str:
    """Return the name of the backend that loads a model.

    `auto` tries the backends in the order of their `auto_rank` and chooses the first one that is installed and whose
    files the folder contains: torch, whose predictions were scored; then ONNX Runtime; then OpenVINO. The files of a
    model on the Hub are not known in advance; there `auto` chooses torch if it is installed, and ONNX Runtime otherwise
    and for `int8`.

    Args:
        name_or_path: a folder or a Hub id, which is not downloaded.
        backend: the name of a backend, or `auto`.
        dtype: the requested precision; `None` accepts any precision that the model has, see `choose_dtype`.

    Raises:
        InvalidSpecError: the backend does not exist, or `auto` finds none that runs this precision.
        MissingExtraError: the backend is not installed, and the folder has no files for another one.

    Example:
        >>> choose_backend("org/model", backend="auto", dtype="int8")
        'onnx'
    """
    if backend != AUTO:
        return find_backend(backend).name
    folder = _folder(name_or_path)
    able = [one for one in _auto_order() if dtype is None or dtype in one.tolerances]
    installed = [one for one in able if one.is_installed()]
    for wanted in (dtype, None):  # loading another precision then fails with a message that names the available ones
        if found := next((one for one in installed if one.holds(folder, dtype=wanted)), None):
            return found.name
    usual = next((one for one in able if one.auto_unseen), None)
    if usual is None:
        raise InvalidSpecError(
            f"the precision is {dtype!r}, which no backend of {AUTO!r} runs; use one of "
            f"{', '.join(dict.fromkeys(one for descriptor in _auto_order() for one in descriptor.tolerances))}"
        )
    if not usual.is_installed():
        raise MissingExtraError(
            f"{usual.modules[0]!r} is not installed, and {str(name_or_path)!r} has no exported model, which would run "
            f"without it. Install it with: {install_command(usual.extra or usual.name)}, or export the model where "
            "it was trained: nlp-training export RUN"
        )
    return usual.name


def choose_dtype(name_or_path: str | Path, *, backend: str, dtype: str | None) -> str:
    """Return the precision in which to load a model.

    Args:
        name_or_path: a folder, or a Hub id, which is not downloaded.
        backend: the name of the backend.
        dtype: the requested precision, which is returned. `None` selects the first precision to which the model was
            exported if the backend runs exported models, and `float32` otherwise.

    Example:
        >>> choose_dtype("org/model", backend="torch", dtype=None)
        'float32'
    """
    folder = _folder(name_or_path)
    if dtype is not None or folder is None:
        return dtype or "float32"
    return find_backend(backend).default_dtype(folder)


def saved_dtype(folder: Path) -> str:
    """Return the precision of the saved weights that `config.json` states, or `float32` if it states none.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "config.json").write_text('{"dtype": "bfloat16"}')
        ...     saved_dtype(Path(folder))
        'bfloat16'
    """
    # Loading the model reports an invalid config.json with a better message.
    with suppress(FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        config = json.loads(read_saved_file(folder / "config.json"))
        return str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return "float32"


def runs_exports(backend: str) -> bool:
    """Return whether a backend runs exported models, which have several precisions, rather than the weights."""
    return find_backend(backend).exported is not None


def exported_on_hub(settings: Path, *, backend: str) -> str | None:
    """Return the first precision to which a model was exported, from the fingerprint in `processor_config.json`.

    Args:
        settings: a folder with the settings of the model, such as a download without the exported files.
        backend: the name of the backend.
    """
    files = find_backend(backend).exported
    # Loading the processor reports an invalid processor_config.json with a better message.
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        named = json.loads(read_saved_file(settings / "processor_config.json"))["fingerprint"]["exports"]
        return next(iter(files.named_by(named)), None) if files is not None else None
    return None


def backend_files(backend: str, *, dtype: str) -> tuple[str, ...]:
    """Return patterns of the artefact files that a backend needs in addition to the settings."""
    return find_backend(backend).files(dtype)


def load_backend(
    backend: str,
    folder: Path,
    *,
    task: Task,
    device: str | None = None,
    dtype: str = "float32",
    fingerprint: Fingerprint | None = None,
    trust_remote_code: bool = False,
) -> Backend:
    """Load the model of an artefact.

    Args:
        backend: the name of the backend.
        folder: the artefact.
        task: the task that the model must fit.
        device: such as `"cpu"` or `"cuda:1"`; `None` lets the backend choose.
        dtype: the precision.
        fingerprint: the processor's record of the files with which it was saved; `None` checks nothing.
        trust_remote_code: whether the code of a model class that was saved with the weights may run.

    Raises:
        MissingExtraError: the backend is not installed.
        ArtefactError: the model cannot be loaded, or is not the one with which the processor was saved.
    """
    descriptor = find_backend(backend)
    descriptor.require()
    return descriptor.load(
        folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint, trust_remote_code=trust_remote_code
    )


def _auto_order() -> list[BackendDescriptor]:
    ranked = [(one.auto_rank, one) for one in all_backends() if one.auto_rank is not None]
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def _folder(name_or_path: str | Path) -> Path | None:
    return Path(name_or_path) if str(name_or_path) and Path(name_or_path).is_dir() else None
