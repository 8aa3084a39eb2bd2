"""The page of corrections: where people corrected what a model suggested, in one file that opens offline."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from nlp_inference import Document
from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference.errors import OutputError
from nlp_inference.registry import Spec
from nlp_inference.rendering import STYLE_SHEET
from nlp_training.annotate.corrections import Corrections, count_corrections, is_unchanged
from nlp_training.annotate.suggest import UNCERTAINTY
from nlp_training.gold import GoldKind, gold_kind, view_of_head
from nlp_training.reports.html.confusion import Confusion, confusion
from nlp_training.reports.html.mistakes import Mistakes
from nlp_training.reports.html.page import MistakeKind, environment, mistake_kinds

QUARTERS = 4
"""Documents are divided into this many parts by their uncertainty."""

_LEAST = 2 * QUARTERS
_LABELS = 100


class LabelRow(NamedTuple):
    """What people did with the suggestions of a label.

    Attributes:
        label: the label.
        kept: suggestions that stayed.
        boundaries: those that kept the label, and whose boundaries changed.
        relabeled: those that have another label now.
        removed: those that were removed.
        added: annotations with the label that people added.
    """

    label: str
    kept: int
    boundaries: int
    relabeled: int
    removed: int
    added: int

    @property
    def suggested(self) -> int:
        """How often the label was suggested."""
        return self.kept + self.boundaries + self.relabeled + self.removed

    @property
    def share(self) -> float:
        """The share of the suggestions that stayed."""
        return self.kept / max(1, self.suggested)


class Part(NamedTuple):
    """The documents of a range of uncertainty: its ends, how many they are, and how many people changed."""

    low: float
    high: float
    documents: int
    changed: int


class Head(NamedTuple):
    """The corrections of a head; its name is empty for a task without heads."""

    name: str
    kind: GoldKind
    corrections: Corrections
    labels: list[LabelRow]
    confusion: Confusion | None
    mistakes: list[MistakeKind]


def write_corrections_page(
    documents: Sequence[Document], path: str | Path, *, needs: Spec, overwrite: bool = False
) -> Path:
    """Write a page that shows where people corrected suggestions, with examples; it contains texts.

    Args:
        documents: from `join_suggestions`.
        path: the HTML file.
        needs: the kind of gold of the task that suggested them; suggestions have it in their metadata.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the file exists.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise OutputError(f"{str(target)!r} exists; choose another path, or pass --overwrite (overwrite=True)")
    write_atomically(target, render(documents, needs=needs, name=target.stem))
    return target


def render(documents: Sequence[Document], *, needs: Spec, name: str) -> str:
    """Render the page."""
    found = count_corrections(documents, needs=needs)
    kinds = gold_kind(needs).parts
    return (
        environment("nlp_training.annotate")
        .get_template("corrections.html.jinja")
        .render(
            name=name,
            made=datetime.now(UTC),
            found=found,
            kept=found.kept.total(),
            total=found.kept.total() + found.changed.total(),
            heads=[_head(documents, head, kind) for head, kind in kinds.items()],
            parts=list(parts_by_uncertainty(documents)),
            passage_style=STYLE_SHEET,
        )
    )


def _head(documents: Sequence[Document], name: str, kind: GoldKind) -> Head:
    views = [view for document in documents if (view := view_of_head(document, name)) is not None]
    corrections = count_corrections(views, needs=kind.to_spec())
    mistakes = Mistakes(kind)
    for view in views:
        if view.gold is not None:
            mistakes.add(view)
    rows = list(label_rows(corrections))[:_LABELS] if kind.confuses_labels else []
    table = confusion(mistakes.pairs) if mistakes.pairs and kind.confuses_labels else None
    return Head(name, kind, corrections, rows, table, mistake_kinds(mistakes))


def label_rows(found: Corrections) -> Iterator[LabelRow]:
    """Yield what people did with each label, those with the most corrections first.

    Example:
        >>> changed = Counter({("spurious", "LOC", None): 2, ("wrong label", "LOC", "PER"): 1})
        >>> for row in label_rows(Corrections(kept=Counter(LOC=5), changed=changed)):
        ...     print(row.label, row.suggested, row.kept, row.relabeled, row.removed, row.added)
        LOC 8 5 1 2 0
    """
    counts: dict[str, Counter[str]] = {label: Counter(kept=count) for label, count in found.kept.items()}
    for (_, suggested, given), count in found.changed.items():
        if suggested is None:
            counts.setdefault(str(given), Counter())["added"] += count
            continue
        what = "removed" if given is None else "boundaries" if given == suggested else "relabeled"
        counts.setdefault(suggested, Counter())[what] += count
    names: Any = LabelRow._fields[1:]
    rows = [LabelRow(label, *(one[name] for name in names)) for label, one in counts.items()]
    yield from sorted(rows, key=lambda row: (row.kept - row.suggested - row.added, row.label))


def parts_by_uncertainty(documents: Sequence[Document]) -> Iterator[Part]:
    """Yield the most uncertain quarter of the annotated documents first; nothing if they have no uncertainty.

    If people change as much in the last quarter as in the first one, the order does not find mistakes.
    """
    known = [
        (float(value), not is_unchanged(document))
        for document in documents
        if document.gold is not None and isinstance(value := document.metadata.get(UNCERTAINTY), float | int)
    ]
    known.sort(key=lambda one: -one[0])
    if len(known) < _LEAST or known[0][0] == known[-1][0]:
        return
    bounds = [round(len(known) * number / QUARTERS) for number in range(QUARTERS + 1)]
    for start, end in pairwise(bounds):
        part = known[start:end]
        yield Part(part[-1][0], part[0][0], len(part), sum(changed for _, changed in part))
