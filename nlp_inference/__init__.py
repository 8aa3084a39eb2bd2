"""Prediction: texts in, Documents with predictions out.

Public names are loaded on first use, so importing this package loads neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlp_inference._utils.late_binding import bind

if TYPE_CHECKING:
    __version__: str
    from nlp_inference.architectures import CheckpointReport, load_checkpoint
    from nlp_inference.backends.base import Backend
    from nlp_inference.document import Annotation, Category, Coverage, Document, FailedDocument, Relation, Span
    from nlp_inference.document.redaction import redact
    from nlp_inference.encoding import EncodedDocument
    from nlp_inference.golden import read_golden, record_golden, verify
    from nlp_inference.predict.predictor import Predictor
    from nlp_inference.processor import Processor
    from nlp_inference.tasks import (
        CrfTokenClassification,
        HierarchicalClassification,
        MultiLabelClassification,
        MultiTask,
        OrdinalRegression,
        QuestionAnswering,
        RelationExtraction,
        SpanClassification,
        Task,
        TextClassification,
        TextGeneration,
        TextRegression,
        TokenClassification,
    )
    from nlp_inference.transforms import Compose, PostTransform, Transform

_MODULES = {
    "Annotation": "document",
    "Backend": "backends.base",
    "Category": "document",
    "CheckpointReport": "architectures",
    "Compose": "transforms",
    "Coverage": "document",
    "CrfTokenClassification": "tasks",
    "Document": "document",
    "EncodedDocument": "encoding",
    "FailedDocument": "document",
    "HierarchicalClassification": "tasks",
    "MultiLabelClassification": "tasks",
    "MultiTask": "tasks",
    "OrdinalRegression": "tasks",
    "PostTransform": "transforms",
    "Predictor": "predict.predictor",
    "Processor": "processor",
    "QuestionAnswering": "tasks",
    "Relation": "document",
    "RelationExtraction": "tasks",
    "Span": "document",
    "SpanClassification": "tasks",
    "Task": "tasks",
    "TextClassification": "tasks",
    "TextGeneration": "tasks",
    "TextRegression": "tasks",
    "TokenClassification": "tasks",
    "Transform": "transforms",
    "load_checkpoint": "architectures",
    "read_golden": "golden",
    "record_golden": "golden",
    "redact": "document.redaction",
    "verify": "golden",
}

__all__ = [
    "Annotation",
    "Backend",
    "Category",
    "CheckpointReport",
    "Compose",
    "Coverage",
    "CrfTokenClassification",
    "Document",
    "EncodedDocument",
    "FailedDocument",
    "HierarchicalClassification",
    "MultiLabelClassification",
    "MultiTask",
    "OrdinalRegression",
    "PostTransform",
    "Predictor",
    "Processor",
    "QuestionAnswering",
    "Relation",
    "RelationExtraction",
    "Span",
    "SpanClassification",
    "Task",
    "TextClassification",
    "TextGeneration",
    "TextRegression",
    "TokenClassification",
    "Transform",
    "load_checkpoint",
    "read_golden",
    "record_golden",
    "redact",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from nlp_inference._utils.version import distribution_version

        return distribution_version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nlp_inference._utils.caller import without_torch_advice

    with without_torch_advice():
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


bind(
    {
        "document_html": "nlp_inference.rendering:document_html",
        "document_renderable": "nlp_inference.rendering:document_renderable",
        "document_pipeline": "nlp_inference.integrations.pipeline:DocumentPipeline",
        "verify_loaded": "nlp_inference.golden:verify_loaded",
    }
)
