"""8-bit activations with scales that are known before, in the place of those that a model finds as it runs."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_LEVELS = 255
_OF_ONNX_RUNTIME = "com.microsoft"


class _Range(NamedTuple):
    """The values of an activation."""

    lowest: float
    highest: float

    def scale(self) -> tuple[np.float32, np.uint8]:
        """The scale and the zero of unsigned 8-bit numbers for them (Jacob et al., 2018, section 3)."""
        lowest, highest = min(self.lowest, 0.0), max(self.highest, 0.0)
        scale = (highest - lowest) / _LEVELS or 1.0
        return np.float32(scale), np.uint8(round(-lowest / scale))


def with_fixed_scales(dynamic: onnx.ModelProto, batches: Iterable[Mapping[str, NDArray[np.int64]]]) -> onnx.ModelProto:
    """The same model, whose activations have the scales that they need on `batches`.

    Only what enters a product has 8 bits, as in the dynamic model: what comes out of it is single precision, and never
    rounded to 8 bits itself. Each product is one operator of ONNX Runtime.

    Args:
        dynamic: what `quantize_dynamic` made.
        batches: what the model reads, as the processor makes it.
    """
    model = deepcopy(dynamic)
    measured = [node for node in model.graph.node if node.op_type == "DynamicQuantizeLinear"]
    ranges = _ranges(dynamic, [node.input[0] for node in measured], batches)
    fixed = {node.output[0]: _fix(node, ranges[node.input[0]], model.graph) for node in measured}
    nodes = [fixed.get(node.output[0], node) for node in model.graph.node]
    _replace_nodes(model.graph, nodes)
    _replace_nodes(model.graph, _with_products_in_one(model.graph))
    if all(one.domain != _OF_ONNX_RUNTIME for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_OF_ONNX_RUNTIME, 1))
    return model


def _ranges(
    model: onnx.ModelProto, names: list[str], batches: Iterable[Mapping[str, NDArray[np.int64]]]
) -> dict[str, _Range]:
    """The least and the greatest value of each named tensor."""
    names = list(dict.fromkeys(names))
    shown = deepcopy(model)
    shown.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    read = [one.name for one in session.get_inputs()]
    found = dict.fromkeys(names, _Range(0.0, 0.0))
    for batch in batches:
        values = session.run(names, {name: batch[name] for name in read})
        for name, value in zip(names, values, strict=True):
            lowest, highest = found[name]
            found[name] = _Range(min(lowest, float(value.min())), max(highest, float(value.max())))
    return found


def _fix(node: onnx.NodeProto, values: _Range, graph: onnx.GraphProto) -> onnx.NodeProto:
    """The node with constants in the place of the scale and the zero that it finds."""
    for name, constant in zip(node.output[1:], values.scale(), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.array(constant), name))
    return helper.make_node("QuantizeLinear", [node.input[0], *node.output[1:]], [node.output[0]], name=node.name)


def _with_products_in_one(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes, with each integer product, its scaling and the addition of its bias as one."""
    vectors = {one.name for one in graph.initializer if len(one.dims) == 1}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def only_user(node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        found = users.get(node.output[0], [])
        return found[0] if len(found) == 1 and found[0].op_type == kind else None

    def other_input(node: onnx.NodeProto, before: onnx.NodeProto) -> str:
        return str(next(name for name in node.input if name != before.output[0]))

    ends: dict[str, onnx.NodeProto] = {}  # the last node of each group, by its output, and what stands for the group
    inner: set[str] = set()
    for product in graph.node:
        quantized = makers.get(product.input[0]) if product.op_type == "MatMulInteger" else None
        as_float = None if quantized is None else only_user(product, "Cast")
        scaled = None if as_float is None else only_user(as_float, "Mul")
        scales = None if scaled is None or as_float is None else makers.get(other_input(scaled, as_float))
        if quantized is None or as_float is None or scaled is None or scales is None or scales.op_type != "Mul":
            continue
        of_weights = next(name for name in scales.input if name != quantized.input[1])
        inputs = [product.input[0], product.input[1], quantized.input[1], of_weights, *product.input[2:4]]
        group = [product, as_float, scaled]
        biased = only_user(scaled, "Add")
        if biased is not None and other_input(biased, scaled) in vectors:
            group.append(biased)
            inputs.append(other_input(biased, scaled))
        last = group[-1].output[0]
        ends[last] = helper.make_node(
            "MatMulIntegerToFloat", inputs, [last], name=product.name, domain=_OF_ONNX_RUNTIME
        )
        inner |= {node.output[0] for node in group[:-1]}
    return [ends.get(node.output[0], node) for node in graph.node if node.output[0] not in inner]


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    kept = [deepcopy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
