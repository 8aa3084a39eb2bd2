"""Layout of a Document for every medium: marks on the text, categories, edits."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Literal

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.document.aligned_text import EditRecord, apply_edits
from nlp_inference.document.deletions import merge_ranges
from nlp_inference.rendering._glyphs import visible_change, visible_line

MAX_MARKS = 300
MAX_CATEGORIES = 8
_MAX_RECORDS = 20
_MAX_EXAMPLES = 5
_CONTEXT = 14
_CHANGE = 48

Standing = Literal["found", "right", "wrong", "missed", "gold"]
"""Relation of a prediction to the gold annotation; `found` and `gold` if there is only one of the two."""

SIGNS: dict[Standing, str] = {"found": "", "right": "✓", "wrong": "✗", "missed": "missed", "gold": "gold"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A labeled range of the text; of overlapping marks, the shorter has the lower lane."""

    start: int
    end: int
    label: str
    score: float | None
    standing: Standing
    lane: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of the text with the same marks, the inner marks before the outer ones."""

    start: int
    end: int
    marks: tuple[Mark, ...]
    opening: tuple[Mark, ...]
    closing: tuple[Mark, ...]
    unread: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One change in its context, ready for display, and the number of edits with the same change."""

    left: str
    old: str
    new: str
    right: str
    count: int


@dataclass(frozen=True, slots=True)
class EditSummary:
    """Summary of one transform: the number of edits, the first different ones, and the number of different ones."""

    transform: str
    edits: int
    examples: tuple[Example, ...]
    different: int


def make_marks(document: Document) -> list[Mark]:
    """Return the first marks of the document in text order, at most MAX_MARKS, each with its lane."""
    gold = _by_place(document.gold)
    predicted = _by_place(document.predicted)
    alone: Standing = "found" if document.gold is None else "wrong"
    left: Standing = "gold" if document.predicted is None else "missed"
    marks = [_mark(span, "right" if place in gold else alone) for place, span in predicted.items()]
    marks += [_mark(span, left) for place, span in gold.items() if place not in predicted]
    marks.sort(key=lambda mark: (mark.start, -mark.end, mark.label))
    return _with_lanes(marks[:MAX_MARKS])


def make_pieces(marks: Sequence[Mark], length: int, *, unread: Iterable[tuple[int, int]] = ()) -> Iterator[Piece]:
    """Split the first `length` characters of the text at the bounds of marks and unread ranges."""
    marks = [replace(mark, end=min(mark.end, length)) for mark in marks if mark.start < length]
    gaps = merge_ranges((start, min(end, length)) for start, end in unread if start < length)
    places = chain(((mark.start, mark.end) for mark in marks), gaps, [(0, length)])
    cuts = sorted(set(chain.from_iterable(places)))
    waiting = sorted(marks, key=lambda mark: mark.start, reverse=True)
    active: list[Mark] = []
    for start, end in pairwise(cuts):
        opening = []
        while waiting and waiting[-1].start == start:
            opening.append(waiting.pop())
        gap = bisect_right(gaps, start, key=lambda gap: gap[0]) - 1
        active = sorted([*(mark for mark in active if mark.end > start), *opening], key=lambda mark: mark.lane)
        yield Piece(
            start,
            end,
            marks=tuple(active),
            opening=tuple(sorted(opening, key=lambda mark: -mark.lane)),
            closing=tuple(mark for mark in active if mark.end == end),
            unread=gap >= 0 and end <= gaps[gap][1],
        )


def make_categories(document: Document) -> list[tuple[Category, Standing]]:
    """Return the best predicted categories, at most MAX_CATEGORIES, then the other gold categories."""
    gold = {category.label: category for category in document.gold.categories} if document.gold else {}
    predicted = document.predicted.categories if document.predicted else ()
    best = sorted(predicted, key=lambda category: float("inf") if category.score is None else -category.score)
    shown: list[tuple[Category, Standing]] = [
        (category, "right" if category.label in gold else "found") for category in best[:MAX_CATEGORIES]
    ]
    labels = {category.label for category, _ in shown}
    missing: list[tuple[Category, Standing]] = [
        (category, "gold") for label, category in gold.items() if label not in labels
    ]
    return shown + missing[:MAX_CATEGORIES]


def make_summaries(text: str, records: Sequence[EditRecord]) -> list[EditSummary]:
    """Summarize the changes of each of the first transforms to the raw text `text`."""
    summaries = []
    for record in records[:_MAX_RECORDS]:
        found: dict[tuple[str, str], tuple[int, int, int]] = {}
        for start, end, new in record.edits:
            first_start, first_end, count = found.get((text[start:end], new), (start, end, 0))
            found[text[start:end], new] = (first_start, first_end, count + 1)
        shown = list(found.items())[:_MAX_EXAMPLES]
        examples = tuple(_example(text, place, change) for change, place in shown)
        summaries.append(EditSummary(record.transform, len(record.edits), examples, len(found)))
        text = apply_edits(text, record.edits)
    return summaries


def hidden_note(document: Document, length: int, marks: Sequence[Mark]) -> str:
    """Describe what is hidden if the first `length` characters and these marks are shown; empty if nothing is."""
    notes = []
    if length < len(document.raw_text):
        notes.append(f"{len(document.raw_text) - length:,} more characters not shown")
    total = len({*_by_place(document.gold), *_by_place(document.predicted)})
    shown = sum(mark.start < length for mark in marks)
    if shown < total:
        notes.append(f"{total - shown:,} more spans not shown")
    return " · ".join(notes)


def coverage_note(document: Document) -> str:
    """Describe what the model did not see; empty if it saw everything or there is no coverage."""
    coverage = document.coverage
    if coverage is None or coverage.complete:
        return ""
    notes = []
    kinds = (
        ((*coverage.unread, *coverage.unread_pair), "not read"),
        ((*coverage.deleted, *coverage.deleted_pair), "deleted by preprocessing"),
        ((*coverage.unknown, *coverage.unknown_pair), "unknown to the tokenizer"),
    )
    for ranges, what in kinds:
        if ranges:
            number = sum(end - start for start, end in ranges)
            of_all = f"{number:,} of {_count(coverage.characters, 'character')}"
            notes.append(f"{of_all} were {what}, in {_count(len(ranges), 'place')}")
    if coverage.truncated:
        notes.append("the text was truncated")
    return "The model did not see everything: " + "; ".join(notes) + "."


def facts(document: Document) -> list[str]:
    """Return the facts under the title: the numbers of characters, spans and windows."""
    found = [_count(len(document.raw_text), "character")]
    for annotation, kind in ((document.predicted, "predicted"), (document.gold, "gold")):
        if annotation is not None and (annotation.spans or annotation == Annotation()):
            found.append(f"{_count(len(annotation.spans), 'span')} {kind}")
    if document.coverage is not None:
        found.append(_count(document.coverage.windows, "window"))
    return found


def legend(document: Document, *, missed: str) -> str:
    """Explain the signs on spans, if there are any; `missed` describes the style of a missed span."""
    gold, predicted = document.gold, document.predicted
    if gold is None or predicted is None or not (gold.spans or predicted.spans):
        return ""
    return f"✓ as in gold · ✗ not in gold · {missed}: missed"


def summary_title(summaries: Sequence[EditSummary]) -> str:
    """Return a title with the numbers of edits and transforms."""
    edits = sum(summary.edits for summary in summaries)
    return f"{_count(edits, 'edit')} by {_count(len(summaries), 'transform')} before the model read it"


def relation_rows(document: Document, annotation: Annotation | None) -> list[tuple[str, str, str]]:
    """Return the first relations as head, label and tail, ready for display."""
    if annotation is None:
        return []
    surfaces = [visible_change(document.surface(span), limit=_CHANGE) for span in annotation.spans]
    shown = annotation.relations[:_MAX_RECORDS]
    return [(surfaces[item.head], visible_line(item.label), surfaces[item.tail]) for item in shown]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _by_place(annotation: Annotation | None) -> dict[tuple[int, int, str], Span]:
    return {(span.start, span.end, span.label): span for span in annotation.spans} if annotation else {}


def _mark(span: Span, standing: Standing) -> Mark:
    return Mark(span.start, span.end, span.label, span.score, standing)


def _with_lanes(marks: list[Mark]) -> list[Mark]:
    placed: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: mark.end - mark.start):
        taken = {other.lane for other in placed if other.start < mark.end and mark.start < other.end}
        lane = next(lane for lane in range(len(placed) + 1) if lane not in taken)
        placed.append(replace(mark, lane=lane))
    return sorted(placed, key=lambda mark: (mark.start, -mark.end, mark.label))


def _example(text: str, place: tuple[int, int, int], change: tuple[str, str]) -> Example:
    start, end, count = place
    left, right = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
    old, new = (visible_change(side, limit=_CHANGE) for side in change)
    return Example(
        left=("…" if start > _CONTEXT else "") + visible_line(left),
        old=old,
        new=new,
        right=visible_line(right) + ("…" if end + _CONTEXT < len(text) else ""),
        count=count,
    )
