"""The training documents as a source for augmentations: the texts of their spans, and complete documents."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from nlp_inference._utils.cached import cached
from nlp_inference.document import Document


class Corpus:
    """The training documents, sorted so that draws do not depend on their order.

    Args:
        documents: documents with gold.

    Example:
        >>> from nlp_inference.document import Annotation, Span
        >>> gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
        >>> corpus = Corpus([Document(raw_text=text, gold=gold) for text in ("Rome now", "Oslo", "Rome")])
        >>> corpus.surfaces["CITY"]
        ('Oslo', 'Rome')
    """

    def __init__(self, documents: Sequence[Document] = ()) -> None:
        self.documents = documents

    @cached
    def surfaces(self) -> Mapping[str, tuple[str, ...]]:
        """The unique texts of the gold spans by label, without those with white space at an edge."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for document in self.documents:
            for span in document.gold.all_spans() if document.gold else ():
                surface = document.surface(span)
                if surface == surface.strip():
                    found[span.label].add(surface)
        return {label: tuple(sorted(surfaces)) for label, surfaces in found.items()}

    def partners(self, document: Document) -> Sequence[Document]:
        """Return the documents with the same categories and values as `document`, for the same heads."""
        return self._by_statement.get(_statement(document), ())

    @cached
    def _by_statement(self) -> Mapping[str, Sequence[Document]]:
        groups: defaultdict[str, list[Document]] = defaultdict(list)
        for document in sorted(self.documents, key=lambda one: (one.id or "", one.raw_text)):
            if document.raw_text_pair is None:
                groups[_statement(document)].append(document)
        return groups


def _statement(document: Document) -> str:
    """Return the document-level gold of all heads as a key."""
    heads = {} if document.gold is None else document.gold.of_all_heads()
    parts = {head: one.model_dump_json(exclude={"spans", "relations", "heads"}) for head, one in heads.items()}
    return json.dumps(parts, sort_keys=True)
