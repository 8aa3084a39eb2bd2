"""Export: from the weights of a run to the files of a backend, kept only if predictions are as good.

One file for each backend, with a subclass of `Exporter` that the backend's descriptor names.
"""

from nlp_inference._utils.extras import require_installed

require_installed(("onnx", "onnxscript"), extra="train")

from nlp_training.export.base import Exporter, ExportSource
from nlp_training.export.exporter import Exported, Refused, export_model

__all__ = ["ExportSource", "Exported", "Exporter", "Refused", "export_model"]
