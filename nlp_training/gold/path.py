"""Exactly one path of a hierarchy of labels."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from nlp_inference.document import Annotation
from nlp_inference.tasks.hierarchical_classification import SEPARATOR, ancestors
from nlp_training.gold.base import MISSED, Mistake
from nlp_training.gold.category import OneCategory, confidence, first_labels
from nlp_training.metrics import Calibration, DocumentMetric, McNemar, PathF1
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score

WRONG_BRANCH = "wrong branch"
WRONG_BELOW = "wrong below the first level"
TOO_SHORT = "too short"
TOO_LONG = "too long"


class Path(OneCategory):
    """One path such as `bank/card/lost`, the first of `Annotation.categories`; it may end above the lowest level."""

    name = "path"
    metric = DocumentMetric(
        main=Part(PathF1, first_labels),
        further={"calibration": Part(Calibration, confidence)},
        details={"weighted F1": ("averages", "weighted", "f1"), **CALIBRATION_DETAILS},
        paired=McNemar,
        scores=(
            Score("accuracy"),
            Score("hierarchical_f1"),
            Score("hierarchical_precision"),
            Score("hierarchical_recall"),
            Score("macro_f1"),
        ),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        WRONG_BRANCH: "another label than gold at the first level",
        WRONG_BELOW: "the first level is right, a deeper one is not",
        TOO_SHORT: "the prediction ends above the gold label",
        TOO_LONG: "the prediction continues below the gold label",
        MISSED: "nothing was predicted",
    }

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a path, with several, or with an empty name in it."""
        found = super().problem(gold)
        if found is not None or all(name.strip() for name in gold.categories[0].label.split(SEPARATOR)):
            return found
        return f"has the path {gold.categories[0].label!r}, in which a name is empty. Write names with single slashes"

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the best predicted path with the gold path."""
        found = predicted.categories[0] if predicted.categories else None
        wanted = gold.categories[0] if gold.categories else None
        if wanted is None:
            return
        yield Mistake(MISSED if found is None else _mistake(found.label, wanted.label), wanted, found)


def _mistake(found: str, gold: str) -> str | None:
    if found == gold:
        return None
    if found in ancestors(gold):
        return TOO_SHORT
    if gold in ancestors(found):
        return TOO_LONG
    return WRONG_BELOW if ancestors(found)[0] == ancestors(gold)[0] else WRONG_BRANCH
