"""The descriptor of ONNX Runtime, and where an artefact keeps the models for it; importing it does not import it.

The names of the files are those of optimum and transformers.js.
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
    """Where an exported model is in its artefact.

    Raises:
        InvalidSpecError: it is a precision that is not exported.

    Example:
        >>> onnx_file("int8")
        'onnx/model_int8.onnx'
    """
    return ONNX.files(dtype)[0]


def exported(folder: Path) -> list[str]:
    """The precisions that an artefact was exported in."""
    return FILES.in_folder(folder)
