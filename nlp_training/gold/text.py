"""One generated text: a summary, a translation, a correction."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document
from nlp_training.gold.base import MISSED, Compared, GoldKind, Learnable, Mistake, WrittenText
from nlp_training.metrics import DocumentMetric, TextBootstrap, TextOverlap
from nlp_training.metrics.documents import Part, Score
from nlp_training.metrics.text_comparison import chrf, chrf_counts, with_single_spaces

TEXT = "text"
"""The label under which texts are counted."""

OTHER_TEXT = "another text"


def _texts(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return _first(document.predicted or Annotation()), _first(gold)


def _first(annotation: Annotation) -> str:
    return annotation.generated[0] if annotation.generated else ""


class Text(GoldKind):
    """Exactly one text, the first of `Annotation.generated`."""

    name = "text"
    noun = "texts"
    metric = DocumentMetric(
        main=Part(TextOverlap, _texts),
        further={},
        paired=TextBootstrap,
        scores=(
            Score("chrf"),
            Score("rouge1"),
            Score("rouge2"),
            Score("rougeL"),
            Score("exact_match"),
            Score("wer", greater_is_better=False),
            Score("cer", greater_is_better=False),
        ),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        OTHER_TEXT: "a text that differs from gold, the least similar first (chrF)",
        MISSED: "gold has a text, the prediction is empty",
    }
    pairs_shown = 1
    examples_shown = 20
    confuses_labels = False
    learned_settings = ()

    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of each text."""
        return [TEXT] * len(gold.generated)

    def numbers(self, annotation: Annotation) -> Mapping[str, float]:
        """Return the length of the text in characters."""
        return {"characters": float(len(_first(annotation)))} if annotation.generated else {}

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the first text, with single spaces."""
        return [Compared(TEXT, text=with_single_spaces(text)) for text in annotation.generated[:1]]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a text, with several, or with a blank one."""
        if not gold.generated:
            labels = [*(one.label for one in gold.categories), *(one.label for one in gold.spans)]
            found = f", only {', '.join(map(repr, labels))}" if labels else ""
            return f"has no text to learn{found}. Give a target, name its column, or choose a task that learns labels"
        if len(gold.generated) > 1:
            return f"needs exactly one text, but has {len(gold.generated)}. Keep one of them"
        return None if gold.generated[0].strip() else "has a target that is empty. Write a text, or remove the document"

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Keep the gold if it has exactly one text."""
        if len(gold.generated) == 1:
            return Learnable(gold, [])
        cause = f"one of {len(gold.generated)} texts, but the task learns exactly one"
        return Learnable(None, [(Compared(TEXT, text=text), cause) for text in gold.generated])

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the text with gold; the score is how far it is from gold, 1 less chrF."""
        found, wanted = _first(predicted), _first(gold)
        if not gold.generated:
            return
        distance = 1 - float(chrf(chrf_counts(found, wanted)))
        same = with_single_spaces(found) == with_single_spaces(wanted)
        name = None if same else OTHER_TEXT if found.strip() else MISSED
        yield Mistake(name, WrittenText(TEXT, wanted), WrittenText(TEXT, found, score=distance) if found else None)
