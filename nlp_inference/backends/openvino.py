"""OpenVINO backend for models that `nlp-training export --backend openvino` wrote, on Intel and AMD CPUs.

Importing this module does not import `openvino`.

Source: https://docs.openvino.ai/2026/api/ie_python_api/api.html
"""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference._utils.cores import cpu_name
from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.forks import ForkSafeLock, generation
from nlp_inference.backends.descriptors import (
    BFLOAT16_TOLERANCE,
    FLOAT32_TOLERANCE,
    INT8_TOLERANCE,
    BackendDescriptor,
    ExportedFiles,
    load_class,
)
from nlp_inference.backends.exported import (
    ROWS_APART_KEY,
    available_threads,
    check_outputs,
    choose_inputs,
    load_exported,
    read_limits,
)
from nlp_inference.backends.rows import LEAST_TOKENS, rows_without_padding, stacked_outputs
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task

if TYPE_CHECKING:
    import openvino

METADATA = "nlp_inference"
"""Key in the runtime information of a file under which the exporter writes its metadata."""

REFUSED_OPERATORS = frozenset({"Assign", "If", "Loop", "ReadValue", "TensorIterator"})
"""Loops, which may run forever; branches, which may contain loops; variables, which keep values between batches."""

_TOKEN_BUDGET = 1024
_ARITHMETIC = MappingProxyType({"float32": "f32", "bfloat16": "bf16", "int8": "f32"})
"""Precision hint of each exported precision. By default, OpenVINO would run float32 models in bfloat16."""

_BFLOAT16 = "BF16"
_PROCESS_STATE = frozenset({"_compiled", "_local"})
"""Attributes that cannot be pickled."""

_COMPILING = ForkSafeLock()
"""Lock that is held while a model is compiled and runs for the first time; see `OpenVinoBackend._compile`."""

OPENVINO = BackendDescriptor(
    name="openvino",
    library="OpenVINO",
    modules=("openvino",),
    extra="openvino",
    runtime="openvino",
    tolerances=MappingProxyType({"float32": FLOAT32_TOLERANCE, "bfloat16": BFLOAT16_TOLERANCE, "int8": INT8_TOLERANCE}),
    load=partial(load_class, "nlp_inference.backends.openvino:OpenVinoBackend"),
    exported=ExportedFiles(
        folder="openvino",
        stems=MappingProxyType({"float32": "model", "bfloat16": "model_bf16", "int8": "model_int8"}),
        suffixes=(".xml", ".bin"),
    ),
    exporter="nlp_training.export.openvino:OpenVinoExporter",
    auto_rank=30,  # after ONNX Runtime, whose int8 was measured to be faster: docs/benchmarks.md
)


class OpenVinoBackend:
    """Backend that runs an exported model with OpenVINO on a CPU.

    A model whose outputs depend on padding runs each row of a batch alone; see `nlp_inference.backends.padding`. The
    scales of int8 models are constants, so that their rows can share batches.

    Args:
        path: the `.xml` file; the `.bin` file with its weights is next to it.
        task: names the outputs to return.
        dtype: the precision of the export: `float32`, `bfloat16` or `int8`.
        threads: number of CPU threads.

    Raises:
        ArtefactError: the model lacks an output that the task reads, or contains a refused operator.
        InvalidSpecError: the precision is bfloat16, which this CPU does not have.

    Example:
        >>> folder = artefact_folder("org/model", files=OPENVINO.files("int8"))  # doctest: +SKIP
        >>> backend = OpenVinoBackend.from_pretrained(folder, task=task, dtype="int8")  # doctest: +SKIP
        >>> backend.forward(processor(["Ana lives in Rome"]))["logits"].shape  # doctest: +SKIP
        (1, 6, 3)
    """

    name = OPENVINO.name
    token_budget = _TOKEN_BUDGET
    probe_tolerance: float | None = None  # the metadata of the file states whether padding matters

    def __init__(self, path: Path, *, task: Task, dtype: str, threads: int = 1) -> None:
        import openvino

        self.path = path
        self.dtype = dtype
        self.threads = threads
        self.pad_token_id = 0  # replaced by check_padding
        self._outputs = list(task.outputs)
        self._reset_compiled()
        if dtype == "bfloat16" and not has_bfloat16():
            raise InvalidSpecError("this CPU has no bfloat16; load the model with dtype='float32' or 'int8'")
        model = _read(path)
        self.metadata = _metadata(model)
        self.rows_apart = self.metadata.get(ROWS_APART_KEY) == "true"
        self.limits = read_limits(self.metadata)
        self._inputs = [one.get_any_name() for one in model.inputs]
        check_outputs([name for one in model.outputs for name in one.get_names()], task=task)
        self.runs_on = f"{cpu_name()}, openvino {openvino.__version__.partition('-')[0]}"

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        task: Task,
        dtype: str = "float32",
        device: str | None = None,
        threads: int | None = None,
        fingerprint: Fingerprint | None = None,
        trust_remote_code: bool = False,  # noqa: ARG003 - the signature of all backends
    ) -> "OpenVinoBackend":
        """Load the exported model of an artefact, ready to predict.

        Args:
            folder: the artefact.
            task: the task that the model must fit.
            dtype: the precision of the exported model: `float32`, `bfloat16` or `int8`.
            device: `"cpu"` or `None`, which are equivalent.
            threads: number of CPU threads; `None` uses `OMP_NUM_THREADS`, as torch does, or all cores that are
                available to this process.
            fingerprint: the processor's record of the weights and of their exports; `None` checks nothing.
            trust_remote_code: not used, because an exported model contains no model code.

        Warns:
            FingerprintWarning: the model was exported with another version of OpenVINO.

        Raises:
            ArtefactError: the file does not exist, was exported from other weights, is not the one that was verified,
                contains a refused operator, lacks an output that the task reads, or `config.json` of the artefact
                names other labels than the task.
            InvalidSpecError: the precision is none of the three or not supported by the CPU, or the device is another.
        """
        if device not in (None, "cpu"):
            raise InvalidSpecError(f"the device is {device!r}; OpenVINO supports 'cpu' only")
        return load_exported(
            OPENVINO,
            folder,
            task=task,
            dtype=dtype,
            fingerprint=fingerprint,
            open_file=partial(cls.from_file, task=task, dtype=dtype, threads=threads),
        )

    @classmethod
    def from_file(cls, path: Path, *, task: Task, dtype: str, threads: int | None = None) -> "OpenVinoBackend":
        """Load one exported file and check only that it fits the task; see `from_pretrained`."""
        with as_artefact_errors(f"the exported model {str(path)!r}"):
            backend = cls(path, task=task, dtype=dtype, threads=threads or available_threads())
            backend._request()  # a model that cannot be compiled fails here
            return backend

    @property
    def padding_matters(self) -> bool:
        """Whether the outputs depend on padding, so that each row runs alone."""
        return self.rows_apart

    def use_threads(self, count: int) -> None:
        """Set the number of CPU threads of the `forward` calls that the calling thread makes."""
        self._local.count = count

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        inputs = choose_inputs(batch, self._inputs)
        if not self.rows_apart:
            return self._run(inputs)
        rows = rows_without_padding(inputs, least=LEAST_TOKENS, pad_token_id=self.pad_token_id)
        return stacked_outputs([self._run(row) for row in rows])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _PROCESS_STATE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset_compiled()

    def _reset_compiled(self) -> None:
        self._compiled: dict[tuple[int, int], openvino.CompiledModel] = {}
        self._local = threading.local()

    def _run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        return _outputs_of(self._request(), inputs, names=self._outputs)

    def _request(self) -> "openvino.InferRequest":
        """Return the inference request of this thread; a request runs one batch at a time."""
        share = 1 if self.rows_apart else int(getattr(self._local, "count", self.threads))
        key = generation(), max(1, self.threads // share)
        requests: dict[tuple[int, int], openvino.InferRequest] = vars(self._local).setdefault("requests", {})
        if key not in requests:
            requests[key] = self._compile(key).create_infer_request()
        return requests[key]

    def _compile(self, key: tuple[int, int]) -> "openvino.CompiledModel":
        """Compile the model for a number of parallel batches in this process: threads do not survive a fork.

        The model then runs once, while no other thread compiles or runs a model for the first time. OpenVINO 2026.4
        initializes static variables when its tensors are first used and releases the GIL meanwhile, so that two threads
        that do this at the same time deadlock.
        """
        with _COMPILING:
            if key not in self._compiled:
                _, streams = key
                compiled = _core().compile_model(
                    _read(self.path),
                    "CPU",
                    {
                        "INFERENCE_PRECISION_HINT": _ARITHMETIC[self.dtype],
                        "INFERENCE_NUM_THREADS": self.threads,
                        "NUM_STREAMS": streams,
                        "ENABLE_CPU_PINNING": False,  # other processes share the cores
                    },
                )
                row = np.ones((1, LEAST_TOKENS), dtype=np.int64)
                _outputs_of(compiled.create_infer_request(), dict.fromkeys(self._inputs, row), names=self._outputs)
                self._compiled[key] = compiled
            return self._compiled[key]


def _outputs_of(
    request: "openvino.InferRequest", inputs: Mapping[str, NDArray[np.int64]], *, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    outputs = request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()})
    return {name: outputs[name] for name in names}


def has_bfloat16() -> bool:
    """Return whether OpenVINO computes in bfloat16 on this CPU, which requires AVX-512 BF16 or AMX.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return _BFLOAT16 in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> "openvino.Core":
    import openvino

    return openvino.Core()


def _read(path: Path) -> "openvino.Model":
    """Read a model from its two files; the IR format refers to no other file and contains no code.

    `Core.read_model` detects the format from the contents and would also read an ONNX file with this name, which can
    refer to other files.

    Raises:
        ArtefactError: the model cannot be read, or contains a refused operator.
    """
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("ir")
    try:
        model: openvino.Model = reader.convert(reader.load(str(path)))
    except RuntimeError as error:
        cause = next((line for line in reversed(str(error).splitlines()) if line.strip()), "it is damaged")
        raise ArtefactError(
            f"the exported model {str(path)!r} cannot be read: {cause:.300}; export it again"
        ) from error
    refused = sorted({one.get_type_name() for one in model.get_ops()} & REFUSED_OPERATORS)
    if refused:
        raise ArtefactError(
            f"the exported model {str(path)!r} contains the operator {refused[0]}, which may run forever or depend on "
            "earlier batches and which nlp-training never exports; export it again, or run it with torch"
        )
    return model


def _metadata(model: "openvino.Model") -> dict[str, str]:
    if not model.has_rt_info(METADATA):
        return {}
    found = model.get_rt_info(METADATA)
    values = found.value if hasattr(found, "value") else found
    return {str(name): str(getattr(value, "value", value)) for name, value in dict(values).items()}
