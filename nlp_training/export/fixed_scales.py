"""Conversion of a model with dynamic scales of 8-bit activations to one with static scales."""

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
    """The range of values of an activation."""

    lowest: float
    highest: float

    def scale(self) -> tuple[np.float32, np.uint8]:
        """Return the scale and the zero point of unsigned 8-bit numbers (Jacob et al., 2018, section 3)."""
        lowest, highest = min(self.lowest, 0.0), max(self.highest, 0.0)
        scale = (highest - lowest) / _LEVELS or 1.0
        return np.float32(scale), np.uint8(round(-lowest / scale))


def with_fixed_scales(dynamic: onnx.ModelProto, batches: Iterable[Mapping[str, NDArray[np.int64]]]) -> onnx.ModelProto:
    """Return the same model with static scales of activations, measured on `batches`.

    As in the dynamic model, only the inputs of matrix products have 8 bits; their outputs have single precision. Each
    product is one operator of ONNX Runtime.

    Args:
        dynamic: a model made by `quantize_dynamic`.
        batches: the inputs of the model, as the processor makes them.
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
    """Return the smallest and the largest value of each named tensor."""
    names = list(dict.fromkeys(names))
    observed = deepcopy(model)
    observed.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    read = [one.name for one in session.get_inputs()]
    found = dict.fromkeys(names, _Range(0.0, 0.0))
    for batch in batches:
        values = session.run(names, {name: batch[name] for name in read})
        for name, value in zip(names, values, strict=True):
            lowest, highest = found[name]
            found[name] = _Range(min(lowest, float(value.min())), max(highest, float(value.max())))
    return found


def _fix(node: onnx.NodeProto, values: _Range, graph: onnx.GraphProto) -> onnx.NodeProto:
    """Replace a node that computes scale and zero point by a node with constants."""
    for name, constant in zip(node.output[1:], values.scale(), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.array(constant), name))
    return helper.make_node("QuantizeLinear", [node.input[0], *node.output[1:]], [node.output[0]], name=node.name)


class _Links:
    """The producer and the consumers of each tensor of a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.vectors = {one.name for one in graph.initializer if len(one.dims) == 1}
        self.maker = {output: node for node in graph.node for output in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def only_reader(self, node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
        """Return the only consumer of a node's output, if there is exactly one and it has this operator type."""
        found = self.readers.get(node.output[0], [])
        return found[0] if len(found) == 1 and found[0].op_type == kind else None


class _Product(NamedTuple):
    """An integer product with the nodes that scale it and add its bias, and the inputs of these nodes."""

    nodes: list[onnx.NodeProto]
    inputs: list[str]

    def in_one(self) -> onnx.NodeProto:
        """Return the fused node: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md."""
        name, output = self.nodes[0].name, self.nodes[-1].output[0]
        return helper.make_node("MatMulIntegerToFloat", self.inputs, [output], name=name, domain=_OF_ONNX_RUNTIME)


def _with_products_in_one(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes, with each integer product, its scaling and its bias fused into one node."""
    links = _Links(graph)
    candidates = (_product(node, links) for node in graph.node if node.op_type == "MatMulInteger")
    products = [product for product in candidates if product is not None]
    last = {product.nodes[-1].output[0]: product.in_one() for product in products}
    inner = {node.output[0] for product in products for node in product.nodes[:-1]}
    return [last.get(node.output[0], node) for node in graph.node if node.output[0] not in inner]


def _product(product: onnx.NodeProto, links: _Links) -> _Product | None:
    """Match a product followed by the nodes of `quantize_dynamic`: a cast, a scaling and an optional bias."""
    quantized, as_float = links.maker.get(product.input[0]), links.only_reader(product, "Cast")
    scaled = None if as_float is None else links.only_reader(as_float, "Mul")
    if quantized is None or as_float is None or scaled is None:
        return None
    scales = links.maker.get(_beside(scaled, as_float))
    if scales is None or scales.op_type != "Mul":
        return None
    of_activations = quantized.input[1]
    of_weights = next(name for name in scales.input if name != of_activations)
    nodes = [product, as_float, scaled]
    zeros = [*product.input[2:], "", ""][:2]  # zero points of both factors; an omitted one is zero
    inputs = [*product.input[:2], of_activations, of_weights, *zeros]
    biased = links.only_reader(scaled, "Add")
    if biased is not None and _beside(biased, scaled) in links.vectors:
        nodes.append(biased)
        inputs.append(_beside(biased, scaled))
    return _Product(nodes, inputs)


def _beside(node: onnx.NodeProto, maker: onnx.NodeProto) -> str:
    """Return the input of a node that is not the output of `maker`."""
    return str(next(name for name in node.input if name != maker.output[0]))


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    kept = [deepcopy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
