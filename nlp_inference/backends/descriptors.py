"""Descriptors of backends: one for each, found by name, from this package or from an installed one."""

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
"""The name that lets `choose_backend` choose."""

REFERENCE = "torch"
"""The backend that runs the weights as the evaluation of training scored them."""

ENTRY_POINTS = "nlp_inference.backends"
"""The entry point group in which installed packages declare their descriptors."""

GOLDEN_FILE = "golden.json"
"""The golden records of the weights. The golden records of an exported model are next to its files."""

BUILT_IN = MappingProxyType(
    {
        "onnx": "nlp_inference.backends.onnx_files:ONNX",
        "openvino": "nlp_inference.backends.openvino:OPENVINO",
        "torch": "nlp_inference.backends.torch_files:TORCH",
    }
)
"""Where the descriptors of this package are, as `module:attribute`. These modules import no backend."""

_logger = logging.getLogger(__name__)


class Tolerance(NamedTuple):
    """Two logits agree if they differ by `absolute + relative * |recorded|` at most, two scores by `score` at most."""

    absolute: float
    relative: float
    score: float


FLOAT32_TOLERANCE = Tolerance(1e-3, 1e-3, 1e-3)
FLOAT16_TOLERANCE = Tolerance(3e-2, 2e-2, 5e-2)
BFLOAT16_TOLERANCE = Tolerance(2.5e-1, 5e-2, 2e-1)
INT8_TOLERANCE = Tolerance(1.0, 5e-2, 3e-1)
"""Whole numbers, spans and labels have none. Why these: one rounding costs 2^-24, 2^-11 or 2^-8 of a value in float32,
float16 or bfloat16 (IEEE 754-2019, https://doi.org/10.1109/IEEESTD.2019.8766229; bfloat16 keeps 8 bits of significand),
and some layers add some tens of them, in an order that differs from machine to machine. Six layers (all-MiniLM-L6-v2,
logits from -13 to 10) were seen to move by 2e-5 with other kernels in float32, by 0.02 in float16 and by 0.16 in
bfloat16. Float32 has more room than that for deeper models and for GPUs that multiply in TF32. A softmax moves by half
of what its logits move by at most.

An int8 model has golden records that are recorded with it; see `docs/onnx.md`. On one kind of CPU it repeats them to
the last bit. Elsewhere the last bit of a float32 sometimes decides which of two 8-bit numbers an activation becomes. A
step of those is a 255th of the largest activation: two graphs of the same six layers, whose float32 logits lie 3e-5
apart, were seen 0.4 apart in int8, in one case 1.0."""


class LoadBackend(Protocol):
    """Loads the model of an artefact; see `load_backend`."""

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
    place: str,
    folder: Path,
    *,
    task: Task,
    device: str | None,
    dtype: str,
    fingerprint: Fingerprint | None,
    trust_remote_code: bool,
) -> Backend:
    """Load a model with `from_pretrained` of the class at `place`, `module:Class`, which is imported now."""
    backend: Backend = import_object(place).from_pretrained(
        folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint, trust_remote_code=trust_remote_code
    )
    return backend


@dataclass(frozen=True, kw_only=True)
class ExportedFiles:
    """Where an artefact keeps the models that were exported to a backend.

    Args:
        folder: in the artefact.
        stems: names of the files without suffixes, by precision; the first one that an artefact has is the default.
        suffixes: of the files of one model, that of the main file first. The names of files must not be those of
            another backend, because the fingerprint of an artefact names exported files without their folder.

    Example:
        >>> files = ExportedFiles(folder="onnx", stems={"int8": "model_int8"}, suffixes=(".onnx",))
        >>> files.paths("int8"), files.golden_file("int8")
        (('onnx/model_int8.onnx',), 'onnx/model_int8.golden.json')
    """

    folder: str
    stems: Mapping[str, str]
    suffixes: tuple[str, ...]

    def paths(self, dtype: str) -> tuple[str, ...]:
        """The files of a model, relative to the artefact, the main file first."""
        return tuple(f"{self.folder}/{self.stems[dtype]}{suffix}" for suffix in self.suffixes)

    def golden_file(self, dtype: str) -> str:
        """The golden records of a model, relative to the artefact."""
        return f"{self.folder}/{self.stems[dtype]}.golden.json"

    def in_folder(self, folder: Path) -> list[str]:
        """The precisions that an artefact was exported in."""
        return [dtype for dtype in self.stems if all((folder / path).is_file() for path in self.paths(dtype))]

    def named_by(self, exports: Collection[str]) -> list[str]:
        """The precisions whose main files are among the exports that a fingerprint names."""
        return [dtype for dtype in self.stems if Path(self.paths(dtype)[0]).name in exports]


@dataclass(frozen=True, kw_only=True)
class BackendDescriptor:
    """All that the library knows of a backend. Importing a descriptor must not import the backend's packages.

    An installed package adds a backend by declaring its descriptor in the entry point group `nlp_inference.backends`,
    under the name of the backend.

    Args:
        name: in options, golden records and this library's tables.
        library: in messages.
        modules: top-level modules that must be installed.
        extra: the extra of this distribution that installs them; `None` if the base package or another package does.
        runtime: the distribution whose version the fingerprint records.
        tolerances: by precision: every precision that the backend runs.
        load: loads the model of an artefact.
        weights: patterns of the files that it reads where it runs the weights themselves.
        exported: where its models are where it runs exported ones.
        exporter: `module:attribute` of the subclass of `nlp_training.export.base.Exporter` that writes them.
        auto_rank: place in the order in which `backend="auto"` looks for a backend that is installed and whose model is
            there, the smallest first; `None`: `auto` never takes it.
        auto_unseen: whether `auto` may take it where it is unknown which models there are, as on the Hub, or where
            there are none.
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
        """Patterns of the files of an artefact that it needs in addition to the settings.

        Raises:
            InvalidSpecError: it does not run exported models of this precision.
        """
        if self.exported is None:
            return self.weights
        self.check_precision(dtype)
        return (*self.exported.paths(dtype), self.exported.golden_file(dtype))

    def golden_file(self, dtype: str) -> str:
        """The golden records that it replays, relative to the artefact; raises as `files` does."""
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
            raise InvalidSpecError(f"{self.library} runs {known}, but got the precision {dtype!r}; give one of these")

    def holds(self, folder: Path | None, *, dtype: str | None = None) -> bool:
        """Whether an artefact has a model for this backend.

        Args:
            folder: the artefact; `None` is one of which nothing is known.
            dtype: precision of the model; `None` is any.
        """
        if folder is None:
            return self.auto_unseen
        if self.exported is None:
            return any(next(folder.glob(pattern), None) for pattern in self.weights)
        there = self.exported.in_folder(folder)
        return bool(there) if dtype is None else dtype in there

    def default_dtype(self, folder: Path) -> str:
        """The first precision that an artefact was exported in, and `float32` for a backend that runs the weights."""
        return next(iter(self.exported.in_folder(folder) if self.exported is not None else ()), "float32")

    def is_installed(self) -> bool:
        """Whether its packages are installed. None of them is imported."""
        return all(map(is_installed, self.modules))

    def require(self) -> None:
        """Import its packages.

        Raises:
            MissingExtraError: one is not installed.
        """
        for module in self.modules:
            if self.extra is not None:
                require(module, extra=self.extra)
            elif not is_installed(module):
                raise MissingExtraError(f"{module!r} is not installed, and the backend {self.name!r} needs it")


def find_backend(name: str) -> BackendDescriptor:
    """The descriptor of a backend: one of this package, or one that an installed package declares.

    Raises:
        InvalidSpecError: there is no such backend, or what an installed package declares is no descriptor of this name.

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
    """As `find_backend`, but `None` where there is no such backend: a `Predictor` takes any object as its backend."""
    if name in BUILT_IN:
        built_in: BackendDescriptor = import_object(BUILT_IN[name])
        return built_in
    return next((_load(point) for point in entry_points(group=ENTRY_POINTS, name=name)), None)


def backend_names() -> list[str]:
    """The names of all backends, those that installed packages declare among them, sorted.

    Example:
        >>> {"onnx", "openvino", "torch"} <= set(backend_names())
        True
    """
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def all_backends() -> Iterable[BackendDescriptor]:
    """The descriptors of all backends, by name. One that cannot be imported is logged and left out."""
    for name in backend_names():
        try:
            yield find_backend(name)
        except InvalidSpecError as error:
            _logger.warning("%s", error)


def tolerances() -> dict[tuple[str, str], Tolerance]:
    """The tolerances of all backends, by backend and precision.

    Example:
        >>> tolerances()["torch", "float32"].absolute
        0.001
    """
    return {(one.name, dtype): found for one in all_backends() for dtype, found in one.tolerances.items()}


def _load(point: EntryPoint) -> BackendDescriptor:
    found = load_entry_point(point, kind="backend")
    if not isinstance(found, BackendDescriptor) or found.name != point.name:
        raise InvalidSpecError(f"{declaration(point, kind='backend')}, which is no BackendDescriptor of that name")
    return found
