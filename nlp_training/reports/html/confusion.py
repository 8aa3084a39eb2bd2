"""The confusion table of labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Literal, NamedTuple

from nlp_training.reports.html.mistakes import Labels

LABELS = 16
"""The maximum number of labels in a table: those with the most mistakes. The others are merged into one."""

Kind = Literal["right", "wrong", "mixed"]

NOTHING_PREDICTED, NOTHING_GOLD = "missed", "spurious"


class _Special(Enum):
    """The merged other labels. It is not a string because any string may be a label."""

    OTHERS = auto()


_OTHERS = _Special.OTHERS
_Name = str | _Special | None


class Cell(NamedTuple):
    """The count of a gold label with a predicted label, and its share of the row."""

    times: int
    share: float
    kind: Kind
    tooltip: str


class Row(NamedTuple):
    """A gold label with the counts of predicted labels."""

    name: str
    extra: bool
    """Whether the name is not a label."""
    cells: tuple[Cell, ...]


class Confusion(NamedTuple):
    """A confusion table.

    Attributes:
        columns: predicted labels, each with whether it is not a label, such as "missed".
        rows: gold labels.
        hidden: the number of merged labels.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[Row, ...]
    hidden: int


def confusion(pairs: Mapping[Labels, int], *, most: int = LABELS) -> Confusion:
    """Build the confusion table.

    Args:
        pairs: the counts of pairs of a gold and a predicted label; `None` means no label.
        most: the maximum number of labels to show.

    Example:
        >>> table = confusion({Labels("A", "A"): 3, Labels("A", "B"): 1, Labels("B", None): 1})
        >>> [name for name, _ in table.columns], [[cell.times for cell in row.cells] for row in table.rows]
        (['A', 'B', 'missed'], [[3, 1, 0], [0, 0, 1]])
    """
    wrong = Counter[str]()
    for (gold, predicted), count in pairs.items():
        for label in {gold, predicted} - {None}:
            wrong[str(label)] += count if gold != predicted else 0
    shown = sorted(sorted(wrong, key=lambda label: (-wrong[label], label))[:most])
    hidden = len(wrong) - len(shown)
    known = {None, *shown}
    counts = Counter[tuple[_Name, _Name]]()
    for (gold, predicted), count in pairs.items():
        counts[gold if gold in known else _OTHERS, predicted if predicted in known else _OTHERS] += count
    names: list[_Name] = [*shown, *([_OTHERS] if hidden else [])]
    columns: list[_Name] = [*names, *([None] if any(predicted is None for _, predicted in counts) else [])]
    golds: list[_Name] = [*names, *([None] if any(gold is None for gold, _ in counts) else [])]
    heads = tuple((_shown_name(name, NOTHING_PREDICTED, hidden), not isinstance(name, str)) for name in columns)
    return Confusion(heads, tuple(_row(gold, columns, counts, hidden) for gold in golds), hidden)


def _row(gold: _Name, columns: Sequence[_Name], counts: Mapping[tuple[_Name, _Name], int], hidden: int) -> Row:
    total = sum(counts[gold, predicted] for predicted in columns) or 1
    cells = []
    for predicted in columns:
        count = counts[gold, predicted]
        labels = f"gold {_shown_name(gold, 'nothing', hidden)}, predicted {_shown_name(predicted, 'nothing', hidden)}"
        kind: Kind = "wrong" if gold != predicted else "mixed" if gold is _OTHERS else "right"
        cells.append(Cell(count, count / total, kind, f"{labels}: {count:,}, {count / total:.1%} of the row"))
    return Row(_shown_name(gold, NOTHING_GOLD, hidden), not isinstance(gold, str), tuple(cells))


def _shown_name(name: _Name, nothing: str, hidden: int) -> str:
    return nothing if name is None else f"{hidden} others" if isinstance(name, _Special) else name
