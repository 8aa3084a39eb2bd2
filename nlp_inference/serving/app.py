"""The application: endpoints around one or several models."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nlp_inference.predict.predictor import Predictor
from nlp_inference.serving.access import Rules, surrounded
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.model_processes import ModelProcesses
from nlp_inference.serving.models import Models, ModelSource, ServedModel
from nlp_inference.serving.openapi import openapi
from nlp_inference.serving.page import page_routes
from nlp_inference.serving.routes import operations
from nlp_inference.serving.scheduler import Scheduler
from nlp_inference.serving.service import Service
from nlp_inference.serving.settings import ServerSettings

_DEFAULT_NAME = "default"


def create_app(
    models: Predictor | ModelSource | str | Mapping[str, Predictor | ModelSource | str],
    *,
    settings: ServerSettings | None = None,
    predict_route: str | None = None,
    health_route: str | None = None,
) -> Starlette:
    """Return an ASGI application, to run with uvicorn or to mount in another application.

    Args:
        models: a predictor, a folder or a Hub id, or several by name. The first one is the default. Predictors serve at
            once; the others are loaded and verified in the background after the application has started, or by its
            first request if it is mounted.
        settings: the limits and the keys.
        predict_route, health_route: further routes of `/invocations` and `/ping`, for Vertex AI.

    Raises:
        InvalidSpecError: there is no model, or a name cannot be part of a URL.

    Example:
        >>> predictor = Predictor.from_pretrained("org/model")  # doctest: +SKIP
        >>> app = create_app({"pii": predictor})  # doctest: +SKIP
    """
    settings = ServerSettings() if settings is None else settings
    processes = settings.processes
    scheduler = Scheduler(workers=processes + 1 if processes else None)  # one encodes while the others wait for a model
    named = models if isinstance(models, Mapping) else {_DEFAULT_NAME: models}
    sources = {name: ModelSource(one) if isinstance(one, str) else one for name, one in named.items()}
    prepare = partial(_run_in_processes, scheduler, processes)
    service = Service(Models(sources, prepare=prepare, retire=scheduler.retire), settings, scheduler)
    table = operations(service, predict_route=predict_route, health_route=health_route)
    document = openapi(table, keys=bool(settings.api_key_hashes), models=service.models.names)

    async def describe(_: Request) -> Response:
        """Return the OpenAPI document."""
        return JsonResponse(document)

    described = surrounded(describe, Rules("openapi", "none", drains=False), service)
    routes = [
        *[Route(one.path, surrounded(one.endpoint, one.rules, service), methods=[one.method]) for one in table],
        Route("/openapi.json", described, methods=["GET"]),
        *(page_routes(service) if settings.page else []),
    ]
    app = Starlette(
        routes=_distinct(routes),
        middleware=_cors(settings),
        exception_handlers={HTTPException: _http_error},
        lifespan=_lifespan,
    )
    app.state.service = service
    return app


def _run_in_processes(scheduler: Scheduler, processes: int, model: ServedModel) -> None:
    """Start the processes of a model that was loaded, if any are configured."""
    if processes and model.source is not None:
        threads = max(1, model.predictor.backend.threads // processes)
        scheduler.use(model.predictor, ModelProcesses(model.source, count=processes, threads=threads))


def _cors(settings: ServerSettings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "X-Request-Timeout"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    ]


def _distinct(routes: list[Route]) -> list[Route]:
    """Put routes with fixed paths before those with names, so that a head cannot hide an endpoint."""
    return sorted(routes, key=lambda route: route.path.count("{"))


async def _http_error(request: Request, error: Exception) -> Response:
    """Return 404 and 405 in the form of all other errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    messages = {404: "there is no such path; see /openapi.json", 405: "this path has other methods; see /openapi.json"}
    failure = RequestError(status, messages.get(status, "the request is not valid"), kind="HttpError")
    response = failure.response(request_id=request.headers.get("x-request-id", "")[:64])
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.models.begin()
    yield
    await asyncio.to_thread(service.scheduler.close)
