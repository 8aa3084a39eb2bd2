"""What is deduced about a checkpoint that does not state it, with the evidence and the option that overrides it."""

from dataclasses import dataclass
from typing import Literal

from nlp_inference.errors import ArtefactError, InvalidSpecError

Basis = Literal["given", "stated", "deduced", "measured", "assumed"]
"""Where a value comes from: an option, a field of the checkpoint, several of its fields, its predictions, or usage."""


class UnsupportedModelError(ArtefactError):
    """A model that cannot be adopted."""


class AmbiguousModelError(InvalidSpecError):
    """A checkpoint from which something cannot be deduced.

    Attributes:
        subject: what cannot be deduced.
        option: the option that states it.
    """

    def __init__(self, subject: str, reason: str, *, option: str) -> None:
        super().__init__(f"{subject}: {reason}; state it with {option}")
        self.subject, self.option = subject, option


@dataclass(frozen=True, slots=True)
class Deduction:
    """A property of a checkpoint.

    Attributes:
        subject: the property, such as `tagging scheme`.
        value: its value, for people.
        evidence: what it was deduced from.
        option: the option that overrides it; empty if nothing does.
        basis: where it comes from.

    Example:
        >>> Deduction("task", "token-classification", "architectures names BertForTokenClassification", "--task").basis
        'deduced'
    """

    subject: str
    value: str
    evidence: str
    option: str = ""
    basis: Basis = "deduced"
