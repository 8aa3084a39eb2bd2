"""Predictions as suggestions, in the format of an annotation tool."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_training.annotate.uncertainty import SORTS, Sort, decision_probabilities, uncertainty
from nlp_training.data.formats import named_format, write_documents
from nlp_training.data.formats.parts import leave_out, own_metadata
from nlp_training.data_report.near_duplicates import NearDuplicates, NearText

ORIGINAL, UNCERTAINTY, NEEDS = "original_id", "uncertainty", "needs"
"""Metadata of a suggestion: the id of the document, its uncertainty, and the kind of gold of the task."""

_DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was written.

    Attributes:
        out: the file or folder for the tool.
        suggestions: the file with the suggestions, which the corrections are joined with.
        documents: how many documents were written.
        annotated: how many were left out because they have gold.
        similar: how many come last because they resemble a more uncertain one.
    """

    out: Path
    suggestions: Path
    documents: int
    annotated: int
    similar: int


class _Scored(NamedTuple):
    document: Document
    uncertainty: float


def annotate(
    predictor: Predictor,
    documents: Sequence[Document],
    out: Path,
    *,
    format_name: str,
    sort: Sort = "entropy",
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Suggested:
    """Write predictions as suggestions for correction, the most uncertain texts first.

    Documents with gold are left out, so that a suggestion is never mixed with gold. A text that resembles a more
    uncertain one comes after all others. The suggestions are also written to a file next to `out`, because most
    tools keep only what annotators change.

    Args:
        predictor: the model.
        documents: the documents, without gold or with it.
        out: a file, or a folder for formats with a file for each document.
        format_name: the format of the tool, such as `label-studio`, `doccano`, `prodigy` or `brat`.
        sort: see `Sort`.
        limit: the most documents to write; `None` means all.
        seed: of `random`.
        overwrite: whether existing files are replaced.

    Raises:
        InvalidSpecError: there is no such order, or predictions of the task have no probabilities.
        OutputError: a file exists.
        InvalidDocumentError: the format cannot store a prediction.
    """
    if sort not in SORTS:
        raise InvalidSpecError(f"sort is {sort!r}, expected one of {', '.join(SORTS)}")
    chosen = named_format(format_name)
    sidecar = suggestions_file(out)
    if existing := [path for path in (out, sidecar) if path.exists() and not overwrite]:
        raise OutputError(f"{str(existing[0])!r} exists; choose another path, or pass --overwrite (overwrite=True)")
    task = predictor.processor.task
    open_ = [task.as_input(document) for document in documents if document.gold is None]
    ordered, similar = _ordered(list(_scored(predictor, open_, sort)), sort, seed)
    kept = ordered[:limit]
    suggestions = [_suggestion(one, number, task.needs) for number, one in enumerate(kept)]
    in_tool = (_for_tool(one, keeps_predictions=chosen.keeps_predictions) for one in suggestions)
    write_documents(in_tool, out, format_name=format_name)
    write_documents(suggestions, sidecar, format_name="jsonl")
    return Suggested(out, sidecar, len(kept), len(documents) - len(open_), similar)


def suggestions_file(out: Path) -> Path:
    """Return the path of the suggestions that belong to a file or folder of a tool.

    Example:
        >>> suggestions_file(Path("tasks.json")).name
        'tasks.suggestions.jsonl'
    """
    return out.with_name(f"{out.stem}.suggestions.jsonl")


def _scored(predictor: Predictor, documents: Sequence[Document], sort: Sort) -> Iterator[_Scored]:
    """Predict documents, with the uncertainty of each."""
    processor = predictor.processor
    for start in range(0, len(documents), _DOCUMENTS_AT_ONCE):
        outputs = list(predictor.model_outputs(documents[start : start + _DOCUMENTS_AT_ONCE]))
        for one, document in zip(outputs, processor.interpret_outputs(outputs), strict=True):
            value = 0.0 if sort == "random" else uncertainty(decision_probabilities(processor.task, one), sort)
            yield _Scored(processor.postprocess(document), value)


def _ordered(scored: list[_Scored], sort: Sort, seed: int) -> tuple[list[_Scored], int]:
    """Return the documents in their order, those that resemble an earlier one last, and how many these are."""
    if sort == "random":
        Random(seed).shuffle(scored)  # noqa: S311 - no secret
    else:
        scored.sort(key=lambda one: -one.uncertainty)
    near = NearDuplicates(lambda position: scored[position].document.raw_text)
    near.add([NearText(one.document.raw_text, position) for position, one in enumerate(scored)], group=0)
    similar = {found.position for found in near.find()}
    exact: set[str] = set()
    for position, one in enumerate(scored):
        if one.document.raw_text in exact:
            similar.add(position)
        exact.add(one.document.raw_text)
    first = [one for position, one in enumerate(scored) if position not in similar]
    return [*first, *(scored[position] for position in sorted(similar))], len(similar)


def _suggestion(scored: _Scored, number: int, needs: Any) -> Document:
    """Return a document with its prediction, without scores, under an id that sorts by uncertainty."""
    document = scored.document
    texts = {"raw_text": document.raw_text, "raw_text_pair": document.raw_text_pair}
    plain = leave_out(Document(**texts, gold=document.predicted or Annotation()), {"scores"}).gold or Annotation()
    metadata = {
        **own_metadata(document),
        ORIGINAL: document.id,
        UNCERTAINTY: round(scored.uncertainty, 6),
        NEEDS: needs,
    }
    predicted = plain.model_copy(update={"label_scores": {}})
    return Document(**texts, id=f"{number:06}", predicted=predicted, metadata=metadata)


def _for_tool(suggestion: Document, *, keeps_predictions: bool) -> Document:
    """Return what a tool imports: the prediction, or annotations to correct where a tool has no predictions."""
    fields: dict[str, Any] = {"predicted" if keeps_predictions else "gold": suggestion.predicted}
    return Document(id=suggestion.id, raw_text=suggestion.raw_text, raw_text_pair=suggestion.raw_text_pair, **fields)
