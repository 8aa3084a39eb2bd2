"""The server: HTTP endpoints, scheduling of windows over concurrent requests, a page, and a client. Extra `serve`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_inference.serving.app import create_app
    from nlp_inference.serving.client import AsyncClient, Client
    from nlp_inference.serving.models import ModelSource
    from nlp_inference.serving.settings import ServerSettings

_MODULES = {
    "AsyncClient": "client",
    "Client": "client",
    "ModelSource": "models",
    "ServerSettings": "settings",
    "create_app": "app",
}

__all__ = ["AsyncClient", "Client", "ModelSource", "ServerSettings", "create_app"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
