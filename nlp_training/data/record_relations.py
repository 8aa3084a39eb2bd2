"""Relations in a record of a data set: `{head, tail, label}`, which refer to spans by their position or their id."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nlp_inference.document import Relation
from nlp_inference.errors import InvalidDocumentError


def are_relations(given: Any) -> bool:
    """Return whether a value may be a list of relations in this form, and not in that of another tool, without tails.

    Example:
        >>> are_relations([{"head": 0, "tail": 1, "label": "in"}]), are_relations([{"from_id": 7, "to_id": 9}])
        (True, False)
    """
    if not isinstance(given, list | tuple) or not given:
        return True
    return any(isinstance(one, Mapping) and "tail" in one for one in given)


def read_relations(given: Any, spans: Any) -> Iterator[Relation]:
    """Yield the relations of a record.

    Args:
        given: the value of `relations`.
        spans: the value of `spans`. If all spans have an `id`, heads and tails are ids, otherwise positions.

    Raises:
        InvalidDocumentError: a relation is not valid, or refers to a span that does not exist.

    Example:
        >>> spans = [{"id": "a", "start": 0, "end": 3, "label": "X"}, {"id": "b", "start": 4, "end": 8, "label": "Y"}]
        >>> list(read_relations([{"head": "b", "tail": "a", "label": "of"}], spans))
        [Relation(head=1, tail=0, label='of', score=None)]
    """
    if not isinstance(given, list | tuple):
        raise InvalidDocumentError(f"relations is {given!r}; write a list of {{head, tail, label}}, maybe empty")
    if given and not isinstance(spans, list | tuple):
        raise InvalidDocumentError("there are relations but no spans; write {text, spans, relations}")
    ids = [one.get("id") if isinstance(one, Mapping) else None for one in spans]
    for index, relation in enumerate(given):
        if not isinstance(relation, Mapping) or not {"head", "tail", "label"} <= relation.keys():
            raise InvalidDocumentError(f"relation {index} is {relation!r}; write {{head, tail, label}}")
        head, tail = (_position_of(relation[end], ids, f"the {end} of relation {index}") for end in ("head", "tail"))
        label = relation["label"]
        if not isinstance(label, str) or not label.strip():
            raise InvalidDocumentError(f"the label of relation {index} is {label!r}; write its name")
        yield Relation(head=head, tail=tail, label=label)


def _position_of(given: Any, ids: Sequence[Any], name: str) -> int:
    """Return the position of a span that is given by its position or by its id."""
    if ids and all(one is not None for one in ids):
        if ids.count(given) == 1:
            return ids.index(given)
        problem = "is the id of several spans" if given in ids else "is not the id of a span"
        raise InvalidDocumentError(f"{name} is {given!r}, which {problem}; the ids are {', '.join(map(repr, ids))}")
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < len(ids):
        raise InvalidDocumentError(
            f"{name} is {given!r}; write the position of one of the {len(ids)} spans, starting at 0, or give all "
            "spans an id and write that"
        )
    return given
