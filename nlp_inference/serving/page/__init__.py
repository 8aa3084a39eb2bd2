"""The page at `/` and the documentation at `/docs`: static files that call the endpoints of the same server."""

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nlp_inference.serving.access import Rules, surrounded
from nlp_inference.serving.service import Service

_PAGES = {"/": "index.html", "/docs": "docs.html"}
_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}


def page_routes(service: Service) -> list[Route]:
    """Return the routes of the page, which require no key: they contain no data."""
    names = sorted(file.name for file in files(__name__).iterdir() if file.name.rpartition(".")[2] in _TYPES)
    paths = {**_PAGES, **{f"/page/{name}": name for name in names if name not in _PAGES.values()}}
    rules = Rules("page", "none", drains=False, page=True)
    return [
        Route(path, surrounded(_File(name).respond, rules, service), methods=["GET"]) for path, name in paths.items()
    ]


class _File:
    """A file of this package, which browsers ask for again, but download only if it changed."""

    def __init__(self, name: str) -> None:
        self._content = (files(__name__) / name).read_bytes()
        self._headers = {
            "Cache-Control": "no-cache",
            "ETag": f'"{hashlib.sha256(self._content).hexdigest()[:20]}"',
        }
        self._type = _TYPES[name.rpartition(".")[2]]

    async def respond(self, request: Request) -> Response:
        """Return the file."""
        if request.headers.get("if-none-match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, media_type=self._type, headers=self._headers)
