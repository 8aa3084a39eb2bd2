"""The page at `/`: static files that call the endpoints of the same server."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nlp_inference.serving.access import Rules, surrounded
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.service import Service

_FILES = {"/": "index.html", "/docs": "docs.html", "/page/page.js": "page.js", "/page/page.css": "page.css"}
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


def page_routes(service: Service) -> list[Route]:
    """Return the routes of the page, which require no key: they contain no data."""
    return [
        Route(path, surrounded(_File(name).respond, Rules("page", "none", page=True), service), methods=["GET"])
        for path, name in _FILES.items()
    ]


class _File:
    """A file of this package."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def respond(self, _: Request) -> Response:
        """Return the file."""
        file = files(__name__) / self._name
        if not file.is_file():
            raise RequestError(404, "the page is not installed")
        return Response(file.read_bytes(), media_type=_TYPES[self._name.rpartition(".")[2]])
