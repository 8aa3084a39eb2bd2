"""Comparison of two records of one document: the first stage that differs, and the position in it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Annotation, FailedDocument
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.golden.compare_outputs import RecordMismatch, find_in_logits
from nlp_inference.golden.schema import (
    STAGES,
    Edits,
    Failed,
    Final,
    GoldenRecord,
    Integers,
    Stage,
    Tokens,
    WindowRow,
)
from nlp_inference.golden.tolerance import Tolerance, ValueUnit, one_unit, unit_of_head

_SINCE_2 = ("deleted", "deleted_pair", "unknown", "unknown_pair", "imprecise")
"""Fields of the coverage that version 2 added."""

_CHANGED_IN_3 = ("unread", "unread_pair", "deleted", "deleted_pair", "unknown", "unknown_pair")
"""Fields of the coverage whose meaning version 3 changed, in addition to `read`."""

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class Difference(BaseModel):
    """The first stage at which a document differs from its record.

    Attributes:
        record: the id of the document.
        stage: the stage that differs.
        where: the position in the stage.
        expected, actual: the recorded and the current value there; `None` if there is none.
        expected_stage, actual_stage: the complete output of the stage.
    """

    model_config = ConfigDict(frozen=True)

    record: str
    stage: Stage
    where: str
    expected: JsonValue
    actual: JsonValue
    expected_stage: JsonValue = None
    actual_stage: JsonValue = None

    def __str__(self) -> str:
        both = f"recorded {_shown(self.expected)}, now {_shown(self.actual)}"
        return f"document {self.record!r} differs in {self.stage!r}: {self.where}: {both}"


def first_difference(
    expected: GoldenRecord,
    actual: GoldenRecord,
    tolerance: Tolerance,
    *,
    failure: str = "",
    unit: ValueUnit = one_unit,
) -> Difference | None:
    """Compare two records stage by stage.

    Args:
        expected: the recorded one.
        actual: the current one.
        tolerance: of logits and scores.
        failure: the message of the current error, if the document failed.
        unit: returns the unit of differences of values; `Task.value_unit`.
    """
    of_values = {"decoded": partial(_in_annotation, unit=unit), "final": partial(_in_final, unit=unit)}
    for stage in STAGES[:-1]:
        one, other = getattr(expected, stage), getattr(actual, stage)
        mismatch = _failures(expected, actual, stage, failure)
        if mismatch is not None and mismatch.expected == mismatch.actual:
            return None
        if mismatch is None and one is not None and other is not None:
            mismatch = of_values.get(stage, _FINDERS[stage])(one, other, tolerance)
        if mismatch is not None:
            return _difference(expected.id, stage, mismatch, (one, other))
    return None


def _failures(expected: GoldenRecord, actual: GoldenRecord, stage: Stage, failure: str) -> RecordMismatch | None:
    """Return the errors of both records at a stage, or `None` if neither failed there."""
    one, other = (_failed_at(record, stage) for record in (expected, actual))
    if one is None and other is None:
        return None
    if one is not None and other is not None and one.error == other.error:
        return RecordMismatch("an error", one.error, other.error)
    found = None if other is None else f"{other.error}: {failure}"
    return RecordMismatch("an error", one.error if one is not None else None, found)


def batched_difference(
    expected: GoldenRecord, actual: Final | FailedDocument, tolerance: Tolerance, *, unit: ValueUnit = one_unit
) -> Difference | None:
    """Compare the prediction of a document in a production batch with its record."""
    if isinstance(actual, FailedDocument):
        same = expected.failed is not None and expected.failed.error == actual.error
        error = None if expected.failed is None else expected.failed.error
        mismatch = None if same else RecordMismatch("an error", error, f"{actual.error}: {actual.message}")
        return mismatch and _difference(expected.id, "batched", mismatch, (expected.final, None))
    if expected.final is None:
        return _difference(expected.id, "batched", RecordMismatch("a prediction", None, actual), (None, actual))
    mismatch = _in_final(expected.final, actual, tolerance, unit=unit)
    return mismatch and _difference(expected.id, "batched", mismatch, (expected.final, actual))


def _failed_at(record: GoldenRecord, stage: Stage) -> Failed | None:
    return record.failed if record.failed is not None and record.failed.stage == stage else None


def _difference(record: str, stage: Stage, mismatch: RecordMismatch, stages: tuple[Any, Any]) -> Difference:
    values = {
        "expected": mismatch.expected,
        "actual": mismatch.actual,
        "expected_stage": stages[0],
        "actual_stage": stages[1],
    }
    dumped = {name: _JSON.dump_python(value, mode="json") for name, value in values.items()}
    return Difference(record=record, stage=stage, where=mismatch.where, **dumped)


def _in_edits(one: Edits, other: Edits, _: Tolerance) -> RecordMismatch | None:
    found = _in_edit_records(one.text, other.text)
    if found is not None or one.pair == other.pair:
        return found
    in_pair = _in_edit_records(one.pair, other.pair)
    return None if in_pair is None else in_pair._replace(where=f"text pair, {in_pair.where}")


def _in_edit_records(one: Sequence[EditRecord], other: Sequence[EditRecord]) -> RecordMismatch | None:
    for number, (expected, actual) in enumerate(zip_longest(one, other)):
        names = [record and f"{record.transform} (version {record.version})" for record in (expected, actual)]
        if names[0] != names[1]:
            return RecordMismatch(f"transform {number} of those that changed the text", *names)
        found = _first_unequal(expected.edits, actual.edits)
        if found is not None:
            return RecordMismatch(f"transform {expected.transform!r}, edit {found.where}", found.expected, found.actual)
    return None


def _in_ids(one: Tokens, other: Tokens, _: Tolerance) -> RecordMismatch | None:
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("token", one.ids, other.ids),
        ("text pair, token", one.pair_ids or (), other.pair_ids or ()),
    )
    for name, expected, actual in parts:
        found = _first_unequal(expected, actual)
        if found is not None:
            return found._replace(where=f"{name} {found.where}")
    arrays: tuple[tuple[str, Integers | None, Integers | None], ...] = (
        ("token offsets in the text", one.places, other.places),
        ("word starts", one.word_starts, other.word_starts),
        ("token offsets in the text pair", one.pair_places, other.pair_places),
    )
    return next((found for array in arrays if (found := _in_integers(*array)) is not None), None)


def _in_windows(one: Sequence[WindowRow], other: Sequence[WindowRow], _: Tolerance) -> RecordMismatch | None:
    for number, (expected, actual) in enumerate(zip_longest(one, other)):
        if expected is None or actual is None:
            return RecordMismatch("number of windows", len(one), len(other))
        for name in ("start", "end", "owned_start", "owned_end", "before", "after"):
            pair = getattr(expected, name), getattr(actual, name)
            if pair[0] != pair[1]:
                return RecordMismatch(f"window {number}, {name}", *pair)
        types = _in_integers(f"window {number}, token_type_ids", expected.token_type_ids, actual.token_type_ids)
        if types is not None:
            return types
    return None


def _in_integers(name: str, one: Integers | None, other: Integers | None) -> RecordMismatch | None:
    if one is None or other is None:
        return None if one is other else RecordMismatch(name, one, other)
    if one.shape == other.shape and one.digest == other.digest:
        return None
    if one.shape != other.shape:
        return RecordMismatch(f"{name}, shape", one.shape, other.shape)
    found = _first_unequal(one.head, other.head)
    if found is None:
        return RecordMismatch(f"{name}, after the first {len(one.head)} values, digest", one.digest, other.digest)
    return found._replace(where=f"{name}, value {found.where}")


def _in_annotation(
    one: Annotation, other: Annotation, tolerance: Tolerance, *, unit: ValueUnit = one_unit
) -> RecordMismatch | None:
    expected, actual = (found.model_dump(mode="json", exclude={"values", "heads"}) for found in (one, other))
    actual["categories"] = _ordered_like(expected["categories"], actual["categories"], tolerance.score)
    found = next(_unequal(expected, actual, tolerance.score), None) or next(
        _in_values(one, other, tolerance, unit), None
    )
    return found or next(_in_heads(one, other, tolerance, unit), None)


def _in_heads(one: Annotation, other: Annotation, tolerance: Tolerance, unit: ValueUnit) -> Iterator[RecordMismatch]:
    """Yield the first difference of each head."""
    for head in dict.fromkeys([*one.heads, *other.heads]):
        expected, actual = one.heads.get(head), other.heads.get(head)
        if expected is None or actual is None:
            yield RecordMismatch(f"heads.{head}", expected is not None, actual is not None)
        elif found := _in_annotation(expected, actual, tolerance, unit=partial(unit_of_head, unit, head)):
            yield found._replace(where=f"heads.{head}.{found.where}")


def _in_values(one: Annotation, other: Annotation, tolerance: Tolerance, unit: ValueUnit) -> Iterator[RecordMismatch]:
    """Yield the numbers that differ by more than the outputs that they are computed from may differ."""
    for name in dict.fromkeys([*one.values, *other.values]):
        expected, actual = one.values.get(name), other.values.get(name)
        if expected is None or actual is None or abs(expected - actual) > tolerance.absolute * unit(name, expected):
            yield RecordMismatch(f"values.{name}", expected, actual)


def _ordered_like(expected: list[Any], actual: list[Any], tolerance: float) -> list[Any]:
    """Restore the recorded order of the categories after the best one if their scores agree within the tolerance."""
    ranks = {category["label"]: rank for rank, category in enumerate(expected)}
    scores = [category["score"] or 0.0 for category in expected]
    if {category["label"] for category in actual} != set(ranks) or len(actual) != len(ranks):
        return actual
    distances = [abs(scores[rank] - scores[ranks[category["label"]]]) for rank, category in enumerate(actual)]
    if actual[:1] and ranks[actual[0]["label"]] == 0 and all(distance <= tolerance for distance in distances):
        return sorted(actual, key=lambda category: ranks[category["label"]])
    return actual


def _in_final(one: Final, other: Final, tolerance: Tolerance, *, unit: ValueUnit = one_unit) -> RecordMismatch | None:
    found = _in_annotation(one.annotation, other.annotation, tolerance, unit=unit)
    read, read_now = (_coverage(final, one.coverage_version) for final in (one, other))
    return found or next(_unequal(read, read_now, 0.0, "coverage"), None)


def _coverage(final: Final, version: int) -> Any:
    """Return the coverage without the fields that differ in a record of `version`."""
    changed: set[str] = set()
    if version < 3:
        changed |= {"read", *_CHANGED_IN_3}
    if version < 2:
        changed |= {*_SINCE_2}
    return None if final.coverage is None else final.coverage.model_dump(mode="json", exclude=changed)


def _unequal(one: Any, other: Any, tolerance: float, where: str = "") -> Iterator[RecordMismatch]:
    """Yield the differences of two JSON values; floats may differ by `tolerance`."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _unequal(one.get(key), other.get(key), tolerance, f"{where}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list):
        for index, (expected, actual) in enumerate(zip_longest(one, other)):
            yield from _unequal(expected, actual, tolerance, f"{where}[{index}]")
    elif isinstance(one, float) and isinstance(other, float):
        if abs(one - other) > tolerance:
            yield RecordMismatch(where, one, other)
    elif one != other:
        yield RecordMismatch(where, one, other)


def _first_unequal(one: Sequence[Any], other: Sequence[Any]) -> RecordMismatch | None:
    for index, (expected, actual) in enumerate(zip_longest(one, other)):
        if expected != actual:
            return RecordMismatch(str(index), expected, actual)
    return None


_FINDERS: dict[Stage, Callable[[Any, Any, Tolerance], RecordMismatch | None]] = {
    "edits": _in_edits,
    "ids": _in_ids,
    "windows": _in_windows,
    "logits": find_in_logits,
    "decoded": _in_annotation,
    "final": _in_final,
}


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else shorten(repr(value), width=120)
