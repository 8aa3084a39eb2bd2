"""Extractive question answering."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from nlp_inference import Annotation, Document, Span, Task
from nlp_inference.tasks import QuestionAnswering
from nlp_inference.tasks.question_answering import ANSWER
from nlp_training.adopt.deduction import Deduction
from nlp_training.adopt.heads.base import HeadPlan, StockHead, StockPrediction, StockRoute, task_with
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel


class AnswerHead(StockHead):
    """`AutoModelForQuestionAnswering`."""

    auto_model = "AutoModelForQuestionAnswering"
    tasks = ("question-answering",)

    def plan(self, stock: StockModel, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> HeadPlan:  # noqa: ARG002
        """Return the task; whether there may be no answer is not stated anywhere."""
        deductions: list[Deduction] = []
        task = task_with(QuestionAnswering, {}, options, deductions)
        if "no_answer_threshold" not in options.settings:
            evidence = "models of SQuAD 2 may find no answer; for SQuAD 1 there always is one"
            option = "--set no_answer_threshold=null or --data"
            deductions.append(Deduction("no answer", "if it is more likely", evidence, option, "assumed"))
        model = stock.load(("start", "end"))
        return HeadPlan(task, model, deductions, pairs=True)

    def route(self, model: PreTrainedModel, stock: StockModel, task: Task) -> StockRoute:  # noqa: ARG002
        """Return what the documentation of transformers does, which has no pipeline for it."""
        return AnswerRoute(model, stock)


class AnswerRoute(StockRoute):
    """The most likely start and the most likely end, as in the documentation of transformers.

    Source: https://huggingface.co/docs/transformers/tasks/question_answering#inference
    """

    title: ClassVar[str] = "argmax of start and end"
    call = "outputs.start_logits.argmax(), outputs.end_logits.argmax()  # transformers 5 has no pipeline for it"

    def __init__(self, model: PreTrainedModel, stock: StockModel) -> None:
        self._model: Any = model
        self._tokenizer = stock.untouched

    def predict(self, document: Document) -> StockPrediction:
        """Answer one question; the answer is empty if the end is before the start, or outside of the context."""
        question = document.raw_text_pair or ""
        try:
            encoded: Any = self._tokenizer(question, document.raw_text, return_tensors="pt", truncation=True)
            spots = self._tokenizer(question, document.raw_text, return_offsets_mapping=True, truncation=True)
            with torch.inference_mode():
                outputs = self._model(**encoded)
        except Exception as error:  # noqa: BLE001 - whatever the model raises is its result
            return StockPrediction(None, f"{type(error).__name__}: {error}")
        offsets, parts = spots["offset_mapping"], spots.sequence_ids()
        read = max((end for (_, end), part in zip(offsets, parts, strict=True) if part == 1), default=0)
        read = len(document.raw_text) if not document.raw_text[read:].strip() else read
        first, last = int(outputs.start_logits.argmax()), int(outputs.end_logits.argmax())
        if first > last or parts[first] != 1 or parts[last] != 1:
            says_none = (first, last) == (0, 0)  # the position of "no answer"
            return StockPrediction(Annotation(), read=read, is_impossible=not says_none)
        start, end = offsets[first][0], offsets[last][1]
        spans = (Span(start=start, end=end, label=ANSWER),) if start < end else ()
        return StockPrediction(Annotation(spans=spans), read=read)
