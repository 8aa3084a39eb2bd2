"""Descriptor of the ONNX Runtime backend. This module does not import ONNX Runtime.

The file names follow optimum and transformers.js.
Source: https://huggingface.co/docs/transformers.js/guides/dtypes
"""

from functools import partial
from pathlib import Path
from types import MappingProxyType

from nlp_inference.backends.descriptors import (
    FLOAT16_TOLERANCE,
    FLOAT32_TOLERANCE,
    INT8_TOLERANCE,
    BackendDescriptor,
    ExportedFiles,
    load_class,
)

FILES = ExportedFiles(
    folder="onnx",
    stems=MappingProxyType({"float32": "model", "float16": "model_fp16", "int8": "model_int8"}),
    suffixes=(".onnx",),
)

ONNX = BackendDescriptor(
    name="onnx",
    library="ONNX Runtime",
    modules=("onnxruntime",),
    runtime="onnxruntime",
    tolerances=MappingProxyType({"float32": FLOAT32_TOLERANCE, "float16": FLOAT16_TOLERANCE, "int8": INT8_TOLERANCE}),
    load=partial(load_class, "nlp_inference.backends.onnx:OnnxBackend"),
    exported=FILES,
    exporter="nlp_training.export.onnx:OnnxExporter",
    auto_rank=20,
    auto_unseen=True,  # the base package installs it
)


def onnx_file(dtype: str) -> str:
    """Return the path of an exported model, relative to its artefact.

    Raises:
        InvalidSpecError: ONNX models are not exported to this precision.

    Example:
        >>> onnx_file("int8")
        'onnx/model_int8.onnx'
    """
    return ONNX.files(dtype)[0]


def exported(folder: Path) -> list[str]:
    """Return the precisions of the exported models in an artefact."""
    return FILES.in_folder(folder)
