"""Which backend runs a model, which of its files that needs, and how it is loaded."""

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
    """Which backend to load a model with.

    `auto` goes through the backends by their `auto_rank` and takes the first one that is installed and whose model is
    there: torch, whose predictions were scored; then ONNX Runtime; then OpenVINO. Of a model on the Hub it is not known
    what there is; there it takes torch if it is installed, and ONNX Runtime otherwise and for `int8`.

    Args:
        name_or_path: a folder or a Hub id, of which nothing is fetched yet.
        backend: what the user asked for.
        dtype: the precision that the user asked for; `None` is whichever the model has, see `choose_dtype`.

    Raises:
        InvalidSpecError: there is no such backend, or `auto` knows none that runs this precision.
        MissingExtraError: the backend is not installed, and the folder holds nothing for another one.

    Example:
        >>> choose_backend("org/model", backend="auto", dtype="int8")
        'onnx'
    """
    if backend != AUTO:
        return find_backend(backend).name
    folder = _folder(name_or_path)
    able = [one for one in _auto_order() if dtype is None or dtype in one.tolerances]
    installed = [one for one in able if one.is_installed()]
    for wanted in (dtype, None):  # a backend of which another precision is there says which one that is
        if found := next((one for one in installed if one.holds(folder, dtype=wanted)), None):
            return found.name
    usual = next((one for one in able if one.auto_unseen), None)
    if usual is None:
        raise InvalidSpecError(
            f"the precision is {dtype!r}, which no backend of {AUTO!r} runs; they run "
            f"{', '.join(dict.fromkeys(one for descriptor in _auto_order() for one in descriptor.tolerances))}"
        )
    if not usual.is_installed():
        raise MissingExtraError(
            f"{usual.modules[0]!r} is not installed, and {str(name_or_path)!r} holds no exported model, which would "
            f"need none. Install it with: {install_command(usual.extra or usual.name)}, or export the model where it "
            "was trained: nlp-training export RUN"
        )
    return usual.name


def choose_dtype(name_or_path: str | Path, *, backend: str, dtype: str | None) -> str:
    """Which precision to load a model in.

    Args:
        name_or_path: a folder, or a Hub id, of which nothing may be fetched yet.
        backend: what runs the model.
        dtype: the precision that the user asked for, which is taken; `None` takes the first one that the folder was
            exported in, where the backend runs exported models, and `float32` otherwise.

    Example:
        >>> choose_dtype("org/model", backend="torch", dtype=None)
        'float32'
    """
    folder = _folder(name_or_path)
    if dtype is not None or folder is None:
        return dtype or "float32"
    return find_backend(backend).default_dtype(folder)


def saved_dtype(folder: Path) -> str:
    """The precision in which the weights of a folder were saved, as its `config.json` says; `float32` if it does not.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "config.json").write_text('{"dtype": "bfloat16"}')
        ...     saved_dtype(Path(folder))
        'bfloat16'
    """
    with suppress(FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):  # loading says it better
        config = json.loads(read_saved_file(folder / "config.json"))
        return str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return "float32"


def runs_exports(backend: str) -> bool:
    """Whether a backend runs exported models and not the weights, so that a model has precisions to choose from."""
    return find_backend(backend).exported is not None


def exported_on_hub(settings: Path, *, backend: str) -> str | None:
    """The first precision that a model was exported in, as the fingerprint in its `processor_config.json` says.

    Args:
        settings: a folder with the settings of the model, such as a download without the exported files.
        backend: what runs the model.
    """
    files = find_backend(backend).exported
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):  # the processor says it better
        named = json.loads(read_saved_file(settings / "processor_config.json"))["fingerprint"]["exports"]
        return next(iter(files.named_by(named)), None) if files is not None else None
    return None


def backend_files(backend: str, *, dtype: str) -> tuple[str, ...]:
    """Patterns of the files that a backend needs of an artefact, beside its settings."""
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
        backend: the name of what runs it.
        folder: the artefact.
        task: what the model must be for.
        device: such as `"cpu"` or `"cuda:1"`; `None` lets the backend choose.
        dtype: the precision.
        fingerprint: what the processor says of the files it was saved with; `None` checks nothing.
        trust_remote_code: whether the code of a model class that was saved with the weights may run.

    Raises:
        MissingExtraError: the backend is not installed.
        ArtefactError: the model cannot be loaded, or is not the one that the processor was saved with.
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
