"""Comparison of two predictions of one document, finding by finding."""

from typing import NamedTuple

from nlp_inference.document import Annotation, Document, FailedDocument
from nlp_inference.document.annotation import qualified
from nlp_inference.golden.tolerance import ValueUnit, one_unit

Result = Document | FailedDocument

Findings = dict[tuple[str, str], float | None]
"""Scores by position and label."""


class FindingsComparison(NamedTuple):
    """The number of findings that only one of two predictions has, and the largest score difference of the others."""

    differs: bool
    """Whether a finding is in one prediction only, one of the two failed, or both failed with different errors."""
    only_first: int = 0
    only_second: int = 0
    other_label: int = 0
    score_difference: float = 0.0


def compare_results(one: Result, other: Result, *, unit: ValueUnit = one_unit) -> FindingsComparison:
    """Compare two predictions of one document; differences of values are in units of `Task.value_unit`.

    Example:
        >>> from nlp_inference.document import Span
        >>> def found(*spans):
        ...     annotation = Annotation(spans=tuple(Span(start=a, end=b, label=c, score=d) for a, b, c, d in spans))
        ...     return Document(raw_text="Ana lives in Rome", predicted=annotation)
        >>> compare_results(found((0, 3, "PERSON", 0.75)), found((0, 3, "PERSON", 0.5)))
        FindingsComparison(differs=False, only_first=0, only_second=0, other_label=0, score_difference=0.25)
        >>> compare_results(found((0, 3, "PERSON", 0.9)), found((0, 3, "CITY", 0.9), (13, 17, "CITY", 0.9)))
        FindingsComparison(differs=True, only_first=0, only_second=1, other_label=1, score_difference=0.0)
    """
    if isinstance(one, FailedDocument) or isinstance(other, FailedDocument):
        errors = [result.error if isinstance(result, FailedDocument) else None for result in (one, other)]
        return FindingsComparison(differs=errors[0] != errors[1])
    first, second = _findings(one), _findings(other)
    only_first = [position for position, label in first if (position, label) not in second]
    only_second = [position for position, label in second if (position, label) not in first]
    relabeled = len(set(only_first) & set(only_second))
    pairs = [(score, second[key]) for key, score in first.items() if key in second and key[1]]
    values, other_values = (_values(document) for document in (one, other))
    pairs += [
        (value / unit(name, value), other_values[name] / unit(name, value))
        for name, value in values.items()
        if name in other_values
    ]
    return FindingsComparison(
        differs=bool(only_first or only_second),
        only_first=len(only_first) - relabeled,
        only_second=len(only_second) - relabeled,
        other_label=relabeled,
        score_difference=max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0),
    )


def _values(document: Document) -> dict[str, float]:
    """Return the values of all heads, each with the name of its head."""
    heads = (document.predicted or Annotation()).of_all_heads()
    return {qualified(head, name): value for head, one in heads.items() for name, value in one.values.items()}


def _findings(document: Document) -> Findings:
    found: Findings = {}
    for head, annotation in (document.predicted or Annotation()).of_all_heads().items():
        of_head = _findings_of(annotation)
        found |= {(f"{head} {position}".lstrip(), label): score for (position, label), score in of_head.items()}
    return found


def _findings_of(annotation: Annotation) -> Findings:
    found: Findings = {(f"{span.start}:{span.end}", span.label): span.score for span in annotation.spans}
    found |= {(f"category {rank}", one.label): one.score for rank, one in enumerate(annotation.categories)}
    for relation in annotation.relations:
        head, tail = (annotation.spans[index] for index in (relation.head, relation.tail))
        found[f"{head.start}:{head.end} to {tail.start}:{tail.end}", relation.label] = relation.score
    found |= {(f"value {name}", ""): value for name, value in annotation.values.items()}
    found |= {(f"text {rank}", text): None for rank, text in enumerate(annotation.generated)}
    return found
