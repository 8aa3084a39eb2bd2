"""The OpenAPI document (https://spec.openapis.org/oas/v3.1.0) of a server."""

import inspect
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from nlp_inference._utils.version import distribution_version
from nlp_inference.serving.routes import Operation, Types
from nlp_inference.serving.schemas import ErrorOutput

_TEMPLATE = "#/components/schemas/{model}"

_QUERY: dict[str, dict[str, Any]] = {
    "model": {"description": "The name of the model; without it, the default.", "schema": {"type": "string"}},
    "heads": {
        "description": "The heads of a multi-task model to decode; without it, all.",
        "schema": {"type": "array", "items": {"type": "string"}},
    },
    "offsets": {
        "description": "The unit of offsets: utf-16 for JavaScript, Java and C#, utf-8 for Go and Rust.",
        "schema": {"enum": ["codepoint", "utf-16", "utf-8"], "default": "codepoint"},
    },
    "explain": {
        "description": "Whether the response contains edits, tokens, windows and coverage.",
        "schema": {"type": "boolean", "default": False},
    },
    "revision": {"description": "Branch, tag or commit on the Hub.", "schema": {"type": "string"}},
}

_STATUS = {
    400: "The body is not valid JSON.",
    401: "There is no valid API key.",
    403: "No administrator's key is configured.",
    404: "There is no such model or head.",
    408: "The body did not arrive in time.",
    409: "The new model is not used.",
    413: "The body, a text or the list is too long.",
    415: "The body has another content type, or is compressed.",
    422: "The request is not valid.",
    429: "The queue is full; try again after the seconds in Retry-After.",
    500: "The server failed.",
    503: "The model is not ready, or the server is shutting down.",
    504: "The prediction took too long.",
}


def openapi(operations: Sequence[Operation], *, keys: bool, models: Sequence[str]) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        operations: the endpoints.
        keys: whether the server requires API keys.
        models: the names of the models, the default first.
    """
    inputs = _Schemas("validation", [operation.body for operation in operations])
    outputs = _Schemas("serialization", [*(operation.output for operation in operations), (ErrorOutput,)])
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, inputs, outputs, keys=keys, models=models)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    security = {"apiKey": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nlp-inference",
            "version": distribution_version(),
            "description": "Offsets are code points of the text of the request unless `offsets` asks for another unit.",
        },
        "paths": paths,
        "components": {"schemas": {**inputs.definitions, **outputs.definitions}, "securitySchemes": security},
    }


class _Schemas:
    """The JSON schemas of the bodies of all endpoints in one direction."""

    def __init__(self, mode: JsonSchemaMode, bodies: Sequence[Types]) -> None:
        different = list({types: None for types in bodies if types})
        keys = [(number, mode, TypeAdapter(_one_of(types))) for number, types in enumerate(different)]
        schemas, extra = TypeAdapter.json_schemas(keys, ref_template=_TEMPLATE)
        self._schemas = {types: schemas[(number, mode)] for number, types in enumerate(different)}
        self.definitions: dict[str, Any] = extra.get("$defs", {})

    def of(self, types: Types) -> Any:
        """Return the schema of a body."""
        return self._schemas[types]


def _one_of(types: Types) -> Any:
    return reduce(or_, types)


def _operation(
    operation: Operation, inputs: _Schemas, outputs: _Schemas, *, keys: bool, models: Sequence[str]
) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(operation.endpoint.__doc__ or "").partition("\n\n")
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    known = {"model": {"schema": {"type": "string", "enum": list(models)}}}
    text = {"schema": {"type": "string"}}
    in_path = [{"name": name, "in": "path", "required": True, **known.get(name, text)} for name in names]
    in_query = [
        {"name": name, "in": "query", "required": False, **_QUERY[name], **known.get(name, {})}
        for name in operation.query
    ]
    described: dict[str, Any] = {
        "summary": summary,
        "tags": [operation.tag],
        "operationId": f"{operation.method.lower()}{operation.path.replace('/', '_')}",
        "parameters": in_path + in_query,
        "responses": {"200": _success(operation, outputs), **_errors(operation, outputs)},
    }
    if rest:
        described["description"] = rest
    if operation.body:
        content = {operation.media_type: {"schema": inputs.of(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.rules.key == "admin" or (operation.rules.key == "api" and keys):
        described["security"] = [{"apiKey": []}]
    return described


def _success(operation: Operation, outputs: _Schemas) -> dict[str, Any]:
    if not operation.output:
        return {"description": "A text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    schema = outputs.of(operation.output)
    return {"description": "The result.", "content": {operation.media_type: {"schema": schema}}}


def _errors(operation: Operation, outputs: _Schemas) -> dict[str, Any]:
    content = {"application/json": {"schema": outputs.of((ErrorOutput,))}}
    if operation.rules.name in ("livez", "readyz", "ping"):
        content = {"text/plain": {"schema": {"type": "string"}}}
    elif operation.rules.name == "health":
        content = {"application/json": {"schema": outputs.of(operation.output)}}
    return {str(status): {"description": _STATUS[status], "content": content} for status in operation.errors}
