"""Detection of loops in an ONNX file from its bytes, without the `onnx` package and before the model runs.

Only the fields that lead to nodes are read. Message definitions: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
Encoding: https://protobuf.dev/programming-guides/encoding/
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from nlp_inference.errors import ArtefactError

LOOPS = frozenset({"Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"})
"""Operators that run a graph repeatedly, in the domains of ONNX and of ONNX Runtime."""

MOST_NODES = 1_000_000
"""Greatest number of nodes of a graph after its functions are inlined, which ONNX Runtime does on loading."""

_DEPTH = 64
_GREATEST_KEY = (1 << 32) - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL = {7: "graph", 25: "function"}
_GRAPH = {1: "node"}
_FUNCTION = {7: "node", 11: "attribute"}
_NODE = {5: "attribute"}
_ATTRIBUTE = {6: "graph", 11: "graph"}
_CHILDREN = {"model": _MODEL, "graph": _GRAPH, "function": _FUNCTION, "node": _NODE, "attribute": _ATTRIBUTE}
_NAME_OF_FUNCTION, _OP_TYPE = 1, 4

Span = tuple[int, int]


def check_loops(path: Path) -> None:
    """Reject an ONNX file that contains a loop in its graph, in a branch or in a function.

    A loop can have 2**60 iterations, so that ONNX Runtime would never return. `nlp-training export` writes no loops.

    Raises:
        ArtefactError: the file contains a loop, has more nodes than `MOST_NODES`, or is damaged.
    """
    if not path.stat().st_size:
        raise ArtefactError(f"the exported model {str(path)!r} is empty; export it again: nlp-training export RUN")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            counts = _operators(content)
        except (IndexError, ValueError, UnicodeDecodeError) as error:
            raise ArtefactError(f"the exported model {str(path)!r} is damaged: {error}; export it again") from error
    called = {operator for operators in counts.values() for operator in operators}
    if found := sorted(called & LOOPS):
        raise ArtefactError(
            f"the exported model {str(path)!r} contains the operator {found[0]}, which may run forever and which "
            "nlp-training never exports; export it again, or run the model with torch"
        )
    if _nodes_after_inlining(counts) > MOST_NODES:
        raise ArtefactError(
            f"the exported model {str(path)!r} has more than {MOST_NODES} nodes after its functions are inlined, "
            "which no exported model has; export it again"
        )


def _operators(content: mmap.mmap) -> dict[str, dict[str, int]]:
    """Count the operators of each function; the graph itself has the name `""`."""
    counts: dict[str, dict[str, int]] = {"": {}}
    stack: list[tuple[str, Span, str, int]] = [("model", (0, len(content)), "", 0)]
    while stack:
        kind, span, owner, depth = stack.pop()
        if depth > _DEPTH:
            raise ValueError(f"graphs within graphs are nested more than {_DEPTH} deep")
        fields = list(_fields(content, span)) if kind in ("function", "node") else _fields(content, span)
        if kind == "function":
            names = [_text(content, value) for number, value in fields if number == _NAME_OF_FUNCTION]
            owner = names[-1] if names else "?"
            counts.setdefault(owner, {})
        for number, value in fields:
            if kind == "node" and number == _OP_TYPE:
                operator = _text(content, value)
                counts[owner][operator] = counts[owner].get(operator, 0) + 1
            elif number in _CHILDREN[kind]:
                stack.append((_CHILDREN[kind][number], value, owner, depth + 1))
    return counts


def _nodes_after_inlining(counts: dict[str, dict[str, int]]) -> int:
    """Count the nodes of the graph after inlining; recursive functions give more than `MOST_NODES`."""
    sizes: dict[str, int] = {}
    for _ in range(len(counts) + 1):
        grown = {
            owner: min(MOST_NODES + 1, sum(times * (1 + sizes.get(name, 0)) for name, times in used.items()))
            for owner, used in counts.items()
        }
        if grown == sizes:
            return sizes[""]
        sizes = grown
    return MOST_NODES + 1


def _fields(content: mmap.mmap, span: Span) -> Iterator[tuple[int, Span]]:
    """Yield the number and the span of every length-delimited field of a message (a message, text or bytes)."""
    position, end = span
    while position < end:
        key, position = _varint(content, position, end)
        if key > _GREATEST_KEY:  # ONNX Runtime would ignore the higher bits and read another field than this function
            raise ValueError(f"a field has the key {key}, which is larger than 32 bits")
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            _, position = _varint(content, position, end)
        elif wire == _FIXED64:
            position += 8
        elif wire == _FIXED32:
            position += 4
        elif wire == _BYTES:
            length, position = _varint(content, position, end)
            if length > end - position:
                raise ValueError(f"a field of {length} bytes is longer than the message that contains it")
            yield number, (position, position + length)
            position += length
        else:
            raise ValueError(f"a field has the wire type {wire}")
    if position > end:
        raise ValueError("a field is longer than the message that contains it")


def _varint(content: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has no end")


def _text(content: mmap.mmap, span: Span) -> str:
    return content[span[0] : span[1]].decode("utf-8")
