"""ONNX Runtime backend for models that `nlp-training export` wrote. It needs no torch.

Source: https://onnxruntime.ai/docs/api/python/api_summary.html
"""

import platform
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nlp_inference._utils.cores import cpu_name
from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.forks import ForkSafeLock, generation
from nlp_inference.backends.exported import (
    LIMITS_KEY,
    QUANTIZATION_KEY,
    ROWS_APART_KEY,
    available_threads,
    check_outputs,
    choose_inputs,
    load_exported,
    read_limits,
)
from nlp_inference.backends.onnx_files import ONNX
from nlp_inference.backends.onnx_loops import check_loops
from nlp_inference.backends.rows import LEAST_TOKENS, rows_without_padding, stacked_outputs
from nlp_inference.errors import InvalidSpecError
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task

_TOKEN_BUDGETS = {"cpu": 1024, "cuda": 32768}
_INT8_TOKEN_BUDGET = 512
"""Smaller on a CPU, where integer products gain nothing from larger batches and small ones balance the load better."""

_SLOWER_ON_A_CPU = ["SkipLayerNormFusion"]
"""The fused kernel is four times slower than the addition and the normalization that it replaces."""

_PROBE_TOLERANCE = 1e-4
"""Relative difference of float32 outputs that is larger than the effect of another order of summation."""

_PROCESS_STATE = frozenset({"_sessions", "_opening", "_share"})
"""Attributes that cannot be pickled."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxBackend:
    """Backend that runs an exported model with ONNX Runtime.

    Dynamic quantization computes one scale of the 8-bit activations per batch, so that a prediction would depend on its
    neighbors. A dynamically quantized model therefore runs each row alone, without padding, on one thread, and several
    batches run in parallel. A model whose outputs depend on padding runs in the same way.

    Args:
        open_session: opens the model with a number of threads; each number of threads needs a separate session.
        task: names the outputs to return.
        dtype: the precision of the export: `float32`, `float16` or `int8`.
        threads: number of CPU threads.

    Example:
        >>> folder = artefact_folder("org/model", files=("onnx/model_int8.onnx",))  # doctest: +SKIP
        >>> backend = OnnxBackend.from_pretrained(folder, task=task, dtype="int8")  # doctest: +SKIP
        >>> backend.forward(processor(["Ana lives in Rome"]))["logits"].shape  # doctest: +SKIP
        (1, 6, 3)
    """

    name = ONNX.name

    def __init__(
        self,
        open_session: Callable[[int], onnxruntime.InferenceSession],
        *,
        task: Task,
        dtype: str,
        threads: int = 1,
    ) -> None:
        self.dtype = dtype
        self._open = open_session
        self._outputs = list(task.outputs)
        self._reset_sessions()
        session = open_session(1)
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.pad_token_id = 0  # replaced by check_padding
        self.padding_matters = self.metadata.get(ROWS_APART_KEY) == "true"
        self._dynamic_scales = self.metadata.get(QUANTIZATION_KEY) == "dynamic"
        self.limits = read_limits(self.metadata)
        self._inputs = [one.name for one in session.get_inputs()]
        device = "cpu" if session.get_providers()[0] == _PROVIDERS["cpu"] else "cuda"
        self.threads = threads if device == "cpu" else 1
        self.token_budget = _INT8_TOKEN_BUDGET if (dtype, device) == ("int8", "cpu") else _TOKEN_BUDGETS[device]
        # ONNX Runtime does not expose the name of the GPU.
        device_name = cpu_name() if device == "cpu" else f"a GPU of {platform.node()}"
        self.runs_on = f"{device_name}, onnxruntime {onnxruntime.__version__}"
        check_outputs([one.name for one in session.get_outputs()], task=task)
        # An exporter that writes limits also writes whether padding matters, so that no probe is needed.
        has_limits = LIMITS_KEY in self.metadata
        self.probe_tolerance = _PROBE_TOLERANCE if (dtype, device, has_limits) == ("float32", "cpu", False) else None
        if self._threads_here() == 1:
            self._sessions[generation(), 1] = session

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
    ) -> "OnnxBackend":
        """Load the exported model of an artefact, ready to predict.

        Args:
            folder: the artefact.
            task: the task that the model must fit.
            dtype: the precision of the exported file: `float32`, `float16` or `int8`.
            device: such as `"cpu"` or `"cuda:1"`; `None` uses a GPU if ONNX Runtime can use one.
            threads: number of CPU threads; `None` uses `OMP_NUM_THREADS`, as torch does, or all cores that are
                available to this process.
            fingerprint: the processor's record of the weights and of their exports; `None` checks nothing.
            trust_remote_code: not used, because an exported model contains no model code.

        Warns:
            FingerprintWarning: the model was exported with another version of ONNX Runtime.

        Raises:
            ArtefactError: the file does not exist, was exported from other weights, is not the one that was verified,
                lacks an output that the task reads, or its `config.json` names other labels than the task.
            InvalidSpecError: the precision is none of the three, or the device is not available.
        """
        return load_exported(
            ONNX,
            folder,
            task=task,
            dtype=dtype,
            fingerprint=fingerprint,
            open_file=partial(cls.from_file, task=task, dtype=dtype, device=device, threads=threads),
        )

    @classmethod
    def from_file(
        cls,
        path: Path,
        *,
        task: Task,
        dtype: str,
        device: str | None = None,
        threads: int | None = None,
    ) -> "OnnxBackend":
        """Load one exported file and check only that it fits the task; see `from_pretrained`."""
        with as_artefact_errors(f"the exported model {str(path)!r}"):
            check_loops(path)
            return cls(
                partial(_open_session, path, device=device),
                task=task,
                dtype=dtype,
                threads=threads or available_threads(),
            )

    @property
    def rows_apart(self) -> bool:
        """Whether each row of a batch runs alone, without padding."""
        return self._dynamic_scales or self.padding_matters

    @rows_apart.setter
    def rows_apart(self, apart: bool) -> None:
        self.padding_matters = apart

    def use_threads(self, count: int) -> None:
        """Set the number of CPU threads of the `forward` calls that the calling thread makes."""
        self._share.count = count

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        session = self._session()
        inputs = choose_inputs(batch, self._inputs)
        if not self.rows_apart:
            return dict(zip(self._outputs, session.run(self._outputs, inputs), strict=True))
        least = LEAST_TOKENS if self.padding_matters else 1
        rows = rows_without_padding(inputs, least=least, pad_token_id=self.pad_token_id)
        outputs = [session.run(self._outputs, row) for row in rows]
        return stacked_outputs([dict(zip(self._outputs, one, strict=True)) for one in outputs])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _PROCESS_STATE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset_sessions()

    def _reset_sessions(self) -> None:
        self._sessions: dict[tuple[int, int], onnxruntime.InferenceSession] = {}
        self._opening = ForkSafeLock()
        self._share = threading.local()

    def _threads_here(self) -> int:
        return 1 if self.rows_apart else int(getattr(self._share, "count", self.threads))

    def _session(self) -> onnxruntime.InferenceSession:
        """Return a session with this thread's thread count, in this process: threads do not survive a fork."""
        key = generation(), self._threads_here()
        if key not in self._sessions:
            with self._opening:
                if key not in self._sessions:
                    self._sessions[key] = self._open(key[1])
        return self._sessions[key]


def _open_session(path: Path, threads: int, *, device: str | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.load_model_format", "ONNX")  # check_loops reads no other format
    options.log_severity_level = 3  # errors are raised; warnings only report nodes that stay on the CPU
    providers = _providers(device)
    slower = _SLOWER_ON_A_CPU if providers == [_PROVIDERS["cpu"]] else []
    return onnxruntime.InferenceSession(path, options, providers=providers, disabled_optimizers=slower)


def _providers(device: str | None) -> list[Any]:
    available = onnxruntime.get_available_providers()
    kind, _, number = (device or ("cuda" if _PROVIDERS["cuda"] in available else "cpu")).partition(":")
    if kind not in _PROVIDERS or not (number.isdecimal() or not number):
        raise InvalidSpecError(f"the device is {device!r}; ONNX Runtime supports 'cpu', 'cuda' or 'cuda:1' (an index)")
    if _PROVIDERS[kind] not in available:
        raise InvalidSpecError(
            f"the device is {device!r}, but the installed ONNX Runtime has {', '.join(available)}; "
            "install onnxruntime-gpu instead of onnxruntime"
        )
    cpu = _PROVIDERS["cpu"]
    return [cpu] if kind == "cpu" else [(_PROVIDERS[kind], {"device_id": number or "0"}), cpu]
