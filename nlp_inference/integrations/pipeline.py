"""A Predictor with the interface and the outputs of `transformers.pipeline`.

Outputs of a pipeline: https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TokenClassificationPipeline
and https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from nlp_inference.document import Document
from nlp_inference.document.inputs import Item
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.predictor import Predictor

Output = list[dict[str, Any]]
"""The output for one text."""

AS_SAVED: Literal["as saved"] = "as saved"
"""Selects the number of labels with which the task was saved; `None` selects all."""


class DocumentPipeline:
    """A predictor with outputs in the form of the stock pipelines; created by `Predictor.as_pipeline`.

    A span is `{"entity_group", "score", "word", "start", "end"}`, as with an `aggregation_strategy`; a category is
    `{"label", "score"}`. Offsets refer to the input text, and `word` is the text at these offsets.

    Args:
        predictor: the predictor.

    Raises:
        InvalidSpecError: its task predicts neither spans nor categories.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.task: str = predictor.processor.task.pipeline_tag
        forms: dict[str, Callable[[Document], Output]] = {
            "token-classification": _entities,
            "text-classification": _labels,
        }
        if self.task not in forms:
            raise InvalidSpecError(f"there is no pipeline for {self.task!r}; pipelines exist for {', '.join(forms)}")
        self._form = forms[self.task]

    def __call__(
        self,
        inputs: str | Mapping[str, Any] | Document | Iterable[Item],
        *,
        top_k: int | Literal["as saved"] | None = AS_SAVED,
        batch_size: int | None = None,
    ) -> Output | list[Any] | Iterator[Any]:
        """Predict one text, a list of texts, or a stream.

        Args:
            inputs: a text, or `{"text": …, "text_pair": …}`; a list of these; or any other iterable of these, whose
                items are predicted lazily.
            top_k: for a text classifier, the number of labels of each text, best first; `None` returns all. Without it,
                each text of a list gives one dictionary, and with it a list, as in the stock pipeline.
            batch_size: ignored, because batches are built by their number of tokens.

        Raises:
            PredictionError: a text failed.
            InvalidSpecError: the task is not text classification, or `top_k` is less than 1.
        """
        del batch_size
        predictor = self.predictor if top_k == AS_SAVED else self._with_top_k(top_k)
        flat = self.task == "text-classification" and top_k == AS_SAVED and self._names_one_label()
        if isinstance(inputs, str | Mapping | Document):
            (document,) = predictor.predict([inputs])
            return self._form(document)
        outputs = (self._form(one) for one in predictor.stream(inputs))
        shaped = (output[0] for output in outputs) if flat else outputs
        return list(shaped) if isinstance(inputs, Sequence) else shaped

    def _names_one_label(self) -> bool:
        processor = self.predictor.processor
        return getattr(processor.task, "top_k", None) == 1 and not len(processor.postprocess)

    def _with_top_k(self, top_k: Any) -> Predictor:
        task = self.predictor.processor.task
        is_count = top_k is None or (isinstance(top_k, int) and top_k > 0)
        if "top_k" not in type(task).model_fields or not is_count:
            raise InvalidSpecError(
                f"top_k is {top_k!r} for {self.task}; it applies to text-classification, as None or a positive integer"
            )
        processor = copy.copy(self.predictor.processor)
        processor.task = task.model_copy(update={"top_k": top_k})
        return self.predictor.with_processor(processor, workers=1)


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
    categories = document.predicted.categories if document.predicted is not None else ()
    return [category.model_dump() for category in categories]
