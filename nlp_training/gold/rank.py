"""Exactly one of several ordered labels: how far a prediction is from gold is measured in ranks."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Category, Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks.ordinal_regression import rank_labels
from nlp_training.gold.base import MISSED, UNKNOWN_LABEL, WRONG_LABEL, Compared, GoldKind, Learnable, Mistake
from nlp_training.metrics import Calibration, DocumentMetric, RankBootstrap, RankErrors
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score

TOO_HIGH = "too high"
TOO_LOW = "too low"


def _ranks(document: Document, gold: Annotation) -> tuple[Any, Any]:
    """Return the predicted and the gold label with their ranks, which are those of the predicted `label_scores`."""
    predicted = document.predicted or Annotation()
    ranks = _rank_of(predicted)
    found, wanted = _first(predicted.categories), next(iter(rank_labels(gold)), "")
    return {"label": found, "rank": ranks.get(found, -1)}, {"label": wanted, "rank": ranks.get(wanted, -1)}


def _confidence(document: Document, gold: Annotation) -> tuple[Any, Any]:
    best = (document.predicted or Annotation()).categories[:1]
    if not best or best[0].score is None:
        return [], []
    return [best[0].score], [int(best[0].label in rank_labels(gold))]


def _rank_of(predicted: Annotation) -> dict[str, int]:
    return {label: rank for rank, label in enumerate(predicted.label_scores)}


def _first(categories: Sequence[Category]) -> str:
    return categories[0].label if categories else ""


class Rank(GoldKind):
    """One of several ordered labels, as the only category of an annotation or as its only number."""

    name = "rank"
    noun = "ranks"
    metric = DocumentMetric(
        main=Part(RankErrors, _ranks),
        further={"calibration": Part(Calibration, _confidence)},
        details={"weighted F1": ("averages", "weighted", "f1"), **CALIBRATION_DETAILS},
        paired=RankBootstrap,
        scores=(
            Score("quadratic_kappa"),
            Score("rank_mae", greater_is_better=False),
            Score("accuracy"),
            Score("macro_f1"),
        ),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        TOO_HIGH: "a prediction above gold",
        TOO_LOW: "a prediction below gold",
        WRONG_LABEL: "another label than gold, which the task does not know",
        MISSED: "nothing was predicted",
    }
    pairs_shown = 20

    def learn_settings(self, golds: Sequence[Annotation], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the labels in the order of their numbers.

        Raises:
            InvalidSpecError: a label is not a number, so its order has to be stated.
        """
        found: list[str] = super().learn_settings(golds, settings)["labels"]
        try:
            return {"labels": sorted(found, key=float)}
        except ValueError:
            listed = ", ".join(found[:20])
            raise InvalidSpecError(
                f"the labels {listed} are not all numbers, so their order is unknown; state it, from the lowest to the "
                f"highest: processor.task: {{ordinal-regression: {{labels: [{listed}]}}}}"
            ) from None

    def labels(self, gold: Annotation) -> list[str]:
        """Return the labels of all categories, or else all numbers as labels."""
        return list(rank_labels(gold))

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the first rank."""
        return [Compared(label) for label in rank_labels(annotation)[:1]]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a rank and gold with several."""
        found = rank_labels(gold)
        if len(found) == 1:
            return None
        listed = ", ".join(map(repr, found)) or "none"
        return f"needs exactly one ordered label or number, but has {listed}. Correct it, or name its column"

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Keep the gold if it has exactly one rank, and the task has its label."""
        found = rank_labels(gold)
        if len(found) != 1:
            cause = f"one of {len(found)} ranks, but the task learns exactly one"
            return Learnable(None, [(Compared(label), cause) for label in found])
        if labels is not None and found[0] not in labels:
            return Learnable(None, [(Compared(found[0]), UNKNOWN_LABEL)])
        return Learnable(gold, [])

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the predicted rank with the gold one."""
        found = predicted.categories[0] if predicted.categories else None
        wanted = next(map(_category, rank_labels(gold)), None)
        if wanted is not None:
            yield Mistake(MISSED if found is None else _mistake(found, wanted, _rank_of(predicted)), wanted, found)


def _category(label: str) -> Category:
    return Category(label=label)


def _mistake(found: Category, wanted: Category, ranks: Mapping[str, int]) -> str | None:
    if found.label == wanted.label:
        return None
    if found.label not in ranks or wanted.label not in ranks:
        return WRONG_LABEL
    return TOO_HIGH if ranks[found.label] > ranks[wanted.label] else TOO_LOW
