"""`/` and `/models/...`: the inference API of Hugging Face.

Bodies and outputs: https://huggingface.co/docs/inference-providers/tasks/token-classification and the pages next to it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from nlp_inference.errors import NlpInferenceError
from nlp_inference.integrations.pipeline import DocumentPipeline
from nlp_inference.serving.bodies import read_json, validated
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.models import ServedModel
from nlp_inference.serving.outputs import predicted_document
from nlp_inference.serving.schemas import Body, DocumentInput, Text
from nlp_inference.serving.service import Service


class PairInput(Body):
    """The two texts of a pair."""

    text: Text
    text_pair: Text | None = None


class QuestionInput(Body):
    """A question and the text that contains the answer."""

    question: Text
    context: Text


class Parameters(Body):
    """Parameters of a request; where the saved processor decides, another value is an error.

    Args:
        top_k: the number of labels or answers.
        ignore_labels: labels of spans that are omitted.
        aggregation_strategy: accepted for compatibility; spans are grouped as the processor was saved.
        stride: accepted for compatibility; the windows are those of the processor.
    """

    top_k: Annotated[int, Field(strict=True, gt=0, le=1000)] | None = None
    ignore_labels: list[str] = Field(default_factory=list)
    aggregation_strategy: Literal["simple", "first", "average", "max"] | None = None
    stride: Annotated[int, Field(strict=True, ge=0)] | None = None


class InferenceInput(Body):
    """A request in the form of the Hugging Face inference API.

    Args:
        inputs: a text, a pair or a question, or a list of them.
        parameters: the parameters.
        options: accepted for compatibility.
    """

    inputs: QuestionInput | PairInput | Text | list[QuestionInput | PairInput | Text]
    parameters: Parameters = Field(default_factory=Parameters)
    options: dict[str, JsonValue] = Field(default_factory=dict)


class HuggingFace:
    """The endpoints of the Hugging Face inference API.

    Args:
        service: the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, request: Request) -> Response:
        """Predict `inputs` with the model, and the head, of the URL."""
        body = await read_json(request, self._service.settings)
        return await self.predict_body(request, body)

    async def predict_body(self, request: Request, body: Any) -> Response:
        """Predict a body that was read."""
        given = validated(body, InferenceInput)
        model = self._service.models.get(request.path_params.get("model"))
        pipeline = _pipeline(model, request.path_params.get("head"), given.parameters.top_k)
        inputs = given.inputs if isinstance(given.inputs, list) else [given.inputs]
        documents = self._service.predictions.documents([_document(one) for one in inputs])
        traces = await self._service.predictions.predict(request, model, documents, decoder=pipeline.predictor)
        ignored = given.parameters.ignore_labels
        outputs = [
            [one for one in pipeline.form(predicted_document(trace)) if one.get("entity_group") not in ignored]
            for trace in traces
        ]
        return JsonResponse(_shaped(outputs, pipeline, given))


def _document(given: QuestionInput | PairInput | str) -> DocumentInput | str:
    if isinstance(given, str):
        return given
    if isinstance(given, QuestionInput):
        return DocumentInput(text=given.context, text_pair=given.question)
    return DocumentInput(text=given.text, text_pair=given.text_pair)


def _pipeline(model: ServedModel, head: str | None, top_k: int | None) -> DocumentPipeline:
    if head is not None and head not in model.heads:
        raise RequestError(404, f"the model {model.name!r} has no head {head[:64]!r}; it has {', '.join(model.heads)}")
    try:
        return model.pipeline(head, top_k)
    except NlpInferenceError as error:
        raise RequestError(422, str(error), kind=type(error).__name__) from error


def _shaped(outputs: list[list[dict[str, Any]]], pipeline: DocumentPipeline, given: InferenceInput) -> Any:
    """Return the outputs in the nesting that the inference API has for the task."""
    if pipeline.task == "question-answering" and given.parameters.top_k is None:
        answers = [output[0] if output else {"answer": "", "score": 0.0, "start": 0, "end": 0} for output in outputs]
        return answers if isinstance(given.inputs, list) else answers[0]
    if isinstance(given.inputs, list) or pipeline.task == "text-classification":
        return outputs  # a list for each text, also for a single one
    return outputs[0]
