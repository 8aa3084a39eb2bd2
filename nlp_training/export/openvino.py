"""The exporter of OpenVINO, which converts the ONNX graph and quantizes it with NNCF.

Sources: https://docs.openvino.ai/2026/openvino-workflow/model-preparation.html,
https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
"""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from nlp_inference.backends.descriptors import BackendDescriptor
from nlp_inference.backends.exported import export_metadata
from nlp_inference.backends.openvino import METADATA, has_bfloat16
from nlp_training._utils.library_messages import without_library_messages
from nlp_training.export.base import Exporter, Int8Mode
from nlp_training.export.graph import traced_graph

if TYPE_CHECKING:
    import openvino

_LARGE = 4096
"""The minimum number of values of a constant that is stored in bfloat16; smaller ones, such as biases, are not."""


class OpenVinoExporter(Exporter):
    """The exporter of `openvino/model.xml` with its weights, and of its variants in bfloat16 and 8 bits."""

    int8_modes: ClassVar[tuple[Int8Mode, ...]] = ("static",)
    packages: ClassVar[Mapping[str, str]] = MappingProxyType({"int8": "nncf"})

    @classmethod
    def precisions_here(cls, descriptor: BackendDescriptor) -> tuple[str, ...]:
        """Return all precisions; bfloat16 only if this CPU supports it, because every export is verified and scored."""
        every = super().precisions_here(descriptor)
        return tuple(dtype for dtype in every if dtype != "bfloat16" or has_bfloat16())

    def write(self, dtype: str, paths: Sequence[Path]) -> None:
        """Write the model in one precision; see `Exporter.write`."""
        import openvino

        model = openvino.Core().read_model(traced_graph(self.source, self.scratch))
        if dtype == "int8":
            model = _quantized(model, list(self.source.calibration_batches()))
        elif dtype == "bfloat16":
            _store_as_bfloat16(model)
        metadata = export_metadata(
            weights=self.source.weights,
            dtype=dtype,
            quantization="static" if dtype == "int8" else "",
            limits=self.source.limits,
            rows_apart=self.source.rows_apart,
        )
        for name, value in metadata.items():
            model.set_rt_info(value, [METADATA, name])
        openvino.save_model(model, paths[0], compress_to_fp16=False)


def _quantized(model: "openvino.Model", batches: Sequence[dict[str, NDArray[np.int64]]]) -> "openvino.Model":
    """Return the model with 8-bit weights and activations by post-training quantization with SmoothQuant.

    Source: https://arxiv.org/abs/2211.10438 (Xiao et al., 2023)

    Args:
        model: the model in float32.
        batches: the inputs of the model, on which the scales are measured.
    """
    names = [one.get_any_name() for one in model.inputs]
    with without_library_messages(), redirect_stdout(io.StringIO()):
        nncf = _nncf()
        quantized: openvino.Model = nncf.quantize(
            model,
            nncf.Dataset([{name: batch[name] for name in names} for batch in batches]),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
        )
    return quantized


def _nncf() -> Any:
    """Import NNCF without its telemetry, which would send the architecture and the settings of each quantization."""
    with patch.dict(os.environ, {"NNCF_CI": "1"}):
        import nncf
    return nncf


def _store_as_bfloat16(model: "openvino.Model") -> None:
    """Store large constants in bfloat16, the precision of the computation, which halves the size of the file.

    Results are identical bit for bit if the model runs in bfloat16.
    """
    import openvino

    for constant in [one for one in model.get_ops() if one.get_type_name() == "Constant"]:
        if constant.get_element_type() != openvino.Type.f32 or constant.data.size < _LARGE:
            continue
        values = np.ascontiguousarray(constant.data)
        tensor = openvino.Tensor(openvino.Type.bf16, openvino.Shape(list(values.shape)))
        tensor.data.view(np.uint16)[...] = _bfloat16_bits(values)
        widened = openvino.opset13.convert(openvino.op.Constant(tensor), "f32")
        for reader in constant.output(0).get_target_inputs():
            reader.replace_source_output(widened.output(0))
    model.validate_nodes_and_infer_types()


def _bfloat16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the upper halves of float32 numbers, rounded to nearest, ties to even.

    Example:
        >>> [hex(bits) for bits in _bfloat16_bits(np.array([1.0, -2.0], dtype=np.float32))]
        ['0x3f80', '0xc000']
    """
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
