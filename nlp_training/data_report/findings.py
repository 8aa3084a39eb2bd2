"""Findings of a data check, each with its severity for the run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nlp_inference import Document
from nlp_training.data.records import READ_FROM

SHOWN = 5
"""The maximum number of examples of a finding."""


class Severity(StrEnum):
    """The severity: an error invalidates a training or its score, a warning reduces quality, a note informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about the data.

    Attributes:
        severity: the severity for the run.
        kind: the machine-readable kind, such as `leaked`; docs/check_data.md explains each.
        split: the split of the finding.
        count: the number of occurrences.
        text: a description.
        examples: example locations; all locations if training would raise an error.
    """

    severity: Severity
    kind: str
    split: str
    count: int
    text: str
    examples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "severity": self.severity.value,
            "kind": self.kind,
            "split": self.split,
            "count": self.count,
            "text": self.text,
            "examples": list(self.examples),
        }


@dataclass(slots=True)
class Tally:
    """A count of occurrences with the first examples.

    Example:
        >>> tally = Tally()
        >>> for number in range(9):
        ...     tally.add(lambda: f"line {number}")
        >>> tally.count, tally.examples[:2], len(tally.examples)
        (9, ['line 0', 'line 1'], 5)
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, describe: Callable[[], str]) -> None:
        """Count one occurrence; `describe` is called only if the example is kept."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(describe())

    def finding(self, severity: Severity, kind: str, split: str, text: str) -> list[Finding]:
        """Return a finding if anything was counted, in a list."""
        return [Finding(severity, kind, split, self.count, text, tuple(self.examples))] if self.count else []


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings by severity, and group those of the same kind in their order."""
    findings = list(findings)
    severities = list(Severity)
    kinds = list(dict.fromkeys(finding.kind for finding in findings))
    return sorted(findings, key=lambda one: (severities.index(one.severity), kinds.index(one.kind)))


def place_of(document: Document) -> str:
    """Return the location that a document was read from, such as `train.jsonl:17`, or else its id."""
    return str(document.metadata.get(READ_FROM, document.id))


def listed(names: Sequence[str]) -> str:
    """List the first names and the number of the others.

    Example:
        >>> listed(["a", "b"]), listed(list("abcdefg"))
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def percent(part: int, total: int) -> str:
    """Format a share as a percentage.

    Example:
        , percent(0, 0), percent(1, 100_000)
        ('33.3 %', '0.0 %', '<0.1 %')
    """
    share = 100 * part / max(total, 1)
    return "<0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


def shortened(text: str, *, length: int = 60) -> str:
    """Return a quoted text on one line, truncated to `length` characters.

    Example:
        >>> shortened("Ana " * 9, length=10)
        "'Ana Ana An…'"
    """
    return repr(text if len(text) <= length else f"{text[:length]}…")
