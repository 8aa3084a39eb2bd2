"""Rendering of a Document in a terminal, with rich."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.rendering import _layout as layout
from nlp_inference.rendering._glyphs import visible, visible_line
from nlp_inference.rendering._layout import SIGNS, Mark, Piece, Standing
from nlp_inference.rendering._style import label_color

MAX_CHARACTERS = 4_000
_BAR = 16  # width of a full score bar


def document_renderable(document: Document) -> RenderableType:
    """Render `document` for a terminal with the contents of `document_html`, for `rich.print`.

    A predicted span is in square brackets with its label and score, a gold span that was not predicted in braces, so
    that the output is complete without colors. Texts longer than 4,000 characters are truncated, with a note.

    Returns:
        A rich renderable. The document cannot write control sequences or rich markup to the terminal: control
        characters and bidirectional overrides become visible glyphs.

    Example:
        >>> from rich.console import Console
        >>> from nlp_inference.document import Annotation, Span
        >>> predicted = Annotation(spans=(Span(start=0, end=3, label="P", score=1.0),))
        >>> document = Document(raw_text="Ana", predicted=predicted)
        >>> Console(width=40, force_terminal=False).print(document_renderable(document))
        ╭─ 3 characters · 1 span predicted ────╮
        │ [Ana P 1.00]                         │
        ╰──────────────────────────────────────╯
    """
    document = document.with_merged_heads()
    title = Text(" · ".join(layout.facts(document)), style="dim")
    if document.id is not None:
        title = Text.assemble((visible_line(document.id), "bold"), " ", title)
    parts = [_text(document), *_sections(document)]
    if note := layout.coverage_note(document):
        parts.append(_spaced(Text(f"⚠ {note}", style="bold yellow")))
    parts += _edits(document.raw_text, document.edits)
    if document.raw_text_pair is not None:
        second, shown = Text(), document.raw_text_pair[:MAX_CHARACTERS]
        unread = document.coverage.not_seen_pair if document.coverage else ()
        for piece in layout.make_pieces((), len(shown), unread=unread):
            _draw(second, piece, shown)
        parts += [_spaced(Text("text pair", style="dim")), second]
        parts += _edits(document.raw_text_pair, document.edits_pair)
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim", padding=(0, 1))


def _text(document: Document) -> Text:
    raw = document.raw_text[:MAX_CHARACTERS]
    marks = layout.make_marks(document)
    drawn = Text()
    unread = document.coverage.not_seen if document.coverage else ()
    for piece in layout.make_pieces(marks, len(raw), unread=unread):
        _draw(drawn, piece, raw)
    if note := layout.hidden_note(document, len(raw), marks):
        drawn.append(f"\n… {note}", style="dim")
    if legend := layout.legend(document, missed="braces"):
        drawn.append(f"\n{legend}", style="dim")
    return drawn


def _draw(drawn: Text, piece: Piece, raw: str) -> None:
    for mark in piece.opening:
        drawn.append(_brackets(mark)[0], style=_style(mark))
    inner = f"bold {label_color(piece.marks[0].label)}" if piece.marks else ""
    style = f"{inner} strike dim" if piece.unread else inner
    drawn.append(visible(raw[piece.start : piece.end]), style=style.strip())
    for mark in piece.closing:
        drawn.append(" ")
        drawn.append_text(_chip(mark.label, mark.score, mark.standing))
        drawn.append(_brackets(mark)[1], style=_style(mark))


def _brackets(mark: Mark) -> str:
    return "{}" if mark.standing in ("missed", "gold") else "[]"


def _style(mark: Mark) -> str:
    return f"bold {label_color(mark.label)}"


def _chip(label: str, score: float | None, standing: Standing) -> Text:
    sign = SIGNS[standing]
    words = [sign] * (sign in ("✓", "✗")) + [visible_line(label)]
    if score is not None:
        words.append(f"{score:.2f}")
    if sign in ("missed", "gold"):
        return Text(" ".join([*words, sign]), style=f"italic {label_color(label)}")
    return Text(" ".join(words), style=f"bold white on {label_color(label)}")


def _sections(document: Document) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for category, standing in layout.make_categories(document):
        score = "" if category.score is None else f"{category.score:.2f}"
        filled = round(_BAR * min(1.0, max(0.0, category.score or 0.0)))
        bar = Text("━" * filled + " " * (_BAR - filled), style=label_color(category.label))
        name = Text(visible_line(category.label), style=f"bold {label_color(category.label)}")
        table.add_row(name, bar if score else Text(), Text(score), Text(SIGNS[standing]))
    predicted = document.predicted
    if predicted is not None and len(predicted.categories) > layout.MAX_CATEGORIES:
        hidden = len(predicted.categories) - layout.MAX_CATEGORIES
        table.add_row(Text(f"and {hidden:,} less likely", style="dim"))
    if table.row_count:
        yield _spaced(table)
    if predicted is not None and predicted.values:
        yield _spaced(
            Text("\n").join(Text(f"{visible_line(name)} = {value:g}") for name, value in predicted.values.items())
        )
    for head, label, tail in layout.relation_rows(document, predicted or document.gold):
        yield Text.assemble(head, (f" —{label}→ ", f"bold {label_color(label)}"), tail)
    for heading, annotation in (("generated", predicted), ("gold text", document.gold)):
        for text in annotation.generated if annotation else ():
            yield _spaced(Text.assemble((f"{heading}  ", "dim"), visible(text[:MAX_CHARACTERS])))


def _edits(text: str, records: Sequence[EditRecord]) -> list[RenderableType]:
    summaries = layout.make_summaries(text, records)
    if not summaries:
        return []
    table = Table.grid(padding=(0, 2))
    for summary in summaries:
        changes = [_change(example) for example in summary.examples]
        if summary.different > len(changes):
            changes.append(Text(f"and {summary.different - len(changes):,} other changes", style="dim"))
        name = Text.assemble(visible_line(summary.transform), (f" ×{summary.edits:,}", "dim"))
        table.add_row(name, Text("\n").join(changes))
    return [_spaced(Text(layout.summary_title(summaries), style="dim")), table]


def _change(example: layout.Example) -> Text:
    return Text.assemble(
        (example.left, "dim"),
        (example.old, "red strike"),
        ("→", "dim"),
        (example.new, "green"),
        (example.right, "dim"),
        (f" ×{example.count:,}" if example.count > 1 else "", "dim"),
    )


def _spaced(renderable: RenderableType) -> Padding:
    return Padding(renderable, (1, 0, 0, 0))
