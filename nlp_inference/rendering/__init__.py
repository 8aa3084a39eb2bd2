"""A Document to look at: as HTML in a notebook, and in a terminal through rich."""

from nlp_inference.rendering.html import document_html
from nlp_inference.rendering.terminal import document_renderable

__all__ = ["document_html", "document_renderable"]
