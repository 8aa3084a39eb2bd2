"""Rendering of a Document as self-contained HTML: no script, no network access, and all contents escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from nlp_inference.document import Category, Document
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.rendering import _layout as layout
from nlp_inference.rendering._glyphs import glyph, visible, visible_line
from nlp_inference.rendering._layout import SIGNS, Mark, Piece, Standing
from nlp_inference.rendering._style import CSS, label_color

MAX_CHARACTERS = 10_000
STYLE_SHEET = CSS
"""The style sheet of `passage_html`."""

_LANE = 4  # distance of underlines in pixels
_BAR = 3  # height of an underline in pixels
_MAX_BARS = 6
_LAST_WORD = re.compile(r"\S{1,30}\Z")


def document_html(document: Document) -> str:
    """Render `document`: its raw text with spans, its categories, its edits, and the text that was not read.

    A predicted span has a tinted background, a solid underline and a filled chip at its end; a gold span that was not
    predicted has a dashed underline and a dashed chip. Overlapping spans have separate underlines, and the color of a
    label is the same in every document. Texts longer than 10,000 characters are truncated, with a note.

    Returns:
        One `div` with its own style sheet. No content of the document can become markup: texts, labels and ids are
        escaped, and control characters and bidirectional overrides become visible glyphs.

    Example:
        >>> "&lt;b&gt;Ana&lt;/b&gt;" in document_html(Document(raw_text="<b>Ana</b>"))
        True
    """
    document = document.with_merged_heads()
    parts = [
        _head(document),
        _text(document),
        _categories(document),
        _relations(document),
        _warning(layout.coverage_note(document)),
        _edits(document.raw_text, document.edits),
    ]
    if document.raw_text_pair is not None:
        shown = document.raw_text_pair[:MAX_CHARACTERS]
        note = (
            f"{len(document.raw_text_pair) - len(shown):,} more characters not shown"
            if shown != document.raw_text_pair
            else ""
        )
        unread = document.coverage.not_seen_pair if document.coverage else ()
        body = "".join(_piece(piece, shown) for piece in layout.make_pieces((), len(shown), unread=unread))
        parts += [_row("text pair", ()), _block(body), _note(note)]
        parts.append(_edits(document.raw_text_pair, document.edits_pair))
    # The two additional classes prevent MathJax from reading dollar amounts as formulas.
    return f'<div class="nlpi mathjax_ignore tex2jax_ignore"><style>{CSS}</style>{"".join(parts)}</div>'


def passage_html(document: Document) -> str:
    """Render only the raw text with its spans, as `document_html` does, for a page with many documents.

    Returns:
        One `div`; the page must contain `STYLE_SHEET` once. All contents of the document are escaped.

    Example:
        >>> passage_html(Document(raw_text="<b>")).endswith(">&lt;b&gt;</div>")
        True
    """
    return _text(document)


def _head(document: Document) -> str:
    name = "" if document.id is None else f"<b>{_plain(document.id)}</b>"
    legend = layout.legend(document, missed="dashed")
    legend = legend and f'<span class="nlpi-legend">{legend}</span>'
    facts = " · ".join(layout.facts(document))
    return f'<div class="nlpi-head">{name}<span class="nlpi-facts">{facts}</span>{legend}</div>'


def _text(document: Document) -> str:
    text = document.raw_text[:MAX_CHARACTERS]
    marks = layout.make_marks(document)
    unread = document.coverage.not_seen if document.coverage else ()
    pieces = layout.make_pieces(marks, len(text), unread=unread)
    lanes = min(_MAX_BARS, 1 + max((mark.lane for mark in marks), default=0))
    body = "".join(_piece(piece, text) for piece in pieces)
    return _block(body, lanes=lanes) + _note(layout.hidden_note(document, len(text), marks))


def _block(body: str, *, lanes: int = 1) -> str:
    return f'<div class="nlpi-text" dir="auto" style="line-height:calc(1.75em + {lanes * _LANE}px)">{body}</div>'


def _piece(piece: Piece, text: str) -> str:
    shown = text[piece.start : piece.end]
    if not piece.closing:
        return _marked(_escaped(shown), piece.marks, unread=piece.unread)
    chips = [_chip(mark.label, mark.score, mark.standing, title=_title(mark)) for mark in piece.closing]
    continuing = tuple(mark for mark in piece.marks if mark not in piece.closing)
    drawn_chips = [_marked(chip, continuing, unread=False) for chip in chips]
    # Prevent a line break between the last word and its label.
    last = _LAST_WORD.search(shown)
    cut = last.start() if last else len(shown)
    head, word = (_marked(_escaped(part), piece.marks, unread=piece.unread) for part in (shown[:cut], shown[cut:]))
    return f'{head}<span class="nlpi-tie">{word}{drawn_chips[0]}</span>{"".join(drawn_chips[1:])}'


def _marked(content: str, marks: Sequence[Mark], *, unread: bool) -> str:
    if not content:
        return ""
    classes = ["nlpi-mark"] * bool(marks) + ["nlpi-unread"] * unread
    style = f' style="{_underlines(marks)}"' if marks else ""
    return f'<span class="{" ".join(classes)}"{style}>{content}</span>' if classes else content


def _underlines(marks: Sequence[Mark]) -> str:
    """Return the style of a range: one underline per mark, each in its own lane, on the tint of the innermost mark."""
    bars = [mark for mark in marks if mark.lane < _MAX_BARS]
    height = _LANE * (1 + max((mark.lane for mark in bars), default=0))
    layers = []
    for mark in bars:
        color, bottom = label_color(mark.label), height - _LANE * mark.lane - _BAR
        if mark.standing in ("missed", "gold"):
            image = f"repeating-linear-gradient(90deg,{color} 0 5px,transparent 5px 9px)"
        else:
            image = f"linear-gradient({color},{color})"
        layers.append(f"{image} 0 calc(100% - {bottom}px)/100% {_BAR}px no-repeat")
    tinted = next((mark for mark in marks if mark.standing not in ("missed", "gold")), None)
    if tinted is not None:
        tint = label_color(tinted.label) + "33"
        layers.append(f"linear-gradient({tint},{tint}) 0 0/100% calc(100% - {height}px) no-repeat")
    return f"padding-bottom:{height}px;background:{','.join(layers) or 'none'}"


def _chip(label: str, score: float | None, standing: Standing, *, title: str) -> str:
    sign = SIGNS[standing]
    before = f"{sign} " if sign in ("✓", "✗") else ""
    after = "" if before or not sign else f"<i>{sign}</i>"
    number = "" if score is None else f"<i>{score:.2f}</i>"
    kind = " nlpi-gold" if standing in ("missed", "gold") else ""
    return (
        f'<bdi class="nlpi-chip{kind}" style="--c:{label_color(label)}" title="{_plain(title)}">'
        f"{before}{_plain(label)}{number}{after}</bdi>"
    )


def _title(mark: Mark) -> str:
    score = "" if mark.score is None else f", score {mark.score:.4f}"
    return f"{mark.label}, characters {mark.start} to {mark.end}{score}"


def _categories(document: Document) -> str:
    chips = [_category(category, standing) for category, standing in layout.make_categories(document)]
    predicted = document.predicted.categories if document.predicted else ()
    if len(predicted) > layout.MAX_CATEGORIES:
        chips.append(f'<span class="nlpi-note">and {len(predicted) - layout.MAX_CATEGORIES:,} less likely</span>')
    values = document.predicted.values if document.predicted else {}
    numbers = [_chip(name, value, "found", title=f"{name} = {value!r}") for name, value in values.items()]
    gold = document.gold.values if document.gold else {}
    numbers += [_chip(name, value, "gold", title=f"gold {name} = {value!r}") for name, value in gold.items()]
    generated, gold_texts = (
        [f"<bdi>{_escaped(text[:MAX_CHARACTERS])}</bdi>" for text in (one.generated if one is not None else ())]
        for one in (document.predicted, document.gold)
    )
    rows = (("categories", chips), ("values", numbers), ("generated", generated), ("gold text", gold_texts))
    return "".join(_row(name, items) for name, items in rows if items)


def _category(category: Category, standing: Standing) -> str:
    title = category.label if category.score is None else f"{category.label}, score {category.score:.4f}"
    return _chip(category.label, category.score, standing, title=title)


def _relations(document: Document) -> str:
    rows = layout.relation_rows(document, document.predicted or document.gold)
    items = [
        f"<span><bdi>{_plain(head)}</bdi> —{_plain(label)}→ <bdi>{_plain(tail)}</bdi></span>"
        for head, label, tail in rows
    ]
    return _row("relations", items) if items else ""


def _row(name: str, items: Iterable[str]) -> str:
    return f'<div class="nlpi-row"><span class="nlpi-name">{name}</span>{"".join(items)}</div>'


def _note(note: str) -> str:
    return f'<div class="nlpi-note nlpi-row">… {note}</div>' if note else ""


def _warning(note: str) -> str:
    return f'<div class="nlpi-warning">⚠ {note}</div>' if note else ""


def _edits(text: str, records: Sequence[EditRecord]) -> str:
    summaries = layout.make_summaries(text, records)
    if not summaries:
        return ""
    rows = "".join(
        f"<tr><td>{_plain(summary.transform)} <small>×{summary.edits:,}</small></td><td>"
        + "".join(map(_change, summary.examples))
        + _more(summary.different - len(summary.examples))
        + "</td></tr>"
        for summary in summaries
    )
    title = layout.summary_title(summaries)
    return f'<details class="nlpi-edits" open><summary>{title}</summary><table>{rows}</table></details>'


def _change(example: layout.Example) -> str:
    old = f"<del>{escape(example.old)}</del>" if example.old else ""
    new = f"<ins>{escape(example.new)}</ins>" if example.new else ""
    count = f" <small>×{example.count:,}</small>" if example.count > 1 else ""
    left, right = escape(example.left), escape(example.right)
    return f'<span class="nlpi-change"><span>{left}</span>{old}{new}<span>{right}</span>{count}</span>'


def _more(number: int) -> str:
    return f'<span class="nlpi-note">and {number:,} other changes</span>' if number > 0 else ""


def _plain(text: str) -> str:
    return escape(visible_line(text))


def _escaped(text: str) -> str:
    return visible(escape(text), wrap=_glyph)


def _glyph(character: str) -> str:
    if character == "\t":
        return character
    return f'<i class="nlpi-glyph" title="U+{ord(character):04X}">{glyph(character)}</i>'
