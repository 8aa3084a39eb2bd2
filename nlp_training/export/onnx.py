"""The exporter of ONNX Runtime, which converts one graph to each precision."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import onnx

from nlp_training.export.base import Exporter, Int8Mode
from nlp_training.export.graph import describe, save_graph, traced_graph
from nlp_training.export.precision import to_float16, to_int8_dynamic, to_int8_static


class OnnxExporter(Exporter):
    """The exporter of `onnx/model.onnx` and its variants in lower precisions."""

    int8_modes: ClassVar[tuple[Int8Mode, ...]] = ("dynamic", "static")

    def write(self, dtype: str, paths: Sequence[Path]) -> None:
        """Write the graph in one precision; see `Exporter.write`."""
        [path] = paths
        graph = self._converted(dtype)
        describe(
            graph,
            weights=self.source.weights,
            dtype=dtype,
            quantization=(self.int8_mode or "") if dtype == "int8" else "",
            limits=self.source.limits,
            rows_apart=self.source.rows_apart,
        )
        save_graph(graph, path)

    def _converted(self, dtype: str) -> onnx.ModelProto:
        plain = traced_graph(self.source, self.scratch)
        scratch = self.scratch / "int8.onnx"
        if dtype == "float16":
            return to_float16(onnx.load(plain))
        if dtype == "int8" and self.int8_mode == "static":
            return to_int8_static(plain, scratch, self.source.calibration_batches())
        if dtype == "int8":
            return to_int8_dynamic(plain, scratch)
        return onnx.load(plain)
