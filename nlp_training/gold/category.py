"""Exactly one category: the best predicted category is compared."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document
from nlp_training.gold.base import MISSED, SPURIOUS, UNKNOWN_LABEL, WRONG_LABEL, Compared, GoldKind, Learnable, Mistake
from nlp_training.metrics import Calibration, CategoryAccuracy, DocumentMetric, LabelRanking, McNemar
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score


def first_labels(document: Document, gold: Annotation) -> tuple[Any, Any]:
    """Return the best predicted label and the gold label; empty where there is none."""
    return _first_label(document.predicted or Annotation()), _first_label(gold)


def _first_label(annotation: Annotation) -> str:
    return annotation.categories[0].label if annotation.categories else ""


def confidence(document: Document, gold: Annotation) -> tuple[Any, Any]:
    """Return the score of the best predicted label, and 1 if it is right."""
    best = (document.predicted or Annotation()).categories[:1]
    if not best or best[0].score is None:
        return [], []
    return [best[0].score], [int(best[0].label == _first_label(gold))]


def _scores(document: Document, gold: Annotation) -> tuple[Any, Any]:
    categories = (document.predicted or Annotation()).categories
    return [{"label": one.label, "score": one.score} for one in categories], _first_label(gold)


class OneCategory(GoldKind):
    """One label of the complete document, the first of `Annotation.categories`."""

    name = "category"
    noun = "labels"
    metric = DocumentMetric(
        main=Part(CategoryAccuracy, first_labels),
        further={"calibration": Part(Calibration, confidence), "ranking": Part(LabelRanking, _scores)},
        details={
            "weighted F1": ("averages", "weighted", "f1"),
            "ROC-AUC": ("ranking", "roc_auc"),
            "average precision": ("ranking", "average_precision"),
            **CALIBRATION_DETAILS,
        },
        paired=McNemar,
        scores=(Score("accuracy"), Score("macro_f1")),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        WRONG_LABEL: "another label than gold",
        MISSED: "gold has a label, the prediction none",
        SPURIOUS: "the prediction has a label, gold none",
    }
    pairs_shown = 20

    def labels(self, gold: Annotation) -> list[str]:
        """Return the labels of all categories."""
        return [category.label for category in gold.categories]

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the first category."""
        return [Compared(category.label) for category in annotation.categories[:1]]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a category and gold with several."""
        if len(gold.categories) == 1:
            return None
        found = ", ".join(repr(category.label) for category in gold.categories) or "none"
        return f"needs exactly one label, but has {found}. Correct it, or choose a task with several labels"

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Keep the gold if it has exactly one category, and the task has its label."""
        if len(gold.categories) != 1:
            cause = f"one of {len(gold.categories)} labels, but the task learns exactly one"
            return Learnable(None, [(Compared(category.label), cause) for category in gold.categories])
        [category] = gold.categories
        if labels is not None and category.label not in labels:
            return Learnable(None, [(Compared(category.label), UNKNOWN_LABEL)])
        return Learnable(gold, [])

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the best predicted category with the gold one."""
        found = predicted.categories[0] if predicted.categories else None
        wanted = gold.categories[0] if gold.categories else None
        if found is None and wanted is None:
            return
        if found is None:
            yield Mistake(MISSED, wanted, None)
        elif wanted is None:
            yield Mistake(SPURIOUS, None, found)
        else:
            yield Mistake(None if found.label == wanted.label else WRONG_LABEL, wanted, found)
