"""`/ping` and `/invocations` of SageMaker, and the routes of Vertex AI.

SageMaker: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
Vertex AI: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from nlp_inference.document import Document
from nlp_inference.predict.trace import Trace
from nlp_inference.serving.bodies import read_json, validated
from nlp_inference.serving.endpoints.hugging_face import HuggingFace
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.outputs import document_output, output_or_failure
from nlp_inference.serving.schemas import Body, DocumentInput, Text
from nlp_inference.serving.service import Service


class Instances(Body):
    """A request in the form of Vertex AI."""

    instances: list[DocumentInput | Text]
    parameters: dict[str, JsonValue] | None = Field(default_factory=dict)


class Clouds:
    """The endpoints of managed services.

    Args:
        service: the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hugging_face = HuggingFace(service)

    async def predict(self, request: Request) -> Response:
        """Predict `inputs` as Hugging Face, or `instances` as Vertex AI, or one document as `/documents`."""
        body = await read_json(request, self._service.settings)
        if isinstance(body, dict) and "inputs" in body:
            return await self._hugging_face.predict_body(request, body)
        if isinstance(body, dict) and "instances" in body:
            predicted = await self._predicted(request, validated(body, Instances).instances)
            return JsonResponse({"predictions": [output_or_failure(*pair) for pair in predicted]})
        (pair,) = await self._predicted(request, [validated(body, DocumentInput)])
        return JsonResponse(document_output(*pair))

    async def _predicted(self, request: Request, given: list[DocumentInput | str]) -> list[tuple[Trace, Document]]:
        predictions, model = self._service.predictions, self._service.models.get()
        documents = predictions.documents(given)
        return list(zip(await predictions.predict(request, model, documents), documents, strict=True))
