"""The effect of added preprocessing: its edits, and the predictions that it changes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.document import FailedDocument
from nlp_training.adopt.comparison import agreement
from nlp_training.adopt.plan import Plan


@dataclass(frozen=True, slots=True)
class ChangedText:
    """A text whose prediction preprocessing changes: without it, and with it."""

    without: Document
    served: Document


@dataclass
class Effect:
    """The effect of added preprocessing on the compared texts.

    Attributes:
        transforms: the names of the transforms, with the number of their edits.
        texts: the number of texts.
        edited: how many of them were edited.
        changed: those whose predictions differ.
    """

    transforms: Counter[str]
    texts: int = 0
    edited: int = 0
    changed: list[ChangedText] = field(default_factory=list)


def effect_of(plan: Plan, predictor: Predictor, documents: Sequence[Document]) -> Effect:
    """Predict documents with and without the transforms that the user added.

    Args:
        plan: the plan of the adoption.
        predictor: with the final processor.
        documents: documents without gold.
    """
    without = plan.without_preprocessing(predictor.processor)
    added = [step.name for step in predictor.processor.preprocess][len(plan.needed) :]
    effect = Effect(Counter(dict.fromkeys(added, 0)))
    plain = predictor.with_processor(without).stream(documents, on_error="record")
    for one, other in zip(predictor.stream(documents, on_error="record"), plain, strict=True):
        if isinstance(one, FailedDocument) or isinstance(other, FailedDocument):
            continue
        effect.texts += 1
        records = [record for record in (*one.edits, *one.edits_pair) if record.transform in effect.transforms]
        effect.edited += bool(records)
        for record in records:
            effect.transforms[record.transform] += len(record.edits)
        common, total = agreement(other.predicted or Annotation(), one.predicted or Annotation())
        if common < total:
            effect.changed.append(ChangedText(other, one))
    return effect
