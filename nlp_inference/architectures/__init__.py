"""Torch modules that transformers does not have, and the loading of weights into any module.

Names are loaded on first use, and torch with them, so that metadata of saved model classes can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlp_inference._utils.extras import require_installed

if TYPE_CHECKING:
    from nlp_inference.architectures.checkpoint_report import CheckpointReport, Mismatch
    from nlp_inference.architectures.checkpoints import load_checkpoint
    from nlp_inference.architectures.crf import AutoModelForCrfTokenClassification
    from nlp_inference.architectures.custom_architectures import architecture
    from nlp_inference.architectures.multi_task import AutoModelForMultiTask
    from nlp_inference.architectures.pooled import AutoModelForPooledSequenceClassification
    from nlp_inference.architectures.relations import AutoModelForRelationExtraction
    from nlp_inference.architectures.spans import AutoModelForSpanClassification

_MODULES = {
    "AutoModelForCrfTokenClassification": "crf",
    "AutoModelForPooledSequenceClassification": "pooled",
    "AutoModelForMultiTask": "multi_task",
    "AutoModelForRelationExtraction": "relations",
    "AutoModelForSpanClassification": "spans",
    "CheckpointReport": "checkpoint_report",
    "Mismatch": "checkpoint_report",
    "architecture": "custom_architectures",
    "load_checkpoint": "checkpoints",
}

_WITH_TORCH = frozenset({"checkpoints", "crf", "multi_task", "pooled", "relations", "spans"})

__all__ = [
    "AutoModelForCrfTokenClassification",
    "AutoModelForMultiTask",
    "AutoModelForPooledSequenceClassification",
    "AutoModelForRelationExtraction",
    "AutoModelForSpanClassification",
    "CheckpointReport",
    "Mismatch",
    "architecture",
    "load_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _MODULES[name] in _WITH_TORCH:
        require_installed(("torch",), extra="torch")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
