"""A graph in float16 and in 8-bit numbers.

Weights are quantised to signed 8-bit numbers with a scale for each output (Jacob et al., 2018,
https://arxiv.org/abs/1712.05877), activations to unsigned ones; embeddings too, so that a file is a quarter as large.
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
"""Products of two activations, as in attention, stay in float32."""


def to_float16(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in float16, which takes and gives float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that some weights are too small for float16; the score says whether it matters
        converted: onnx.ModelProto = convert_float_to_float16(graph, keep_io_types=True, disable_shape_infer=True)
    return converted


def to_int8_dynamic(source: Path, target: Path) -> onnx.ModelProto:
    """The same model with 8-bit weights; the scale of activations is found as it runs.

    Args:
        source: the float32 model.
        target: where ONNX Runtime may write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with without_library_messages():  # that a graph could be prepared, which changes nothing here
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
    """The same model with 8-bit weights and activations, whose scales are those that they need on `batches`.

    Args:
        source: the float32 model.
        target: where ONNX Runtime may write.
        batches: what the model reads, as the processor makes it.
    """
    return with_fixed_scales(to_int8_dynamic(source, target), batches)
