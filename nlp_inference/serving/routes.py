"""The table of endpoints, from which the routes and the OpenAPI document are made."""

from dataclasses import dataclass
from typing import Any

from nlp_inference.serving.access import Endpoint, Rules
from nlp_inference.serving.endpoints.clouds import Clouds, Instances
from nlp_inference.serving.endpoints.documents import Documents
from nlp_inference.serving.endpoints.hugging_face import HuggingFace, InferenceInput
from nlp_inference.serving.endpoints.operations import Operations
from nlp_inference.serving.endpoints.presidio import (
    AnalyzeInput,
    AnonymizeInput,
    AnonymizeOutput,
    FoundEntity,
    Presidio,
)
from nlp_inference.serving.schemas import (
    DocumentInput,
    DocumentOutput,
    DocumentsInput,
    DocumentsOutput,
    FailedOutput,
    Health,
    ModelInfo,
    ServerInfo,
)
from nlp_inference.serving.service import Service

Types = tuple[Any, ...]
"""Types of which one describes a body."""

_OPEN = "none"
_PREDICTION_ERRORS = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)


@dataclass(frozen=True)
class Operation:
    """An endpoint.

    Attributes:
        method, path: its address; `{model}` and `{head}` are names.
        endpoint: what handles it. Its docstring is the summary.
        rules: what it requires.
        tag: its section in the documentation.
        body: the types of its request body.
        output: the types of its response; none for a text.
        query: the names of its query parameters.
        errors: the statuses of its errors.
        media_type: the content type of body and response.
    """

    method: str
    path: str
    endpoint: Endpoint
    rules: Rules
    tag: str
    body: Types = ()
    output: Types = ()
    query: tuple[str, ...] = ()
    errors: tuple[int, ...] = (401, 500)
    media_type: str = "application/json"


def operations(
    service: Service, *, predict_route: str | None = None, health_route: str | None = None
) -> list[Operation]:
    """Return every endpoint of a server.

    Args:
        service: the server.
        predict_route, health_route: further routes of `/invocations` and `/ping`, as Vertex AI names them.
    """
    return [
        *_documents(service),
        *_hugging_face(service),
        *_clouds(service, predict_route=predict_route, health_route=health_route),
        *_presidio(service),
        *_operators(service),
    ]


def _documents(service: Service) -> list[Operation]:
    documents = Documents(service)
    query = ("model", "heads", "offsets", "explain")
    return [
        Operation(
            "POST",
            "/documents",
            documents.predict,
            Rules("documents"),
            "Documents",
            body=(DocumentInput, DocumentsInput),
            output=(DocumentOutput, DocumentsOutput),
            query=query,
            errors=_PREDICTION_ERRORS,
        ),
        Operation(
            "POST",
            "/documents/stream",
            documents.stream,
            Rules("stream"),
            "Documents",
            body=(DocumentInput,),
            output=(DocumentOutput, FailedOutput),
            query=query,
            errors=(401, 404, 415, 422, 500, 503),
            media_type="application/jsonl",
        ),
    ]


def _hugging_face(service: Service) -> list[Operation]:
    predict = HuggingFace(service).predict
    return [
        Operation(
            "POST",
            path,
            predict,
            Rules("inference"),
            "Hugging Face",
            body=(InferenceInput,),
            output=(Any,),
            errors=_PREDICTION_ERRORS,
        )
        for path in ("/", "/models/{model}", "/models/{model}/{head}")
    ]


def _clouds(service: Service, *, predict_route: str | None, health_route: str | None) -> list[Operation]:
    predict, ready = Clouds(service).predict, Operations(service).ready
    tag = "SageMaker and Vertex AI"
    paths = ["/invocations", *([predict_route] if predict_route not in (None, "/invocations") else [])]
    pings = ["/ping", *([health_route] if health_route not in (None, "/ping", *_HEALTH) else [])]
    return [
        *[
            Operation(
                "POST",
                str(path),
                predict,
                Rules("invocations"),
                tag,
                body=(InferenceInput, Instances, DocumentInput),
                output=(Any,),
                errors=_PREDICTION_ERRORS,
            )
            for path in paths
        ],
        *[Operation("GET", str(path), ready, Rules("ping", _OPEN, drains=False), tag, errors=(503,)) for path in pings],
    ]


def _presidio(service: Service) -> list[Operation]:
    presidio = Presidio(service)
    rules, tag, errors = Rules("presidio"), "presidio", _PREDICTION_ERRORS
    entities = list[FoundEntity]
    lists = (401, 422, 500, 503)
    return [
        Operation(
            "POST",
            "/analyze",
            presidio.analyze,
            rules,
            tag,
            body=(AnalyzeInput,),
            output=(entities, list[entities]),
            errors=errors,
        ),
        Operation(
            "POST",
            "/anonymize",
            presidio.anonymize,
            rules,
            tag,
            body=(AnonymizeInput,),
            output=(AnonymizeOutput,),
            errors=errors,
        ),
        Operation(
            "GET", "/supportedentities", presidio.supported_entities, rules, tag, output=(list[str],), errors=lists
        ),
        Operation("GET", "/recognizers", presidio.recognizers, rules, tag, output=(list[str],), errors=lists),
        Operation("GET", "/anonymizers", presidio.anonymizers, rules, tag, output=(list[str],), errors=lists),
    ]


_HEALTH = ("/livez", "/readyz", "/health")


def _operators(service: Service) -> list[Operation]:
    operators = Operations(service)
    tag = "Operators"
    return [
        Operation("GET", "/livez", operators.live, Rules("livez", _OPEN, drains=False), tag, errors=()),
        Operation("GET", "/readyz", operators.ready, Rules("readyz", _OPEN, drains=False), tag, errors=(503,)),
        Operation(
            "GET",
            "/health",
            operators.health,
            Rules("health", _OPEN, drains=False),
            tag,
            output=(Health,),
            errors=(503,),
        ),
        Operation("GET", "/info", operators.info, Rules("info", drains=False), tag, output=(ServerInfo,)),
        Operation("GET", "/metrics", operators.metrics, Rules("metrics", drains=False), tag),
        Operation(
            "GET",
            "/models/{model}/profile",
            operators.profile,
            Rules("profile", drains=False),
            tag,
            output=(Any,),
            errors=(401, 404, 500, 503),
        ),
        Operation(
            "POST",
            "/models/{model}/reload",
            operators.reload,
            Rules("reload", "admin"),
            tag,
            output=(ModelInfo,),
            query=("revision",),
            errors=(401, 403, 404, 409, 500, 503),
        ),
    ]
