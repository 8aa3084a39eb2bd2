"""Export of a run's weights to the files of a backend, which are kept only if the predictions are as good.

Each backend has one module with a subclass of `Exporter`, which the descriptor of the backend names.
"""

from nlp_inference._utils.extras import require_installed

require_installed(("onnx", "onnxscript"), extra="train")

from nlp_training.export.base import Exporter, ExportSource
from nlp_training.export.exporter import Exported, Refused, export_model

__all__ = ["ExportSource", "Exported", "Exporter", "Refused", "export_model"]
