"""A Predictor called as `transformers.pipeline` is, and answering as it does, for code that was written for one.

What a pipeline returns: https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TokenClassificationPipeline
and https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from nlp_inference.document import Document
from nlp_inference.document.inputs import Item
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.predictor import Predictor

Answer = list[dict[str, Any]]
"""What is said of one text."""

AS_SAVED: Literal["as saved"] = "as saved"
"""Stands for the number of labels that the task was saved with; `None` asks for all."""


class DocumentPipeline:
    """Answers texts in the form of the stock pipelines; made by `Predictor.as_pipeline`.

    A span is `{"entity_group", "score", "word", "start", "end"}`, as with an `aggregation_strategy`; a category is
    `{"label", "score"}`, and so is a value of a regression, whose score is the number itself, without a sigmoid.
    Offsets are those of the text as it was given, and `word` is what stands there.

    Args:
        predictor: what answers.

    Raises:
        InvalidSpecError: its task makes something else than spans or categories.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.task: str = predictor.processor.task.pipeline_tag
        forms: dict[str, Callable[[Document], Answer]] = {
            "token-classification": _entities,
            "text-classification": _labels,
        }
        if self.task not in forms:
            raise InvalidSpecError(f"there is no pipeline for {self.task!r} here, only for {', '.join(forms)}")
        self._form = forms[self.task]

    def __call__(
        self,
        inputs: str | Mapping[str, Any] | Document | Iterable[Item],
        *,
        top_k: int | Literal["as saved"] | None = AS_SAVED,
        batch_size: int | None = None,
    ) -> Answer | list[Any] | Iterator[Any]:
        """Answer one text, a list of them, or a stream.

        Args:
            inputs: a text, or `{"text": …, "text_pair": …}`; a list of such; or any other iterable of such, which is
                answered one after the other while it is read.
            top_k: of a text classifier, how many labels each text gets, best first; `None` is all. Without it a list of
                texts gets one dictionary each, and with it a list each, as of the stock pipeline.
            batch_size: taken and not needed: batches are cut by tokens.

        Raises:
            PredictionError: a text failed.
            InvalidSpecError: `top_k` is for a text classifier, and at least 1.
        """
        del batch_size
        predictor = self.predictor if top_k == AS_SAVED else self._with_top_k(top_k)
        flat = self.task == "text-classification" and top_k == AS_SAVED and self._names_one_label()
        if isinstance(inputs, str | Mapping | Document):
            (document,) = predictor.predict([inputs])
            return self._form(document)
        answers = (self._form(one) for one in predictor.stream(inputs))
        shaped = (answer[0] for answer in answers) if flat else answers
        return list(shaped) if isinstance(inputs, Sequence) else shaped

    def _names_one_label(self) -> bool:
        processor = self.predictor.processor
        return processor.task.names_one_label and not len(processor.postprocess)

    def _with_top_k(self, top_k: Any) -> Predictor:
        task = self.predictor.processor.task
        is_count = top_k is None or (isinstance(top_k, int) and top_k > 0)
        if "top_k" not in type(task).model_fields or not is_count:
            raise InvalidSpecError(f"top_k is {top_k!r} for {self.task}; it is for text-classification, None or 1, 2 …")
        processor = copy.copy(self.predictor.processor)
        processor.task = task.model_copy(update={"top_k": top_k})
        return self.predictor.with_processor(processor, workers=1)


def _entities(document: Document) -> Answer:
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


def _labels(document: Document) -> Answer:
    if document.predicted is None:
        return []
    categories = [category.model_dump() for category in document.predicted.categories]
    return categories + [{"label": name, "score": value} for name, value in document.predicted.values.items()]
