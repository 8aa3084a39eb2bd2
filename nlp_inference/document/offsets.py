"""Conversion of offsets to UTF-16 code units (JavaScript, Java, C#) and UTF-8 bytes (Go, Rust).

In Python and in a Document, an offset counts code points. A character outside the Basic Multilingual Plane, such as
most emoji, is one code point, two UTF-16 code units and four bytes of UTF-8; see chapter 2.5 of the Unicode standard,
https://www.unicode.org/versions/latest/.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document.aligned_text import apply_edits, make_edit
from nlp_inference.errors import InvalidDocumentError

OffsetUnit = Literal["codepoint", "utf-16", "utf-8"]
"""The unit of an offset."""

_CODECS = {"codepoint": ("utf-32-le", 4), "utf-16": ("utf-16-le", 2), "utf-8": ("utf-8", 1)}
_LARGER_FROM = {"codepoint": (), "utf-16": (0x10000,), "utf-8": (0x80, 0x800, 0x10000)}
"""The code points from which a character has one more unit."""


class OffsetMap:
    """The map between code points of a text and the units of an encoding, computed in one pass over the text.

    Args:
        text: the text.
        unit: the unit of the other offsets.

    Example:
        >>> offsets = OffsetMap("😀 Ana", "utf-16")
        >>> offsets.to_unit([2, 5]), offsets.to_code_points([3, 6])
        ([3, 6], [2, 5])
    """

    def __init__(self, text: str, unit: OffsetUnit) -> None:
        if unit not in _CODECS:
            raise ValueError(f"unknown offset unit {unit!r}; expected one of {', '.join(_CODECS)}")
        self.unit = unit
        self._before: NDArray[np.int64] | None = None  # `[characters + 1]`, units before each code point
        self._length = len(text)
        if _LARGER_FROM[unit] and not text.isascii():
            codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
            sizes = np.ones(len(codes), dtype=np.int64)
            for first in _LARGER_FROM[unit]:
                sizes += codes >= first
            self._before = np.append(0, sizes.cumsum())

    def to_unit(self, offsets: Sequence[int]) -> list[int]:
        """Convert offsets in code points to offsets in the unit.

        Raises:
            InvalidDocumentError: an offset is outside the text.
        """
        self._check(offsets, self._length)
        return list(offsets) if self._before is None else self._before[np.array(offsets, dtype=np.int64)].tolist()

    def to_code_points(self, offsets: Sequence[int]) -> list[int]:
        """Convert offsets in the unit to offsets in code points.

        Raises:
            InvalidDocumentError: an offset is outside the text or inside a character.
        """
        before = self._before
        if before is None:
            self._check(offsets, self._length)
            return list(offsets)
        self._check(offsets, int(before[-1]))
        found: list[int] = np.searchsorted(before, np.array(offsets, dtype=np.int64)).tolist()
        for offset, index in zip(offsets, found, strict=True):
            if before[index] != offset:
                raise InvalidDocumentError(
                    f"the {self.unit} offset {offset} is inside character {index - 1}; expected an offset that "
                    f"counts {self.unit} units of this text"
                )
        return found

    def _check(self, offsets: Sequence[int], length: int) -> None:
        wrong = next((offset for offset in offsets if not 0 <= offset <= length), None)
        if wrong is not None:
            raise InvalidDocumentError(f"offset {wrong} is outside the text, which ends at {length}")


def unit_offset(text: str, offset: int, unit: OffsetUnit) -> int:
    """Convert one offset in code points to an offset in the unit, reading only the text before it."""
    codec, size = _CODECS[unit]
    if not 0 <= offset <= len(text):
        raise InvalidDocumentError(f"offset {offset} is outside the text, which ends at {len(text)}")
    return offset if text.isascii() else len(text[:offset].encode(codec)) // size


def converted(content: Mapping[str, Any], unit: OffsetUnit, *, back: bool = False) -> dict[str, Any]:
    """Return the JSON fields of a Document with every offset in another unit.

    Args:
        content: the result of `Document.model_dump(mode="json")`, which is not modified.
        unit: the new unit of the offsets, or with `back` their current unit.
        back: whether to convert the offsets back to code points.
    """
    fields = dict(content)
    text = OffsetMap(fields["raw_text"], unit)
    for name in ("gold", "predicted"):
        if (annotation := fields.get(name)) is not None:
            fields[name] = _annotation(annotation, text, back=back)
    for suffix in ("", "_pair"):
        raw = fields.get(f"raw_text{suffix}")
        if raw is not None and fields.get(f"edits{suffix}"):
            fields[f"edits{suffix}"] = _edits(raw, fields[f"edits{suffix}"], unit, back=back)
        if raw is not None and fields.get("coverage") is not None:
            of_text = OffsetMap(raw, unit) if suffix else text
            ranges = {
                name: [list(pair) for pair in _pairs(value, of_text, back=back)]
                for name, value in fields["coverage"].items()
                if isinstance(value, list | tuple) and name.endswith("_pair") == bool(suffix)
            }
            fields["coverage"] = {**fields["coverage"], **ranges}
    return fields


def _annotation(annotation: Mapping[str, Any], text: OffsetMap, *, back: bool) -> Mapping[str, Any]:
    """Convert the spans of an annotation and of its heads."""
    fields = dict(annotation)
    if spans := annotation.get("spans"):
        pairs = _pairs([(span["start"], span["end"]) for span in spans], text, back=back)
        fields["spans"] = [
            {**span, "start": start, "end": end} for span, (start, end) in zip(spans, pairs, strict=True)
        ]
    if heads := annotation.get("heads"):
        fields["heads"] = {name: _annotation(one, text, back=back) for name, one in heads.items()}
    return fields


def in_code_points(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON fields of a Document in code points, if they have a unit as `offsets`, as `to_offsets` writes.

    Raises:
        InvalidDocumentError: an offset is outside its text or inside a character, or the fields have another form.
    """
    unit = record.get("offsets")
    if not isinstance(unit, str) or not isinstance(record.get("raw_text"), str):
        return record
    if unit not in _CODECS:
        if record.get("gold") is None and record.get("predicted") is None:
            return record
        raise InvalidDocumentError(f"offsets is {unit!r}, expected {', '.join(map(repr, _CODECS))}")
    fields = {key: value for key, value in record.items() if key != "offsets"}
    try:
        return converted(fields, cast("OffsetUnit", unit), back=True)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InvalidDocumentError):
            raise
        raise InvalidDocumentError(
            f"expected the result of Document.to_offsets, got another object: {error}"
        ) from error


def _pairs(pairs: Sequence[Sequence[int]], offsets: OffsetMap, *, back: bool) -> list[tuple[int, int]]:
    flat = [offset for pair in pairs for offset in pair]
    flat = offsets.to_code_points(flat) if back else offsets.to_unit(flat)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _edits(text: str, records: Sequence[Mapping[str, Any]], unit: OffsetUnit, *, back: bool) -> list[dict[str, Any]]:
    """Convert edit records, whose offsets refer to the text before each transform."""
    found: list[dict[str, Any]] = []
    for record in records:
        edits = [tuple(edit) for edit in record["edits"]]
        pairs = _pairs([edit[:2] for edit in edits], OffsetMap(text, unit), back=back)
        moved = [(start, end, edit[2]) for (start, end), edit in zip(pairs, edits, strict=True)]
        found.append({**record, "edits": [list(edit) for edit in moved]})
        text = apply_edits(text, map(make_edit, moved if back else edits))
    return found
