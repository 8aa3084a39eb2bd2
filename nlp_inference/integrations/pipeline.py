"""A Predictor with the interface and the outputs of `transformers.pipeline`.

Outputs of a pipeline: https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TokenClassificationPipeline
and https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

from nlp_inference.document import Document
from nlp_inference.document.inputs import Item
from nlp_inference.errors import InvalidInputError, InvalidSpecError
from nlp_inference.predict.predictor import Predictor

Output = list[dict[str, Any]]
"""The output for one text."""

_TEXT_KEYS = {
    "text-generation": "generated_text",
    "summarization": "summary_text",
    "translation": "translation_text",
}
"""The key of a generated text, by the tag of the task, as in the pipelines of transformers 4."""

AS_SAVED: Literal["as saved"] = "as saved"
"""Selects the number of labels with which the task was saved; `None` selects all."""


class DocumentPipeline:
    """A predictor with outputs in the form of the stock pipelines; created by `Predictor.as_pipeline`.

    A span is `{"entity_group", "score", "word", "start", "end"}`, as with an `aggregation_strategy`; a category is
    `{"label", "score"}`, and so is a value of a regression, whose score is the number itself, without a sigmoid. An
    answer is `{"score", "start", "end", "answer"}`. Offsets refer to the input text, and `word` and `answer` are the
    text at these offsets. A generated text is `{"generated_text"}`, a summary `{"summary_text"}` and a translation
    `{"translation_text"}`, as in the pipelines of transformers 4, which later versions do not have.

    Args:
        predictor: the predictor.
        head: the head of a multi-task model whose predictions are returned.

    Raises:
        InvalidSpecError: its task predicts neither spans nor categories, or it has heads and `head` names none.
    """

    def __init__(self, predictor: Predictor, *, head: str | None = None) -> None:
        tasks = predictor.processor.task.tasks
        if head is None and "" not in tasks:
            raise InvalidSpecError(f"the model has the heads {', '.join(tasks)}; name one: as_pipeline(head=...)")
        self.predictor = predictor if head is None else predictor.with_heads([head])
        self._head = head or ""
        task = tasks[self._head]
        if not task.has_pipeline:
            raise InvalidSpecError(
                f"transformers has no pipeline for {task.name!r}, whose form could be returned; call Predictor.predict"
            )
        self.task: str = task.pipeline_tag
        forms: dict[str, Callable[[Document], Output]] = {
            "token-classification": _entities,
            "text-classification": _labels,
            "question-answering": _answers,
            **{tag: partial(_texts, key=key) for tag, key in _TEXT_KEYS.items()},
        }
        if self.task not in forms:
            raise InvalidSpecError(f"there is no pipeline for {self.task!r}; pipelines exist for {', '.join(forms)}")
        self._of_annotation = forms[self.task]

    def __call__(
        self,
        inputs: str | Mapping[str, Any] | Document | Iterable[Item] | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        top_k: int | Literal["as saved"] | None = AS_SAVED,
        batch_size: int | None = None,
    ) -> dict[str, Any] | Output | list[Any] | Iterator[Any]:
        """Predict one text, a list of texts, or a stream.

        Args:
            inputs: a text, or `{"text": …, "text_pair": …}`; a list of these; or any other iterable of these, whose
                items are predicted lazily. For question answering, `{"question": …, "context": …}`.
            question: a question or several, in place of `inputs`.
            context: the context of each question, or one for all of them.
            top_k: for a text classifier, the number of labels of each text, best first; `None` returns all. Without it,
                each text of a list gives one dictionary, and with it a list, as in the stock pipeline. For question
                answering, the number of answers.
            batch_size: ignored, because batches are built by their number of tokens.

        Raises:
            PredictionError: a text failed.
            InvalidSpecError: the task has no `top_k`, or it is less than 1.
        """
        del batch_size
        predictor = self.predictor if top_k == AS_SAVED else self._with_top_k(top_k)
        if question is not None and context is not None:
            inputs = _questions(question, context)
        if inputs is None:
            raise InvalidInputError("there is no input; give texts, or question and context")
        one_answer = self.task == "question-answering" and predictor.processor.task.tasks[self._head].names_one_label
        flat = one_answer or (self.task == "text-classification" and top_k == AS_SAVED and self._names_one_label())
        if isinstance(inputs, str | Mapping | Document):
            (document,) = predictor.predict([inputs])
            return self.form(document)[0] if one_answer else self.form(document)
        outputs = (self.form(one) for one in predictor.stream(inputs))
        shaped = (output[0] for output in outputs) if flat else outputs
        return list(shaped) if isinstance(inputs, Sequence) else shaped

    def with_top_k(self, top_k: int | None) -> Self:
        """Return a pipeline that returns another number of labels or answers, best first; `None` means all.

        Raises:
            InvalidSpecError: the task has no `top_k`, or it is less than 1.
        """
        other = copy.copy(self)
        other.predictor = self._with_top_k(top_k)
        return other

    def form(self, document: Document) -> Output:
        """Return the output for a predicted document."""
        predicted = None if document.predicted is None else document.predicted.head(self._head)
        return self._of_annotation(document.model_copy(update={"predicted": predicted}))

    def _names_one_label(self) -> bool:
        processor = self.predictor.processor
        return processor.task.tasks[self._head].names_one_label and not len(processor.postprocess)

    def _with_top_k(self, top_k: Any) -> Predictor:
        task = self.predictor.processor.task.tasks[self._head]
        is_count = top_k is None or (isinstance(top_k, int) and top_k > 0)
        if "top_k" not in type(task).model_fields or not is_count:
            raise InvalidSpecError(
                f"top_k is {top_k!r} for {self.task}; it applies to text-classification and question-answering, as a "
                "positive integer, or None for all labels"
            )
        processor = copy.copy(self.predictor.processor)
        processor.task = processor.task.with_tasks({self._head: task.model_copy(update={"top_k": top_k})})
        return self.predictor.with_processor(processor, workers=1)


def _texts(document: Document, *, key: str) -> Output:
    return [{key: text} for text in (document.predicted.generated if document.predicted is not None else ())]


def _entities(document: Document) -> Output:
    spans = document.predicted.spans if document.predicted is not None else ()
    return [
        {
            "entity_group": span.label,
            "score": span.score,
            "word": document.surface(span),
            "start": span.start,
            "end": span.end,
        }
        for span in spans
    ]


def _labels(document: Document) -> Output:
    if document.predicted is None:
        return []
    categories = [category.model_dump() for category in document.predicted.categories]
    return categories + [{"label": name, "score": value} for name, value in document.predicted.values.items()]


def _answers(document: Document) -> Output:
    predicted = document.predicted
    if predicted is None or not predicted.spans:  # as the pipeline of transformers 4 with `handle_impossible_answer`
        score = 0.0 if predicted is None else predicted.values.get("no_answer", 0.0)
        return [{"score": score, "start": 0, "end": 0, "answer": ""}]
    return [
        {"score": span.score, "start": span.start, "end": span.end, "answer": document.surface(span)}
        for span in predicted.spans
    ]


def _questions(question: str | Sequence[str], context: str | Sequence[str]) -> dict[str, str] | list[dict[str, str]]:
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    questions = [question] if isinstance(question, str) else list(question)
    contexts = [context] * len(questions) if isinstance(context, str) else list(context)
    if len(questions) != len(contexts):
        raise InvalidInputError(f"there are {len(questions)} questions and {len(contexts)} contexts; give one for each")
    return [{"question": one, "context": other} for one, other in zip(questions, contexts, strict=True)]
