"""Conversion of a graph to float16 and to 8-bit integers.

Weights and embeddings are quantized to signed 8-bit integers with one scale per output (Jacob et al., 2018,
https://arxiv.org/abs/1712.05877), activations to unsigned ones. A file has a quarter of the size in float32.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from nlp_training._utils.library_messages import without_library_messages
from nlp_training.export.fixed_scales import with_fixed_scales

_CONSTANT_WEIGHTS: dict[str, Any] = {"MatMulConstBOnly": True}
"""Keep products of two activations, as in attention, in float32."""


def to_float16(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in float16, with inputs and outputs in float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # about weights that are too small for float16; the score shows whether they matter
        converted: onnx.ModelProto = convert_float_to_float16(graph, keep_io_types=True, disable_shape_infer=True)
    return converted


def to_int8_dynamic(source: Path, target: Path) -> onnx.ModelProto:
    """Return the model with 8-bit weights and dynamic scales of activations.

    Args:
        source: the float32 model.
        target: a temporary path for ONNX Runtime.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with without_library_messages():  # advice on preprocessing, which has no effect here
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options=_CONSTANT_WEIGHTS,
        )
    return onnx.load(target)


def to_int8_static(source: Path, target: Path, batches: Iterable[Mapping[str, NDArray[np.int64]]]) -> onnx.ModelProto:
    """Return the model with 8-bit weights and static scales of activations, measured on `batches`.

    Args:
        source: the float32 model.
        target: a temporary path for ONNX Runtime.
        batches: the inputs of the model, as the processor makes them.
    """
    return with_fixed_scales(to_int8_dynamic(source, target), batches)
