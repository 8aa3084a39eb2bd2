"""Any number of categories: each label is right or wrong by itself."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document
from nlp_training.gold.base import MISSED, SPURIOUS, UNKNOWN_LABEL, Compared, GoldKind, Learnable, Mistake
from nlp_training.metrics import Calibration, DocumentMetric, LabelSetBootstrap, LabelSetF1, LabelSetRanking
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score


def _label_sets(document: Document, gold: Annotation) -> tuple[Any, Any]:
    predicted = document.predicted or Annotation()
    return [one.label for one in predicted.categories], [one.label for one in gold.categories]


def _all_scores(document: Document, gold: Annotation) -> tuple[Any, Any]:
    scores = (document.predicted or Annotation()).label_scores
    wanted = [category.label for category in gold.categories]
    return [{"label": label, "score": score} for label, score in scores.items()], wanted


def _confidences(document: Document, gold: Annotation) -> tuple[Any, Any]:
    """The scores of all labels where they are known, or else those of the predicted labels."""
    wanted = {category.label for category in gold.categories}
    predicted = document.predicted or Annotation()
    if predicted.label_scores:
        return list(predicted.label_scores.values()), [int(label in wanted) for label in predicted.label_scores]
    scored = [category for category in predicted.categories if category.score is not None]
    return [category.score for category in scored], [int(category.label in wanted) for category in scored]


class Categories(GoldKind):
    """A set of labels of the complete document, which may be empty, as `Annotation.categories`."""

    name = "categories"
    noun = "labels"
    metric = DocumentMetric(
        main=Part(LabelSetF1, _label_sets),
        further={
            "calibration": Part(Calibration, _confidences),
            "label_ranking": Part(LabelSetRanking, _all_scores, overall=True),
        },
        details=CALIBRATION_DETAILS,
        paired=LabelSetBootstrap,
        scores=(
            Score("f1"),
            Score("precision"),
            Score("recall"),
            Score("macro_f1"),
            Score("weighted_f1"),
            Score("subset_accuracy"),
            Score("micro_average_precision"),
            Score("macro_average_precision"),
            Score("lrap"),
        ),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        MISSED: "a gold label that was not predicted",
        SPURIOUS: "a predicted label that is not gold",
    }
    pairs_shown = 10

    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of each category."""
        return [category.label for category in gold.categories]

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the label of each category."""
        return [Compared(category.label) for category in annotation.categories]

    def problem(self, gold: Annotation) -> str | None:
        """Accept gold without a label, unless it is a text to generate."""
        return "has no labels, only a text to generate. Add a list of labels" if self.has_only_text(gold) else None

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Leave out categories whose label the task does not know."""
        known = tuple(one for one in gold.categories if labels is None or one.label in labels)
        lost = [(Compared(one.label), UNKNOWN_LABEL) for one in gold.categories if one not in known]
        return Learnable(gold.model_copy(update={"categories": known}) if lost else gold, lost)

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the sets of labels."""
        found = {category.label: category for category in predicted.categories}
        wanted = {category.label: category for category in gold.categories}
        for label in sorted(found.keys() | wanted.keys()):
            kind = None if label in found and label in wanted else SPURIOUS if label in found else MISSED
            yield Mistake(kind, wanted.get(label), found.get(label))
