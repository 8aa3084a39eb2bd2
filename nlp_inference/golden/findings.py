"""What two predictions of one document have in common, finding by finding."""

from typing import NamedTuple

from nlp_inference.document import Annotation, Document, FailedDocument
from nlp_inference.golden.tolerance import ValueUnit, one_unit

Result = Document | FailedDocument

Findings = dict[tuple[str, str], float | None]
"""Scores by place and label."""


class Comparison(NamedTuple):
    """How many findings each of two predictions has alone, and how far the scores of the common ones lie apart.

    `differs` says whether there are any that one has alone, or whether one of the two failed, or of something else.
    """

    differs: bool
    only_first: int = 0
    only_second: int = 0
    other_label: int = 0
    score_difference: float = 0.0


def compare_results(one: Result, other: Result, *, unit: ValueUnit = one_unit) -> Comparison:
    """Compare two predictions of one document; differences of values are in units of `Task.value_unit`.

    Example:
        >>> from nlp_inference.document import Span
        >>> def found(*spans):
        ...     annotation = Annotation(spans=tuple(Span(start=a, end=b, label=c, score=d) for a, b, c, d in spans))
        ...     return Document(raw_text="Ana lives in Rome", predicted=annotation)
        >>> compare_results(found((0, 3, "PERSON", 0.75)), found((0, 3, "PERSON", 0.5)))
        Comparison(differs=False, only_first=0, only_second=0, other_label=0, score_difference=0.25)
        >>> compare_results(found((0, 3, "PERSON", 0.9)), found((0, 3, "CITY", 0.9), (13, 17, "CITY", 0.9)))
        Comparison(differs=True, only_first=0, only_second=1, other_label=1, score_difference=0.0)
    """
    if isinstance(one, FailedDocument) or isinstance(other, FailedDocument):
        errors = [result.error if isinstance(result, FailedDocument) else None for result in (one, other)]
        return Comparison(differs=errors[0] != errors[1])
    first, second = _findings(one), _findings(other)
    alone = [place for place, label in first if (place, label) not in second]
    there = [place for place, label in second if (place, label) not in first]
    relabelled = len(set(alone) & set(there))
    pairs = [(score, second[key]) for key, score in first.items() if key in second and key[1]]
    mine, theirs = ((document.predicted or Annotation()).values for document in (one, other))
    pairs += [
        (value / unit(name, value), theirs[name] / unit(name, value)) for name, value in mine.items() if name in theirs
    ]
    return Comparison(
        differs=bool(alone or there),
        only_first=len(alone) - relabelled,
        only_second=len(there) - relabelled,
        other_label=relabelled,
        score_difference=max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0),
    )


def _findings(document: Document) -> Findings:
    annotation = document.predicted or Annotation()
    found: Findings = {(f"{span.start}:{span.end}", span.label): span.score for span in annotation.spans}
    found |= {(f"category {rank}", one.label): one.score for rank, one in enumerate(annotation.categories)}
    for relation in annotation.relations:
        head, tail = (annotation.spans[index] for index in (relation.head, relation.tail))
        found[f"{head.start}:{head.end} to {tail.start}:{tail.end}", relation.label] = relation.score
    found |= {(f"value {name}", ""): value for name, value in annotation.values.items()}
    found |= {(f"text {rank}", text): None for rank, text in enumerate(annotation.generated)}
    return found
