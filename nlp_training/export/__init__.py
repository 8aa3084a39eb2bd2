"""From the weights of a run to what ONNX Runtime reads, without a prediction getting worse unseen."""

from nlp_inference._utils.extras import require_installed

require_installed(("onnx", "onnxscript"), extra="train")

from nlp_training.export.exporter import Exported, Refused, export_model

__all__ = ["Exported", "Refused", "export_model"]
