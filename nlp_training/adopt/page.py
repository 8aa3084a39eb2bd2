"""`adopt.html`: what was deduced, chosen and compared, in one file that opens offline."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from nlp_inference import Annotation, Span
from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference.rendering import label_color, visible
from nlp_training.adopt.causes import CAUSES, SAME_SPAN
from nlp_training.adopt.comparison import ComparedText, Comparison, Difference
from nlp_training.adopt.effect import Effect
from nlp_training.adopt.tuning import Tuned
from nlp_training.reports.html.page import environment

if TYPE_CHECKING:
    from nlp_training.adopt.run import Adoption

PAGE_FILE = "adopt.html"

EXAMPLES = 12
"""The number of examples of each cause."""

CHANGED_SHOWN = 8
_CONTEXT = 110
_LONGEST = 900
_SHOWN_WITHOUT_SPANS = 320

_CAUSE_COLORS = ("#b4530b", "#7a4fa3", "#2b62a5", "#0b7b74", "#a3324f", "#5f6773")


class Side(NamedTuple):
    """One of two predictions: its text with marks, its labels with scores, and a note, which may be an error."""

    passage: Markup
    labels: list[tuple[str, float]]
    note: str
    is_error: bool = False


class Example(NamedTuple):
    """A difference: its cause, the name of the text, and both sides."""

    cause: str
    name: str
    pair: str
    stock: Side
    adopted: Side
    more: int


class CauseRow(NamedTuple):
    """A cause: its number, meaning and color, how many differences it has, and its share of them."""

    number: int
    name: str
    meaning: str
    color: str
    total: int
    share: float
    counts: bool


def write_page(found: "Adoption", folder: Path) -> Path:
    """Write the page into the folder of an artefact, and return its path."""
    target = folder / PAGE_FILE
    write_atomically(target, render(found))
    return target


def render(found: "Adoption") -> str:
    """Render the page."""
    causes = list(_cause_rows(found.comparison))
    numbers = {row.name: row.number for row in causes}
    tuned = found.tuned
    return (
        environment("nlp_training.adopt")
        .get_template("adopt.html.jinja")
        .render(
            name=found.model.name if found.model is not None else Path(found.plan.stock.source).name,
            source=_source_name(found.plan.stock.source),
            commit=found.plan.stock.commit,
            made=datetime.now(UTC),
            comparison=found.comparison,
            is_built_in=found.is_built_in,
            share=found.comparison.agreeing / max(1, found.comparison.total),
            deductions=found.plan.deductions,
            task=found.plan.task,
            reads_pairs=found.plan.head.pairs or found.plan.task.needs_pair,
            tuned=tuned,
            gain=_gain(tuned),
            effect=found.effect,
            changed=[] if found.effect is None else list(_changed(found.effect)),
            causes=causes,
            numbers=numbers,
            examples=list(_examples(found.comparison)),
            most=EXAMPLES,
            verification=found.verification,
        )
    )


def _source_name(source: str) -> str:
    """Return a Hub id, or the name of a local folder without its path."""
    return Path(source).name if Path(source).is_dir() else source


def _gain(tuned: Tuned | None) -> tuple[float, float] | None:
    """Return the score with what was assumed, and with what was chosen."""
    if tuned is None or not isinstance(tuned.after.get(tuned.score_name), float):
        return None
    return float(tuned.before[tuned.score_name]), float(tuned.after[tuned.score_name])


def _cause_rows(comparison: Comparison) -> Iterator[CauseRow]:
    counted = comparison.causes
    most = max(counted.values(), default=1)
    for index, (name, count) in enumerate(counted.most_common(), start=1):
        color = "#5f6773" if name == SAME_SPAN else _CAUSE_COLORS[(index - 1) % len(_CAUSE_COLORS)]
        yield CauseRow(index, name, CAUSES[name], color, count, count / most, name != SAME_SPAN)


def _examples(comparison: Comparison) -> Iterator[Example]:
    """Yield examples of each cause, the same number of texts before further examples of a text."""
    for cause in comparison.causes:
        shown = 0
        for text in comparison.texts:
            differences = [one for one in text.differences if one.cause == cause]
            if differences and shown < EXAMPLES:
                shown += 1
                yield _example(text, differences)


def _example(text: ComparedText, differences: Sequence[Difference]) -> Example:
    first = differences[0]
    raw = text.document.raw_text
    start, end = _window(raw, [*first.stock, *first.adopted])
    inside = [one for one in differences if all(start <= span.start < end for span in (*one.stock, *one.adopted))]
    marked = [one for one in text.differences if one.counts] if first.counts else inside
    stock = text.stock.annotation or Annotation()
    adopted = text.document.predicted or Annotation()
    notes, errors = _notes(text, first), (text.stock.error, text.error)
    sides: tuple[Side, ...] = (
        _side(raw, start, end, stock, [span for one in marked for span in one.stock], notes[0], read=text.stock.read),
        _side(raw, start, end, adopted, [span for one in marked for span in one.adopted], notes[1], read=len(raw)),
    )
    sides = tuple(one._replace(is_error=bool(error)) for one, error in zip(sides, errors, strict=True))
    name = str(text.document.id or "")
    pair = (text.document.raw_text_pair or "")[:_LONGEST]
    return Example(first.cause, name, pair, sides[0], sides[1], more=len(differences) - len(inside))


def _notes(text: ComparedText, difference: Difference) -> tuple[str, str]:
    """Return a line below each side, for what the marks do not show."""
    if text.error or text.stock.error:
        return text.stock.error[:300], text.error[:300]
    if difference.cause == SAME_SPAN:
        known = {
            (span.start, span.end): word
            for span, word in zip(_spans(text.stock.annotation), text.stock.words, strict=True)
        }
        span = difference.stock[0]
        return f"word: {known[span.start, span.end]!r}", f"surface: {text.document.surface(span)!r}"
    windows = text.document.coverage.windows if text.document.coverage is not None else 1
    if difference.cause == "truncation":
        return f"{text.stock.read:,} of {len(text.document.raw_text):,} characters read", f"{windows} windows"
    return "", f"{windows} windows" if windows > 1 else ""


def _spans(annotation: Annotation | None) -> tuple[Span, ...]:
    return () if annotation is None else annotation.spans


def _window(text: str, spans: Sequence[Span]) -> tuple[int, int]:
    """Return the range of the text around spans; the beginning of it without spans."""
    if not spans:
        return 0, min(len(text), _SHOWN_WITHOUT_SPANS)
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    start, end = max(0, first - _CONTEXT), min(len(text), max(last + _CONTEXT, first + 1))
    while start > 0 and start > first - _CONTEXT - 20 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and end < last + _CONTEXT + 20 and not text[end].isspace():
        end += 1
    return start, min(end, start + _LONGEST)


def _side(
    text: str, start: int, end: int, annotation: Annotation, differing: Sequence[Span], note: str, *, read: int
) -> Side:
    labels = [(one.label, one.score or 0.0) for one in annotation.categories]
    labels += sorted(annotation.values.items())
    labels += [(one, 0.0) for one in annotation.generated]
    passage = marked_passage(text, annotation.spans, differing, start=start, end=end, read=read)
    return Side(passage, labels, note)


def marked_passage(
    text: str, spans: Sequence[Span], differing: Sequence[Span], *, start: int, end: int, read: int
) -> Markup:
    """Return a part of a text as HTML, with its spans: those that differ stand out.

    Args:
        text: the complete text.
        spans: all spans of a prediction, without overlaps.
        differing: those that the other prediction does not have.
        start, end: the part.
        read: how many characters the model read; the rest is shown as unread.

    Example:
        >>> span = Span(start=0, end=3, label="PER")
        >>> print(marked_passage("Ana", [span], [], start=0, end=3, read=3))
        <mark class="same" title="PER">Ana</mark>
    """
    keys = {(span.start, span.end, span.label) for span in differing}
    parts = [Markup('<span class="gap">… </span>')] if start > 0 else []
    position = start
    for span in sorted(spans, key=lambda one: one.start):
        if span.start < position or span.end > end:
            continue
        parts.append(_plain(text, position, span.start, read))
        parts.append(_mark(text, span, differs=(span.start, span.end, span.label) in keys))
        position = span.end
    parts.append(_plain(text, position, end, read))
    if end < len(text):
        parts.append(Markup('<span class="gap"> …</span>'))
    return Markup("").join(parts)


def _plain(text: str, start: int, end: int, read: int) -> Markup:
    seen = min(max(read, start), end)
    unread = Markup('<span class="unread">{}</span>').format(visible(text[seen:end])) if seen < end else Markup("")
    return Markup("{}{}").format(visible(text[start:seen]), unread)


def _mark(text: str, span: Span, *, differs: bool) -> Markup:
    shown = visible(text[span.start : span.end])
    if not differs:
        return Markup('<mark class="same" title="{}">{}</mark>').format(visible(span.label), shown)
    score = "" if span.score is None else f"{span.score:.2f}"
    return Markup('<mark class="diff" style="--c:{}">{}<b>{}</b><i>{}</i></mark>').format(
        label_color(span.label), shown, visible(span.label), score
    )


class Changed(NamedTuple):
    """A text whose prediction preprocessing changes: without it, and with it."""

    name: str
    without: Side
    served: Side


def _changed(effect: Effect) -> Iterator[Changed]:
    for one in effect.changed[:CHANGED_SHOWN]:
        raw = one.served.raw_text
        before, after = (document.predicted or Annotation() for document in (one.without, one.served))
        keys = [{(span.start, span.end, span.label) for span in found.spans} for found in (before, after)]
        changed = [
            [span for span in found.spans if (span.start, span.end, span.label) not in other]
            for found, other in ((before, keys[1]), (after, keys[0]))
        ]
        start, end = _window(raw, [*changed[0], *changed[1]])
        edits = ", ".join(f"{record.transform} {len(record.edits)}" for record in one.served.edits)
        yield Changed(
            str(one.served.id or ""),
            _side(raw, start, end, before, changed[0], "", read=len(raw)),
            _side(raw, start, end, after, changed[1], f"edits: {edits}" if edits else "", read=len(raw)),
        )
