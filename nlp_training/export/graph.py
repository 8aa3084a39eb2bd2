"""A model of torch as an ONNX graph of any batch size and length."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript.optimizer import optimize_ir
from torch.export import Dim

from nlp_inference import Document, Processor, Task
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.backends.exported import export_metadata
from nlp_inference.errors import ArtefactError
from nlp_training._utils.library_messages import without_library_messages
from nlp_training.export.attention import attention_as_operator
from nlp_training.export.base import ExportSource

OPSET = 23
"""Version of the ONNX operators: the first that has attention as one.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html
"""

_EXAMPLE = ("Ana lives in Rome and works in Oslo.", "Hi.")
_AXES = ("rows", "tokens")
_LARGEST = 2**31 - 1
"""Bytes of one protobuf message. Source: https://protobuf.dev/programming-guides/proto-limits/"""


def export_graph(model: torch.nn.Module, processor: Processor) -> onnx.ModelProto:
    """Trace a model, in the precision of its weights.

    Args:
        model: of the processor's task.
        processor: makes the inputs, which are named as it names them; the outputs are those that its task reads.

    Raises:
        ArtefactError: the model cannot be expressed in ONNX, depends on the shape of the example, or is larger than a
            file of ONNX can be.
    """
    task = processor.task
    pair = _EXAMPLE[0] if task.needs_pair else None
    batch = processor([Document(raw_text=text, raw_text_pair=pair) for text in _EXAMPLE], return_tensors="pt")
    names = list(batch)
    wrapped = _Named(model, task, names).eval()
    try:
        with without_library_messages(), attention_as_operator(model):
            program = torch.onnx.export(
                wrapped,
                tuple(batch[name] for name in names),
                dynamo=True,
                input_names=names,
                output_names=list(task.outputs),
                dynamic_shapes=(tuple({0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for _ in names),),
                opset_version=OPSET,
                optimize=False,  # torch would fuse rotary embeddings for batches of one row only
                verbose=False,
            )
    except Exception as error:  # whatever of torch, onnxscript or the model's own code it was
        cause = str(error).strip().partition("\n")[0]
        raise ArtefactError(
            f"{type(model).__name__} cannot be exported to ONNX: {type(error).__name__}: {cause}; serve it with torch"
        ) from error
    if program is None:
        raise ArtefactError(f"torch exported nothing of {type(model).__name__}; serve it with torch")
    optimize_ir(program.model)
    graph: onnx.ModelProto = program.model_proto
    if graph.ByteSize() > _LARGEST:
        raise ArtefactError(f"{type(model).__name__} is larger than the 2 GiB of a file of ONNX; serve it with torch")
    _name_axes(graph)
    return graph


def traced_graph(source: ExportSource, scratch: Path) -> Path:
    """The graph of a model in float32, in a file of a scratch folder; traced by the first call for the folder."""
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
    """Write into a graph's metadata what it was made of, and how.

    Args:
        graph: to be described.
        weights: SHA-256 of the weights that it was made of, by file name.
        dtype: its precision.
        quantization: `dynamic` or `static`, if it has 8-bit activations.
        limits: of the model that it was made of.
        rows_apart: whether its outputs depend on padding, so that every row must run alone.
    """
    opset = next(one.version for one in graph.opset_import if one.domain in ("", "ai.onnx"))
    said = export_metadata(
        weights=weights, dtype=dtype, quantization=quantization, limits=limits, rows_apart=rows_apart
    )
    onnx.helper.set_model_props(graph, {"opset": str(opset), **said})
    graph.producer_name = "nlp-training export"


def save_graph(graph: onnx.ModelProto, path: Path) -> Path:
    """Write a graph into one file."""
    path.write_bytes(graph.SerializeToString())
    return path


class _Named(torch.nn.Module):
    """The task's way to ask the model, with inputs and outputs by their place."""

    def __init__(self, model: torch.nn.Module, task: Task, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
        outputs = self.task.run(self.model, dict(zip(self.names, inputs, strict=True)))
        return tuple(outputs[name] for name in self.task.outputs)


def _name_axes(graph: onnx.ModelProto) -> None:
    """The axes of the inputs by what they count, in the place of the tracer's symbols."""
    for value in graph.graph.input:
        for axis, dimension in zip(_AXES, value.type.tensor_type.shape.dim, strict=False):
            if dimension.dim_param:
                dimension.dim_param = axis
            else:
                raise ArtefactError(
                    f"the exported model reads {dimension.dim_value} {axis} of {value.name!r} and no other number; "
                    "serve it with torch"
                )
