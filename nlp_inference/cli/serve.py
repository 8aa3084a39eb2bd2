"""`nlp-inference serve`: one or several models over HTTP."""

import os
import re
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlp_inference._utils.garbage_collection import keep_loaded_objects, without_collection
from nlp_inference._utils.terminal import Console
from nlp_inference.cli._shared import AUTO, Backend, Device, Precision, Revision, Trust, stop
from nlp_inference.errors import InvalidSpecError, NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.serving.models import ModelSource
    from nlp_inference.serving.server import Server
    from nlp_inference.serving.settings import ServerSettings

_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.+)")
_KEYS, _ADMIN_KEYS = "NLP_INFERENCE_API_KEY_HASHES", "NLP_INFERENCE_ADMIN_KEY_HASHES"


@dataclass(frozen=True)
class _Address:
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def serve(  # noqa: PLR0913 - each is an option of the command
    models: Annotated[
        list[str],
        typer.Argument(
            help="The 'model' folder of a training run, or a Hub id; several as NAME=MODEL. The first is the default.",
            metavar="MODEL...",
        ),
    ],
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar=["AIP_HTTP_PORT", "PORT"], help="Port; 0 chooses a free one.")
    ] = 8000,
    backend: Backend = AUTO,
    device: Device = None,
    dtype: Precision = None,
    revision: Revision = "main",
    trust_remote_code: Trust = False,
    verify: Annotated[bool, typer.Option(help="Replay the golden records of each model before it serves.")] = True,
    max_body_bytes: Annotated[int, typer.Option(min=1, help="Larger request bodies get status 413.")] = 10 << 20,
    max_characters: Annotated[int, typer.Option(min=1, help="Longer texts get status 413.")] = 1_000_000,
    max_documents: Annotated[int, typer.Option(min=1, help="Longer lists of documents get status 413.")] = 1024,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Documents in flight above which requests get status 429.")
    ] = 4096,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that run each model; 0 runs it in threads of the server.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds after which a request gets status 504.")] = 30.0,
    shutdown_delay: Annotated[
        float, typer.Option(min=0, help="Seconds after SIGTERM in which /readyz gives 503 and the port is open.")
    ] = 0.0,
    shutdown_timeout: Annotated[
        float, typer.Option(min=1, help="Seconds in which accepted requests must be completed.")
    ] = 60.0,
    max_connections: Annotated[int, typer.Option(min=1, help="Further connections get status 503.")] = 1000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="NLP_INFERENCE_API_KEY_FILE",
            help=f"File of SHA-256 digests of API keys, one per line; also {_KEYS}, separated by commas.",
        ),
    ] = None,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Listen on another address than loopback without a key.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may call the server; repeatable. Default: none.")
    ] = None,
    frame_ancestor: Annotated[
        list[str] | None, typer.Option(help="Origin that may show the page in a frame; repeatable. Default: none.")
    ] = None,
    tracing: Annotated[
        bool, typer.Option("--tracing", help="Record spans of OpenTelemetry; run it with opentelemetry-instrument.")
    ] = False,
    page: Annotated[bool, typer.Option(help="Show the page at / and the documentation at /docs.")] = True,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve models over HTTP, with a page at /, and the documentation of the endpoints at /docs.

    The server is ready when /readyz gives 200: every model is loaded and reproduces its golden records. SIGTERM
    completes the accepted requests; SIGHUP loads every model again. The exit status is 1 if a model cannot be loaded.
    """
    messages = Console(stderr=True, soft_wrap=True)
    from nlp_inference._utils.quiet import quiet_libraries

    quiet_libraries()
    _write_logs(log_level)
    address = _Address(host, port)
    try:
        _require_extra()
        from nlp_inference.serving.models import ModelSource

        settings = _settings(
            {
                "max_body_bytes": max_body_bytes,
                "max_characters": max_characters,
                "max_documents": max_documents,
                "max_queue": max_queue,
                "timeout": timeout,
                "processes": processes,
                "api_key_hashes": _hashes(_KEYS, api_key_file),
                "admin_key_hashes": _hashes(_ADMIN_KEYS, None),
                "cors_origins": tuple(cors_origin or ()),
                "frame_ancestors": tuple(frame_ancestor or ()),
                "tracing": tracing,
                "page": page,
            }
        )
        if not (address.is_loopback or settings.api_key_hashes or allow_unauthenticated):
            raise InvalidSpecError(
                f"{host} can be reached from other machines, and there is no API key; pass --api-key-file, set "
                f"{_KEYS}, or allow everybody with --allow-unauthenticated"
            )
        sources = {
            name: ModelSource(
                path,
                backend=backend,
                device=device,
                dtype=dtype,
                revision=revision,
                trust_remote_code=trust_remote_code,
                verify=verify,
                max_characters=max_characters,
            )
            for name, path in _named(models).items()
        }
        with without_collection():  # until the models are loaded; see `keep_loaded_objects`
            server = _server(
                sources,
                settings,
                address,
                shutdown_delay=shutdown_delay,
                shutdown_timeout=shutdown_timeout,
                max_connections=max_connections,
            )
            server.run()
    except (NlpInferenceError, OSError, ValueError) as error:
        raise stop(error, messages) from error
    if server.failure is not None:
        raise stop(server.failure, messages, doing="cannot serve: ") from server.failure


def _server(
    sources: "dict[str, ModelSource]",
    settings: "ServerSettings",
    address: _Address,
    *,
    shutdown_delay: float,
    shutdown_timeout: float,
    max_connections: int,
) -> "Server":
    from nlp_inference.serving.app import create_app
    from nlp_inference.serving.server import Server, reload_on_hangup, share_interpreter

    share_interpreter()
    app = create_app(
        sources,
        settings=settings,
        predict_route=os.environ.get("AIP_PREDICT_ROUTE"),
        health_route=os.environ.get("AIP_HEALTH_ROUTE"),
    )
    server = Server(
        app,
        host=address.host,
        port=address.port,
        shutdown_delay=shutdown_delay,
        shutdown_timeout=shutdown_timeout,
        max_connections=max_connections,
        settled=keep_loaded_objects,
    )
    reload_on_hangup(server.service)
    return server


def _require_extra() -> None:
    from nlp_inference._utils.extras import require_installed

    require_installed(["starlette", "uvicorn", "prometheus_client"], extra="serve")


def _settings(values: dict[str, object]) -> "ServerSettings":
    from pydantic import ValidationError

    from nlp_inference.registry import explain
    from nlp_inference.serving.settings import ServerSettings

    try:
        return ServerSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidSpecError(explain(error, ServerSettings)) from error


def _named(models: list[str]) -> dict[str, str]:
    """Return the models by name: `NAME=MODEL`, or the last folder of the path."""
    named: dict[str, str] = {}
    for given in models:
        match = _NAMED.fullmatch(given)
        name, path = match.groups() if match else (_name_of(given), given)
        if name in named:
            raise InvalidSpecError(f"two models have the name {name!r}; write NAME=MODEL")
        named[name] = path
    return named


def _name_of(path: str) -> str:
    parts = [part for part in re.split(r"[/\\]", str(path)) if part not in ("", ".", "..")]
    last = parts[-2] if len(parts) > 1 and parts[-1] == "model" else (parts or ["default"])[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "-", last).strip("-._")[:64] or "default"


def _hashes(variable: str, file: Path | None) -> tuple[str, ...]:
    """Return the digests of keys in an environment variable and a file of `sha256sum`."""
    lines = os.environ.get(variable, "").split(",")
    if file is not None:
        lines += file.read_text(encoding="utf-8").splitlines()
    return tuple(line.split()[0].lower() for line in lines if line.strip() and not line.startswith("#"))


def _write_logs(level: str) -> None:
    if level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter(f"--log-level is {level!r}; expected debug, info, warning or error")
    from nlp_inference.serving.logs import write_logs

    write_logs(sys.stderr, level=level)
