"""Descriptors of the backends of this package and of installed packages, found by name."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from nlp_inference._utils.extras import is_installed, require
from nlp_inference._utils.named_objects import declaration, import_object, load_entry_point
from nlp_inference.backends.base import Backend
from nlp_inference.errors import InvalidSpecError, MissingExtraError
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task

AUTO = "auto"
"""The backend name for which `choose_backend` makes the choice."""

REFERENCE = "torch"
"""The backend that the evaluation during training uses."""

ENTRY_POINTS = "nlp_inference.backends"
"""The entry point group in which installed packages declare their descriptors."""

GOLDEN_FILE = "golden.json"
"""File of the golden records of the weights. The golden records of an exported model are next to its files."""

BUILT_IN = MappingProxyType(
    {
        "onnx": "nlp_inference.backends.onnx_files:ONNX",
        "openvino": "nlp_inference.backends.openvino:OPENVINO",
        "torch": "nlp_inference.backends.torch_files:TORCH",
    }
)
"""The descriptors of this package, as `module:attribute`. These modules import no backend."""

_logger = logging.getLogger(__name__)


class Tolerance(NamedTuple):
    """The greatest allowed differences: of logits `absolute + relative * |recorded|`, of scores `score`."""

    absolute: float
    relative: float
    score: float


FLOAT32_TOLERANCE = Tolerance(1e-3, 1e-3, 1e-3)
FLOAT16_TOLERANCE = Tolerance(3e-2, 2e-2, 5e-2)
BFLOAT16_TOLERANCE = Tolerance(2.5e-1, 5e-2, 2e-1)
INT8_TOLERANCE = Tolerance(1.0, 5e-2, 3e-1)
"""Tolerances by precision. Integers, spans and labels must be equal.

One rounding changes a value by a factor of up to 2^-24, 2^-11 or 2^-8 in float32, float16 or bfloat16 (IEEE 754-2019,
https://doi.org/10.1109/IEEESTD.2019.8766229; bfloat16 has 8 bits of significand). Each layer accumulates some tens of
roundings, in an order that differs between machines. With other kernels, the logits (-13 to 10) of six layers
(all-MiniLM-L6-v2) changed by 2e-5 in float32, 0.02 in float16 and 0.16 in bfloat16. The float32 tolerance is larger, to
allow for deeper models and for GPUs that multiply in TF32. A softmax changes by at most half of the change of its
logits.

An int8 model has its own golden records; see `docs/onnx.md`. One kind of CPU reproduces them bit for bit. On another
CPU, the last bit of a float32 can decide which of two 8-bit numbers an activation becomes, and one step between them is
1/255 of the largest activation. Two graphs of the same six layers, whose float32 logits differ by 3e-5, differed by 0.4
in int8, and in one case by 1.0."""


class LoadBackend(Protocol):
    """Callable that loads the model of an artefact; see `load_backend`."""

    def __call__(
        self,
        folder: Path,
        *,
        task: Task,
        device: str | None,
        dtype: str,
        fingerprint: Fingerprint | None,
        trust_remote_code: bool,
    ) -> Backend:
        """Load the model, ready to predict."""


def load_class(
    class_path: str,
    folder: Path,
    *,
    task: Task,
    device: str | None,
    dtype: str,
    fingerprint: Fingerprint | None,
    trust_remote_code: bool,
) -> Backend:
    """Import the class at `class_path`, `module:Class`, and load a model with its `from_pretrained`."""
    backend: Backend = import_object(class_path).from_pretrained(
        folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint, trust_remote_code=trust_remote_code
    )
    return backend


@dataclass(frozen=True, kw_only=True)
class ExportedFiles:
    """File names of the exported models of a backend in an artefact.

    Args:
        folder: subfolder of the artefact.
        stems: file names without suffixes, by precision; the first one that an artefact contains is the default.
        suffixes: suffixes of the files of one model, that of the main file first. File names must differ from those of
            other backends, because the fingerprint of an artefact names exported files without their folder.

    Example:
        >>> files = ExportedFiles(folder="onnx", stems={"int8": "model_int8"}, suffixes=(".onnx",))
        >>> files.paths("int8"), files.golden_file("int8")
        (('onnx/model_int8.onnx',), 'onnx/model_int8.golden.json')
    """

    folder: str
    stems: Mapping[str, str]
    suffixes: tuple[str, ...]

    def paths(self, dtype: str) -> tuple[str, ...]:
        """Return the files of a model, relative to the artefact, the main file first."""
        return tuple(f"{self.folder}/{self.stems[dtype]}{suffix}" for suffix in self.suffixes)

    def golden_file(self, dtype: str) -> str:
        """Return the file of the golden records of a model, relative to the artefact."""
        return f"{self.folder}/{self.stems[dtype]}.golden.json"

    def in_folder(self, folder: Path) -> list[str]:
        """Return the precisions of the exported models in an artefact."""
        return [dtype for dtype in self.stems if all((folder / path).is_file() for path in self.paths(dtype))]

    def named_by(self, exports: Collection[str]) -> list[str]:
        """Return the precisions whose main files are among the exports that a fingerprint names."""
        return [dtype for dtype in self.stems if Path(self.paths(dtype)[0]).name in exports]


@dataclass(frozen=True, kw_only=True)
class BackendDescriptor:
    """Complete description of a backend. Importing a descriptor must not import the packages of the backend.

    An installed package adds a backend by declaring its descriptor in the entry point group `nlp_inference.backends`,
    under the name of the backend.

    Args:
        name: the name in options, golden records and the tables of this library.
        library: the name in messages.
        modules: top-level modules that must be installed.
        extra: the extra of this distribution that installs them; `None` if the base package or another package does.
        runtime: the distribution whose version the fingerprint records.
        tolerances: the tolerance of every precision that the backend runs.
        load: loads the model of an artefact.
        weights: patterns of the weight files, for a backend that runs the weights directly.
        exported: names of the exported files, for a backend that runs exported models.
        exporter: `module:attribute` of the subclass of `nlp_training.export.base.Exporter` that writes them.
        auto_rank: rank in the order in which `backend="auto"` tries the backends, the smallest first; `None` excludes
            the backend from `auto`.
        auto_unseen: whether `auto` may choose it if the files of the model are unknown, as on the Hub, or missing.
        lower_precision: a precision in which it runs the same files, for `nlp-inference verify --invariance`.

    Example:
        >>> find_backend("onnx").files("int8")
        ('onnx/model_int8.onnx', 'onnx/model_int8.golden.json')
    """

    name: str
    library: str
    modules: tuple[str, ...]
    extra: str | None = None
    runtime: str
    tolerances: Mapping[str, Tolerance]
    load: LoadBackend
    weights: tuple[str, ...] = ()
    exported: ExportedFiles | None = None
    exporter: str | None = None
    auto_rank: int | None = None
    auto_unseen: bool = False
    lower_precision: str | None = None

    def files(self, dtype: str) -> tuple[str, ...]:
        """Return patterns of the artefact files that the backend needs in addition to the settings.

        Raises:
            InvalidSpecError: the backend does not run exported models of this precision.
        """
        if self.exported is None:
            return self.weights
        self.check_precision(dtype)
        return (*self.exported.paths(dtype), self.exported.golden_file(dtype))

    def golden_file(self, dtype: str) -> str:
        """Return the file of its golden records, relative to the artefact; raises the errors of `files`."""
        if self.exported is None:
            return GOLDEN_FILE
        self.check_precision(dtype)
        return self.exported.golden_file(dtype)

    def check_precision(self, dtype: str) -> None:
        """Check that the backend runs exported models of this precision.

        Raises:
            InvalidSpecError: it does not.
        """
        if self.exported is not None and dtype not in self.exported.stems:
            known = ", ".join(self.exported.stems)
            raise InvalidSpecError(f"{self.library} runs {known}, but got the precision {dtype!r}; use one of these")

    def holds(self, folder: Path | None, *, dtype: str | None = None) -> bool:
        """Return whether an artefact has a model for this backend.

        Args:
            folder: the artefact; `None` if its files are unknown.
            dtype: precision of the model; `None` accepts any.
        """
        if folder is None:
            return self.auto_unseen
        if self.exported is None:
            return any(next(folder.glob(pattern), None) for pattern in self.weights)
        available = self.exported.in_folder(folder)
        return bool(available) if dtype is None else dtype in available

    def default_dtype(self, folder: Path) -> str:
        """Return the first precision of the exported models; `float32` if there is none or the weights are run."""
        return next(iter(self.exported.in_folder(folder) if self.exported is not None else ()), "float32")

    def is_installed(self) -> bool:
        """Return whether its packages are installed, without importing them."""
        return all(map(is_installed, self.modules))

    def require(self) -> None:
        """Import its packages.

        Raises:
            MissingExtraError: a package is not installed.
        """
        for module in self.modules:
            if self.extra is not None:
                require(module, extra=self.extra)
            elif not is_installed(module):
                raise MissingExtraError(f"{module!r} is not installed, and the backend {self.name!r} needs it")


def find_backend(name: str) -> BackendDescriptor:
    """Return the descriptor of a backend of this package or of an installed package.

    Raises:
        InvalidSpecError: the backend does not exist, or the object that an installed package declares is not a
            descriptor with this name.

    Example:
        >>> find_backend("torch").golden_file("bfloat16")
        'golden.json'
    """
    found = known_backend(name)
    if found is None:
        *others, last = (repr(one) for one in (AUTO, *backend_names()))
        raise InvalidSpecError(f"the backend is {name!r}; write {', '.join(others)} or {last}")
    return found


def known_backend(name: str) -> BackendDescriptor | None:
    """Return the descriptor of a backend, or `None` for an unknown name, as of a custom backend of a `Predictor`."""
    if name in BUILT_IN:
        built_in: BackendDescriptor = import_object(BUILT_IN[name])
        return built_in
    return next((_load(point) for point in entry_points(group=ENTRY_POINTS, name=name)), None)


def backend_names() -> list[str]:
    """Return the sorted names of all backends, including those that installed packages declare.

    Example:
        >>> {"onnx", "openvino", "torch"} <= set(backend_names())
        True
    """
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def all_backends() -> Iterable[BackendDescriptor]:
    """Yield the descriptors of all backends, sorted by name. One that cannot be imported is logged and skipped."""
    for name in backend_names():
        try:
            yield find_backend(name)
        except InvalidSpecError as error:
            _logger.warning("%s", error)


def tolerances() -> dict[tuple[str, str], Tolerance]:
    """Return the tolerances of all backends, by backend and precision.

    Example:
        >>> tolerances()["torch", "float32"].absolute
        0.001
    """
    return {(one.name, dtype): found for one in all_backends() for dtype, found in one.tolerances.items()}


def _load(point: EntryPoint) -> BackendDescriptor:
    found = load_entry_point(point, kind="backend")
    if not isinstance(found, BackendDescriptor) or found.name != point.name:
        raise InvalidSpecError(f"{declaration(point, kind='backend')}, which is not a BackendDescriptor of that name")
    return found
