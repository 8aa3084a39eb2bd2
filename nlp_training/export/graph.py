"""Conversion of a torch model to an ONNX graph with dynamic batch size and length."""

import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript.optimizer import optimize_ir
from torch.export import Dim

from nlp_inference import Document, Processor, Task
from nlp_inference._utils.shorten import shorten
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.backends.exported import export_metadata
from nlp_inference.errors import ArtefactError
from nlp_training._utils.library_messages import without_library_messages
from nlp_training.export.attention import attention_as_operator
from nlp_training.export.base import ExportSource

OPSET = 23
"""The version of the ONNX operators: the first with an attention operator.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html
"""

_EXAMPLE = ("Ana lives in Rome and works in Oslo.", "Hi.")
_AXES = ("rows", "tokens")
_LARGEST = 2**31 - 1
"""The maximum number of bytes of a protobuf message. Source: https://protobuf.dev/programming-guides/proto-limits/"""


def export_graph(model: torch.nn.Module, processor: Processor) -> onnx.ModelProto:
    """Trace a model in the precision of its weights.

    Args:
        model: a model for the task of the processor.
        processor: the processor, which makes and names the inputs; its task names the outputs.

    Raises:
        ArtefactError: the model cannot be expressed in ONNX, depends on the shape of the example, or exceeds the
            maximum size of an ONNX file.
    """
    task = processor.task
    batch = processor([task.as_probe(Document(raw_text=text)) for text in _EXAMPLE], return_tensors="pt")
    names = list(batch)
    wrapped = _Named(model, task, names).eval()
    try:
        # onnxscript 0.6 prints how many rules it applied, which would be part of the output of `export --json`
        with redirect_stdout(StringIO()), without_library_messages(), attention_as_operator(model):
            program = torch.onnx.export(
                wrapped,
                tuple(batch[name] for name in names),
                dynamo=True,
                input_names=names,
                output_names=list(task.outputs),
                dynamic_shapes=(tuple({0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for _ in names),),
                opset_version=OPSET,
                optimize=False,  # torch would fuse rotary embeddings only for batches of one row
                verbose=False,
            )
    except Exception as error:  # from torch, onnxscript or the code of the model
        raise ArtefactError(
            f"{type(model).__name__} cannot be exported to ONNX: {_cause(error)}; serve it with torch"
        ) from error
    if program is None:
        raise ArtefactError(f"torch exported nothing of {type(model).__name__}; serve it with torch")
    optimize_ir(program.model)
    graph: onnx.ModelProto = program.model_proto
    if graph.ByteSize() > _LARGEST:
        raise ArtefactError(
            f"{type(model).__name__} is larger than 2 GiB, the maximum of an ONNX file; serve it with torch"
        )
    _name_axes(graph)
    return graph


def _cause(error: BaseException) -> str:
    """Return the error that a chain of errors started with, on one line; torch's last error only states the step."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
    return f"{type(error).__name__}: {shorten(line, width=300)}"


def traced_graph(source: ExportSource, scratch: Path) -> Path:
    """Return a file with the graph of a model in float32, which the first call for a scratch folder traces."""
    path = scratch / "plain.onnx"
    if not path.exists():
        save_graph(export_graph(source.model(), source.processor), path)
    return path


def describe(
    graph: onnx.ModelProto,
    *,
    weights: Mapping[str, str],
    dtype: str,
    quantization: str = "",
    limits: ModelLimits | None = None,
    rows_apart: bool = False,
) -> None:
    """Write the origin and the precision of a graph into its metadata.

    Args:
        graph: the graph to describe.
        weights: the SHA-256 of the original weights, by file name.
        dtype: the precision.
        quantization: `dynamic` or `static`, if the graph has 8-bit activations.
        limits: the limits of the original model.
        rows_apart: whether the outputs depend on padding, so that every row must run alone.
    """
    opset = next(one.version for one in graph.opset_import if one.domain in ("", "ai.onnx"))
    metadata = export_metadata(
        weights=weights, dtype=dtype, quantization=quantization, limits=limits, rows_apart=rows_apart
    )
    onnx.helper.set_model_props(graph, {"opset": str(opset), **metadata})
    graph.producer_name = "nlp-training export"


def save_graph(graph: onnx.ModelProto, path: Path) -> Path:
    """Write a graph into one file."""
    path.write_bytes(graph.SerializeToString())
    return path


class _Named(torch.nn.Module):
    """A module that runs the model through the task, with positional inputs and outputs."""

    def __init__(self, model: torch.nn.Module, task: Task, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
        outputs = self.task.run(self.model, dict(zip(self.names, inputs, strict=True)))
        return tuple(outputs[name] for name in self.task.outputs)


def _name_axes(graph: onnx.ModelProto) -> None:
    """Name the axes of the inputs, instead of the symbols of the tracer."""
    for value in graph.graph.input:
        for axis, dimension in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if dimension.dim_param:
                dimension.dim_param = axis
            else:
                raise ArtefactError(
                    f"the exported model accepts only {dimension.dim_value} {axis} of {value.name!r}; serve it with "
                    "torch"
                )
