"""One file a task: how gold becomes targets and, beside it, how model outputs become an annotation.

Every module of this package is imported with it, so that a task enters the registry by being a file here.
"""

from importlib import import_module
from pkgutil import iter_modules

from nlp_inference.tasks.base import Arrays, DocumentOutputs, LostSpan, Task
from nlp_inference.tasks.crf_token_classification import CrfTokenClassification
from nlp_inference.tasks.hierarchical_classification import HierarchicalClassification
from nlp_inference.tasks.multi_label_classification import MultiLabelClassification
from nlp_inference.tasks.question_answering import QuestionAnswering
from nlp_inference.tasks.span_classification import SpanClassification
from nlp_inference.tasks.tag_scheme import TagScheme
from nlp_inference.tasks.temperature import SoftmaxTask, TemperatureTask
from nlp_inference.tasks.text_classification import TextClassification
from nlp_inference.tasks.text_regression import TextRegression
from nlp_inference.tasks.token_classification import TokenClassification

__all__ = [
    "Arrays",
    "CrfTokenClassification",
    "DocumentOutputs",
    "HierarchicalClassification",
    "LostSpan",
    "MultiLabelClassification",
    "QuestionAnswering",
    "SoftmaxTask",
    "SpanClassification",
    "TagScheme",
    "Task",
    "TemperatureTask",
    "TextClassification",
    "TextRegression",
    "TokenClassification",
]

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
