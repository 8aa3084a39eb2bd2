"""`/livez`, `/readyz`, `/health`, `/info`, `/metrics`, and the reloading of models: for operators."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nlp_inference._utils.version import distribution_version
from nlp_inference.errors import NlpInferenceError
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.models import ServedModel
from nlp_inference.serving.service import Service


class Operations:
    """The endpoints of operators.

    Args:
        service: the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def live(self, _: Request) -> Response:
        """Return 200 while the process runs."""
        return PlainTextResponse("ok\n")

    async def ready(self, _: Request) -> Response:
        """Return 200 if every model is loaded and verified, and the server does not stop."""
        status = self._status()
        return PlainTextResponse(f"{status}\n", status_code=200 if status == "ready" else 503)

    async def health(self, _: Request) -> Response:
        """Return the state of the server and of each model."""
        status = self._status()
        body = {
            "status": status,
            "models": self._service.models.states(),
            "documents": self._service.scheduler.documents,
        }
        return JsonResponse(body, status_code=200 if status == "ready" else 503)

    async def info(self, _: Request) -> Response:
        """Return the models, with labels, fingerprint and card, and the limits."""
        models, settings = self._service.models, self._service.settings
        body = {
            "version": distribution_version(),
            "default": models.names[0],
            "models": [_model_info(model) for model in models.served()],
            "limits": settings.model_dump(include={"max_body_bytes", "max_characters", "max_documents", "timeout"}),
        }
        return JsonResponse(body)

    async def metrics(self, _: Request) -> Response:
        """Return the metrics."""
        return self._service.metrics.response()

    async def profile(self, request: Request) -> Response:
        """Return the drift profile of the predicted texts: counts, no texts; see `nlp-inference drift`."""
        model = self._service.models.get(request.path_params["model"])
        return JsonResponse(model.predictor.profile().model_dump(mode="json"))

    async def reload(self, request: Request) -> Response:
        """Load a model again, or another revision of it; the old one serves until the new one is verified."""
        name, revision = request.path_params["model"], request.query_params.get("revision")
        try:
            model = await asyncio.to_thread(self._service.models.reload, name, revision=revision)
        except (NlpInferenceError, OSError, ValueError, RuntimeError) as error:
            message = f"the new model is not used: {type(error).__name__}: {error}"
            raise RequestError(409, message, kind=type(error).__name__) from error
        return JsonResponse(_model_info(model))

    def _status(self) -> str:
        models = self._service.models
        models.begin()
        if self._service.draining:
            return "draining"
        if models.failures:
            return "failed"
        return "ready" if models.ready else "loading"


def _model_info(model: ServedModel) -> dict[str, Any]:
    processor, backend = model.predictor.processor, model.predictor.backend
    fingerprint = processor.fingerprint
    return {
        "name": model.name,
        "task": processor.task.name,
        "pipeline_tag": processor.task.pipeline_tag,
        "labels": {head: list(getattr(task, "labels", ())) for head, task in processor.task.tasks.items()},
        "heads": list(model.heads),
        "needs_pair": processor.task.needs_pair,
        "revision": model.revision,
        "backend": backend.name,
        "dtype": backend.dtype,
        "device": backend.runs_on,
        "preprocess": [step.name for step in processor.preprocess],
        "postprocess": [step.name for step in processor.postprocess],
        "max_length": processor.layout.max_length,
        "verified": model.verified,
        "fingerprint": None if fingerprint is None else fingerprint.model_dump(mode="json"),
        "card": model.card,
    }
