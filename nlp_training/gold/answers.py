"""The answers to a question: spans of the context, any of which is right, or none."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document
from nlp_inference.tasks.question_answering import ANSWER
from nlp_training.gold.base import MISSED, SPURIOUS, Compared, GoldKind, Learnable, Mistake
from nlp_training.metrics import AnswerBootstrap, AnswerF1, Calibration, DocumentMetric
from nlp_training.metrics.answers import exact_match
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score

WRONG_ANSWER = "wrong answer"


def _texts(document: Document, gold: Annotation) -> tuple[Any, Any]:
    predicted = (document.predicted or Annotation()).spans[:1]
    found = document.surface(predicted[0]) if predicted else ""
    return found, list(dict.fromkeys(document.surface(span) for span in gold.spans))


def _confidence(document: Document, gold: Annotation) -> tuple[Any, Any]:
    best = (document.predicted or Annotation()).spans[:1]
    if not best or best[0].score is None:
        return [], []
    return [best[0].score], [int(exact_match(*_texts(document, gold)))]


class Answers(GoldKind):
    """Spans with the label `answer`, each of which is an accepted answer; none if the question has no answer."""

    name = "answers"
    noun = "answers"
    has_spans = True
    metric = DocumentMetric(
        main=Part(AnswerF1, _texts),
        further={"calibration": Part(Calibration, _confidence)},
        details=CALIBRATION_DETAILS,
        paired=AnswerBootstrap,
        scores=(Score("f1"), Score("exact_match")),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        WRONG_ANSWER: "another answer than the accepted ones",
        MISSED: "the context contains an answer, and none was predicted",
        SPURIOUS: "an answer was predicted, and the context contains none",
    }
    pairs_shown = 1
    learned_settings = ()

    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of the answer; questions without an answer have none."""
        return [ANSWER] if gold.spans else []

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return label, start and end of the first answer."""
        return [Compared(span.label, span.start, span.end) for span in annotation.spans[:1]]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a list of answers, and spans with another label."""
        if "spans" not in gold.model_fields_set:
            return "has no answers. Give a list of answers, which is empty for a question without an answer"
        other = next((span.label for span in gold.spans if span.label != ANSWER), None)
        return None if other is None else f"has a span with the label {other!r}; answers have the label {ANSWER!r}"

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Keep the first answer: a prediction contains one of the accepted answers."""
        return Learnable(gold.model_copy(update={"spans": gold.spans[:1], "relations": ()}), [])

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the best predicted answer with the accepted ones."""
        found = predicted.spans[0] if predicted.spans else None
        if found is None and not gold.spans:
            return
        accepted = next((one for one in gold.spans if found and (one.start, one.end) == (found.start, found.end)), None)
        wanted = accepted or (gold.spans[0] if gold.spans else None)
        name = None if accepted else MISSED if found is None else SPURIOUS if wanted is None else WRONG_ANSWER
        yield Mistake(name, wanted, found)
