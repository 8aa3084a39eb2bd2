"""Corrected suggestions: joined with what was suggested, and where people corrected the model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nlp_inference import Annotation, Document
from nlp_inference.registry import Spec
from nlp_training.annotate.suggest import NEEDS, ORIGINAL
from nlp_training.data.errors import InvalidDataError
from nlp_training.gold import gold_kind

_SHOWN = 25


@dataclass
class Corrections:
    """How many suggestions annotators kept and corrected.

    Attributes:
        documents: documents with a correction and a suggestion.
        untouched: those in which nothing was changed, because someone agreed, or because nobody opened them.
        kept: suggestions that stayed, by label.
        changed: corrections by kind, label that was suggested, and label that annotators gave; `None` for nothing.
        unreviewed: documents that nobody annotated.
    """

    documents: int = 0
    untouched: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    changed: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)
    unreviewed: int = 0


def join_suggestions(documents: Iterable[Document], suggestions: Sequence[Document]) -> Iterator[Document]:
    """Yield corrected documents with both sides: `gold` is the correction, and `predicted` what was suggested.

    They are found by the id that was written, or else by the text, because some tools give new ids. The ids of the
    original documents are restored.

    Args:
        documents: what the tool exported.
        suggestions: what `annotate` wrote next to the file of the tool.

    Raises:
        InvalidDataError: a document was not among those that were suggested.
    """
    by_id = {one.id: one for one in suggestions}
    by_text = {(one.raw_text, one.raw_text_pair): one for one in suggestions}
    for document in documents:
        texts = document.raw_text, document.raw_text_pair
        found = by_id.get(document.id)
        if found is None or (found.raw_text, found.raw_text_pair) != texts:
            found = by_text.get(texts)
        if found is None:
            raise InvalidDataError(
                f"document {document.id!r} is not among the {len(suggestions)} suggestions; give the file that belongs "
                "to it, or convert it without --suggestions"
            )
        metadata = {**found.metadata, **document.metadata}
        original = metadata.pop(ORIGINAL, None)
        metadata.pop(NEEDS, None)
        name = document.id if original is None else str(original)
        yield document.model_copy(update={"id": name, "predicted": found.predicted, "metadata": metadata})


def is_unchanged(document: Document) -> bool:
    """Return whether a document has the annotation that was suggested: someone agreed, or nobody opened it.

    Example:
        >>> is_unchanged(Document(raw_text="Ana", gold=Annotation(), predicted=Annotation()))
        True
    """
    return document.gold is not None and document.gold == document.predicted


def count_corrections(documents: Iterable[Document], *, needs: Spec) -> Corrections:
    """Compare corrections with suggestions.

    Args:
        documents: from `join_suggestions`.
        needs: the kind of gold of the task that suggested them; suggestions have it in their metadata.
    """
    found = Corrections()
    kind = gold_kind(needs)
    for document in documents:
        if document.gold is None:
            found.unreviewed += 1
            continue
        before = found.changed.total()
        for one in kind.find_mistakes(document.predicted or Annotation(), document.gold):
            suggested, given = (None if side is None else side.label for side in (one.predicted, one.gold))
            if one.name is None:
                found.kept[str(given)] += 1
            else:
                found.changed[one.name, suggested, given] += 1
        found.documents += 1
        found.untouched += found.changed.total() == before
    return found


def correction_tables(found: Corrections) -> list[Text | Table]:
    """Return a summary, and a table of the most frequent corrections."""
    total = found.kept.total() + found.changed.total()
    share = f"{found.kept.total() / total:.1%}" if total else "none"
    summary = (
        f"{found.documents:,} documents are annotated, {found.untouched:,} of them as suggested (agreed with, or not "
        f"opened); {share} of {total:,} annotations are as suggested; {found.unreviewed:,} documents are not annotated"
    )
    table = Table("correction", "suggested", "corrected", "times")
    table.columns[3].justify = "right"
    for (name, suggested, given), count in found.changed.most_common(_SHOWN):
        table.add_row(name, escape(suggested or "—"), escape(given or "—"), f"{count:,}")
    return [Text(summary, style="bold"), *([table] if found.changed else [])]
