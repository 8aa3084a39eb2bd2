"""Rendering of Documents: as HTML in a notebook, and in a terminal with rich."""

from nlp_inference.rendering._glyphs import visible, visible_line
from nlp_inference.rendering._style import label_color
from nlp_inference.rendering.html import STYLE_SHEET, document_html, passage_html
from nlp_inference.rendering.terminal import document_renderable

__all__ = [
    "STYLE_SHEET",
    "document_html",
    "document_renderable",
    "label_color",
    "passage_html",
    "visible",
    "visible_line",
]
