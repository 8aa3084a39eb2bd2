"""Concatenation of two documents."""

from random import Random
from typing import Literal

from pydantic import PositiveInt

from nlp_inference.document import Annotation, Document, Relation, Span
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment.base import Augmentation, Rewrite
from nlp_training.augment.corpus import Corpus

_TRIES = 8


class JoinDocuments(Augmentation):
    """Append another training document with its gold.

    Only documents with the same categories and values and without a text pair are joined.

    Args:
        probability: the probability that a document is changed.
        texts: only documents without a text pair are joined.
        max_characters: the maximum length of the new text; it should fit into one window.
        separator: the white space between the texts.

    Raises:
        InvalidSpecError: the separator is not white space.

    Example:
        >>> from nlp_training.augment import Augmenter
        >>> train = [Document(raw_text="One."), Document(raw_text="Two.")]
        >>> Augmenter([JoinDocuments(probability=1)], train)(train[0], epoch=0).document.raw_text
        'One.\\nTwo.'
    """

    name = "join_documents"

    texts: Literal["first"] = "first"
    max_characters: PositiveInt = 1_000
    separator: str = "\n"

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Rewrite:
        """Return one insertion at the end, and the gold of both."""
        partners = corpus.partners(document) if document.raw_text_pair is None else ()
        room = self.max_characters - len(document.raw_text) - len(self.separator)
        for _ in range(_TRIES if partners else 0):
            other = rng.choice(partners)
            if 0 < len(other.raw_text) <= room and other.raw_text != document.raw_text:
                end = len(document.raw_text)
                gold = _joined(document.gold, other.gold, shift=end + len(self.separator))
                return Rewrite((Edit(end, end, f"{self.separator}{other.raw_text}"),), gold)
        return Rewrite((), document.gold)


def _joined(first: Annotation | None, second: Annotation | None, *, shift: int) -> Annotation | None:
    if first is None or second is None:
        return first
    spans = [_shifted(span, shift) for span in second.spans]
    count = len(first.spans)
    relations = [
        Relation(head=one.head + count, tail=one.tail + count, label=one.label, score=one.score)
        for one in second.relations
    ]
    heads = {name: _joined(one, second.heads[name], shift=shift) for name, one in first.heads.items()}
    return first.model_copy(
        update={"spans": (*first.spans, *spans), "relations": (*first.relations, *relations), "heads": heads}
    )


def _shifted(span: Span, shift: int) -> Span:
    return span.model_copy(update={"start": span.start + shift, "end": span.end + shift})
