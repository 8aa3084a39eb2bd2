"""How annotations of documents are scored: which metrics see what, and in which direction a score is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import evaluate

from nlp_inference.document import Annotation, Document

View = Callable[[Document, Annotation], tuple[Any, Any]]
"""Returns what a metric takes of a predicted document and of its gold: small, without text."""

OTHER_KEYS = (
    "support",
    "averages",
    "per_label",
    "per_value",
    "interval",
    "coverage",
    "runtime",
    "documents_per_second",
    "samples_per_second",
    "loss",
)
"""Keys of the scores of a data set that no custom metric may have."""


@dataclass(frozen=True, slots=True)
class Part:
    """One metric, and what it sees of a document."""

    metric: Callable[[], Any]
    view: View


@dataclass(frozen=True, slots=True)
class Score:
    """The name of a score, and its direction."""

    name: str
    greater_is_better: bool = True


@dataclass(frozen=True, slots=True)
class DocumentMetric:
    """How the annotations of documents are scored.

    Attributes:
        main: gives the overall scores, those of labels, and intervals.
        further: other metrics, by the names under which their scores are returned.
        paired: makes a fresh test of two models; it takes what `main` sees.
        scores: the overall scores; models are chosen by the first one by default.
    """

    main: Part
    further: Mapping[str, Part]
    paired: Callable[[], evaluate.Comparison]
    scores: tuple[Score, ...]

    @property
    def best(self) -> str:
        """The name of the score by which models are chosen by default."""
        return self.scores[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the overall scores."""
        return tuple(score.name for score in self.scores)

    def greater_is_better(self, name: str) -> bool:
        """Return the direction of a score; one that is not among `scores` is better if it is greater, unless a loss."""
        known = {score.name: score.greater_is_better for score in self.scores}
        return known.get(name, not name.endswith("loss"))

    def view(self, document: Document, gold: Annotation) -> list[tuple[Any, Any]]:
        """Return what `main` sees of a predicted document and its gold, and then what each of `further` sees."""
        return [part.view(document, gold) for part in (self.main, *self.further.values())]
