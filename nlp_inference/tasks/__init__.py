"""Tasks, one per file: conversion of gold to targets, and of model outputs to an annotation.

The package imports all of its modules, so each task is registered.
"""

from importlib import import_module
from pkgutil import iter_modules

from nlp_inference.tasks.base import Arrays, BatchDecodedTask, DocumentOutputs, LostSpan, Task
from nlp_inference.tasks.crf_token_classification import CrfTokenClassification
from nlp_inference.tasks.hierarchical_classification import HierarchicalClassification
from nlp_inference.tasks.multi_label_classification import MultiLabelClassification
from nlp_inference.tasks.multi_task import MultiTask
from nlp_inference.tasks.ordinal_regression import OrdinalRegression
from nlp_inference.tasks.question_answering import QuestionAnswering
from nlp_inference.tasks.relation_extraction import RelationExtraction
from nlp_inference.tasks.span_classification import SpanClassification
from nlp_inference.tasks.tag_scheme import TagScheme
from nlp_inference.tasks.temperature import SoftmaxTask, TemperatureTask
from nlp_inference.tasks.text_classification import TextClassification
from nlp_inference.tasks.text_generation import TextGeneration
from nlp_inference.tasks.text_regression import TextRegression
from nlp_inference.tasks.token_classification import TokenClassification

__all__ = [
    "Arrays",
    "BatchDecodedTask",
    "CrfTokenClassification",
    "DocumentOutputs",
    "HierarchicalClassification",
    "LostSpan",
    "MultiLabelClassification",
    "MultiTask",
    "OrdinalRegression",
    "QuestionAnswering",
    "RelationExtraction",
    "SoftmaxTask",
    "SpanClassification",
    "TagScheme",
    "Task",
    "TemperatureTask",
    "TextClassification",
    "TextGeneration",
    "TextRegression",
    "TokenClassification",
]

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
