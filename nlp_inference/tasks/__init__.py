"""One file a task: how gold becomes label ids and, beside it, how model outputs become an annotation."""

from nlp_inference.tasks.base import Arrays, LostSpan, Task
from nlp_inference.tasks.tag_scheme import TagScheme
from nlp_inference.tasks.text_classification import TextClassification
from nlp_inference.tasks.token_classification import TokenClassification

__all__ = ["Arrays", "LostSpan", "TagScheme", "Task", "TextClassification", "TokenClassification"]
