"""ONNX files of strangers: graphs with loops are refused before anything runs; our own exports have none."""

import random
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nlp_inference import Processor
from nlp_inference.backends.onnx import OnnxBackend
from nlp_inference.backends.onnx_loops import MOST_NODES, check_loops
from nlp_inference.errors import ArtefactError

ROWS = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"])
LOGITS = helper.make_tensor_value_info("logits", TensorProto.INT64, ["rows", "tokens"])


def loop(turns: int) -> onnx.NodeProto:
    """A node that adds one again and again."""
    state = helper.make_tensor_value_info("state", TensorProto.INT64, None)
    going = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["going_on"]),
            helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1))),
            helper.make_node("Add", ["state", "one"], ["next"]),
        ],
        "body",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []), going, state],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT64, None),
        ],
    )
    del turns
    return helper.make_node("Loop", ["turns", "start", "input_ids"], ["logits"], body=body)


def saved(path: Path, nodes, *, turns: int = 2**60, functions=(), domains=()) -> Path:
    initializers = [
        numpy_helper.from_array(np.array(turns), "turns"),
        numpy_helper.from_array(np.array(True), "start"),
    ]
    graph = helper.make_graph(nodes, "main", [ROWS], [LOGITS], initializers)
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_loop_is_refused_at_once(tmp_path: Path, token_processor: Processor) -> None:
    path = saved(tmp_path / "model.onnx", [loop(2**60)])
    session = onnxruntime.InferenceSession(saved(tmp_path / "short.onnx", [loop(3)], turns=3))
    assert session.run(None, {"input_ids": np.array([[1, 2]])})[0].tolist() == [[4, 5]]  # the file is a working loop
    started = time.monotonic()
    with pytest.raises(ArtefactError, match=r"model.onnx' contains the operator Loop, which may run forever"):
        OnnxBackend.from_file(path, task=token_processor.task, dtype="float32")
    assert time.monotonic() - started < 60


def test_a_loop_inside_a_branch_or_a_function_is_found(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [loop(1)], "branch", [], [helper.make_tensor_value_info("logits", TensorProto.INT64, None)]
    )
    inside = helper.make_node("If", ["start"], ["logits"], then_branch=branch, else_branch=branch)
    with pytest.raises(ArtefactError, match="operator Loop"):
        check_loops(saved(tmp_path / "branch.onnx", [inside]))
    function = helper.make_function(
        "mine", "Repeat", ["turns", "start", "input_ids"], ["logits"], [loop(1)], [helper.make_opsetid("", 18)]
    )
    call = helper.make_node("Repeat", ["turns", "start", "input_ids"], ["logits"], domain="mine")
    with pytest.raises(ArtefactError, match="operator Loop"):
        check_loops(saved(tmp_path / "function.onnx", [call], functions=[function], domains=["mine"]))


def varint(value: int) -> bytes:
    parts = []
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def with_graph_as_field(key: int, tmp_path: Path) -> bytes:
    """Return a model whose graph has another key; the graph is field 7 of the message."""
    model = onnx.load_from_string(saved(tmp_path / "short.onnx", [loop(3)], turns=3).read_bytes())
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    return model.SerializeToString() + varint(key) + varint(len(graph)) + graph


def test_a_key_whose_higher_bits_the_runtime_ignores_hides_no_loop(tmp_path: Path) -> None:
    path = tmp_path / "hidden.onnx"
    path.write_bytes(with_graph_as_field(1 << 32 | 7 << 3 | 2, tmp_path))
    session = onnxruntime.InferenceSession(path)  # which reads field 7
    assert session.run(None, {"input_ids": np.array([[1, 2]])})[0].tolist() == [[4, 5]]
    with pytest.raises(ArtefactError, match="larger than 32 bits"):
        check_loops(path)


def test_a_graph_in_two_parts_hides_no_loop(tmp_path: Path) -> None:
    """A field that occurs twice is merged; here the nodes are in the first part, and the second one has a name only."""
    path = tmp_path / "parts.onnx"
    path.write_bytes(with_graph_as_field(7 << 3 | 2, tmp_path) + bytes([7 << 3 | 2, 0]))
    session = onnxruntime.InferenceSession(path)
    assert session.run(None, {"input_ids": np.array([[1, 2]])})[0].tolist() == [[4, 5]]
    with pytest.raises(ArtefactError, match="operator Loop"):
        check_loops(path)


def test_a_scan_in_the_body_of_a_function_in_a_branch_is_found(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("logits", TensorProto.INT64, None)
    element = helper.make_tensor_value_info("element", TensorProto.INT64, None)
    same = helper.make_tensor_value_info("same", TensorProto.INT64, None)
    body = helper.make_graph([helper.make_node("Identity", ["element"], ["same"])], "body", [element], [same])
    scan = helper.make_node("Scan", ["input_ids"], ["logits"], body=body, num_scan_inputs=1)
    opset = [helper.make_opsetid("", 18)]
    function = helper.make_function("mine", "Repeat", ["input_ids"], ["logits"], [scan], opset)
    call = helper.make_node("Repeat", ["input_ids"], ["logits"], domain="mine")
    branch = helper.make_graph([call], "branch", [], [value])
    inside = helper.make_node("If", ["start"], ["logits"], then_branch=branch, else_branch=branch)
    with pytest.raises(ArtefactError, match="operator Scan"):
        check_loops(saved(tmp_path / "deep.onnx", [inside], functions=[function], domains=["mine"]))


def test_functions_that_multiply_are_refused(tmp_path: Path) -> None:
    """Sixty functions that each call the next one twice are 2**60 nodes."""
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    functions = [helper.make_function("mine", "F60", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], opset)]
    for number in range(60):
        calls = [
            helper.make_node(f"F{number + 1}", [one], [other], domain="mine") for one, other in (("a", "m"), ("m", "b"))
        ]
        functions.append(helper.make_function("mine", f"F{number}", ["a"], ["b"], calls, opset))
    call = helper.make_node("F0", ["input_ids"], ["logits"], domain="mine")
    with pytest.raises(ArtefactError, match=rf"more than {MOST_NODES} nodes after its functions are inlined"):
        check_loops(saved(tmp_path / "many.onnx", [call], functions=functions, domains=["mine"]))
    circle = [
        helper.make_function("mine", "A", ["a"], ["b"], [helper.make_node("A", ["a"], ["b"], domain="mine")], opset)
    ]
    call = helper.make_node("A", ["input_ids"], ["logits"], domain="mine")
    with pytest.raises(ArtefactError, match="more than"):
        check_loops(saved(tmp_path / "circle.onnx", [call], functions=circle, domains=["mine"]))


def test_a_plain_graph_passes(tmp_path: Path) -> None:
    check_loops(saved(tmp_path / "plain.onnx", [helper.make_node("Identity", ["input_ids"], ["logits"])]))


def test_damaged_files_are_an_error_or_pass_and_nothing_else(tmp_path: Path) -> None:
    sound = saved(tmp_path / "sound.onnx", [loop(1)]).read_bytes()
    draw = random.Random(0)  # noqa: S311 - no secret
    outcomes = set()
    for number in range(300):
        content = bytearray(sound)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path = tmp_path / "model.onnx"
        path.write_bytes(bytes(content[: draw.randint(0, len(content))]) if number % 3 == 0 else bytes(content))
        try:
            check_loops(path)
        except ArtefactError as error:
            outcomes.add("damaged" if "is damaged: " in str(error) else "refused")
        else:
            outcomes.add("passed")
    assert {"damaged", "refused"} <= outcomes
