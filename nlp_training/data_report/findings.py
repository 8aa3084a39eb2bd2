"""What a check of data tells: findings, each with what it means for the run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nlp_inference import Document
from nlp_training.data.records import READ_FROM

SHOWN = 5
"""How many examples a finding keeps."""


class Severity(StrEnum):
    """An error makes a training or its score worthless; a warning costs something; a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data that a person should know.

    Attributes:
        severity: what it means for the run.
        kind: a name for machines, such as `leaked`; docs/check_data.md has a line on each.
        split: where it was found.
        count: how often.
        text: the finding in a sentence.
        examples: some of the places; all of them where training would refuse the data.
    """

    severity: Severity
    kind: str
    split: str
    count: int
    text: str
    examples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
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
    """How often something was met, and the first places.

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
        """Count one more; it is only described where it is kept."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(describe())

    def finding(self, severity: Severity, kind: str, split: str, text: str) -> list[Finding]:
        """The finding that this is, if anything was counted."""
        return [Finding(severity, kind, split, self.count, text, tuple(self.examples))] if self.count else []


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes; those of one kind together, in the order they came."""
    findings = list(findings)
    severities = list(Severity)
    kinds = list(dict.fromkeys(finding.kind for finding in findings))
    return sorted(findings, key=lambda one: (severities.index(one.severity), kinds.index(one.kind)))


def place_of(document: Document) -> str:
    """Where a document was read, such as `train.jsonl:17`, or else its id."""
    return str(document.metadata.get(READ_FROM, document.id))


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are.

    Example:
        >>> listed(["a", "b"]), listed(list("abcdefg"))
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def percent(part: int, whole: int) -> str:
    """A share for reading.

    Example:
        >>> percent(1, 3), percent(0, 0), percent(1, 100_000)
        ('33.3 %', '0.0 %', '<0.1 %')
    """
    share = 100 * part / max(whole, 1)
    return "<0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


def shortened(text: str, *, length: int = 60) -> str:
    """A text on one line, in quotes, cut to `length` characters.

    Example:
        >>> shortened("Ana " * 9, length=10)
        "'Ana Ana An…'"
    """
    return repr(text if len(text) <= length else f"{text[:length]}…")
