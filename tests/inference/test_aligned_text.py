"""AlignedText: exact maps, and agreement with a slow reference that keeps a Python list of every character."""

import copy
import pickle
from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.document.aligned_text import AlignedText, Cuts, Edit, EditRecord, apply_edits
from nlp_inference.errors import InvalidEditError


class Atom(NamedTuple):
    """A character that is the same in both texts (1, 1), or a stretch that was replaced, by their sizes."""

    raw: int
    current: int


def reference_atoms(raw: str, records: list[list[Edit]]) -> list[Atom]:
    atoms = [Atom(1, 1)] * len(raw)
    for edits in records:
        atoms = composed(atoms, edits)
    return atoms


def composed(atoms: list[Atom], edits: list[Edit]) -> list[Atom]:
    """The atoms after `edits`: all atoms that an edit touches, and all edits that share an atom, become one."""
    starts = list(accumulate((atom.current for atom in atoms), initial=0))
    groups: list[tuple[set[int], int, int]] = []  # atoms touched, growth, and the atom before which it stands
    for edit in edits:
        if edit.end - edit.start == len(edit.replacement) == 1:
            continue
        touched = {at for at in range(len(atoms)) if touches(edit, starts[at], starts[at + 1])}
        growth = len(edit.replacement) - (edit.end - edit.start)
        if groups and groups[-1][0] & touched:
            others, growth_of_others, place = groups.pop()
            groups.append((others | touched, growth + growth_of_others, place))
        else:
            before = min(touched, default=next(at for at, start in enumerate([*starts, 10**9]) if start >= edit.start))
            groups.append((touched, growth, before))
    result = []
    for at in range(len(atoms) + 1):
        for touched, growth, place in groups:
            if place == at:
                taken = [atoms[index] for index in touched]
                size = sum(atom.current for atom in taken) + growth
                result.append(Atom(sum(atom.raw for atom in taken), size))
        if at < len(atoms) and not any(at in touched for touched, _, _ in groups):
            result.append(atoms[at])
    return result


def touches(edit: Edit, start: int, end: int) -> bool:
    is_deletion_at_insertion = start == end == edit.start == edit.end
    return is_deletion_at_insertion or (start < edit.end and end > edit.start)


def reference_maps(atoms: list[Atom]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """For every current character its raw stretch, and for every raw character its current stretch."""
    to_raw, to_current = [], []
    raw = current = 0
    for atom in atoms:
        to_raw += [(raw, raw + atom.raw)] * atom.current
        to_current += [(current, current + atom.current)] * atom.raw
        raw, current = raw + atom.raw, current + atom.current
    return to_raw, to_current


@st.composite
def edit_lists(draw: st.DrawFn, length: int) -> list[Edit]:
    edits: list[Edit] = []
    position, insertion = 0, -1
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(position, length))
        end = draw(st.integers(start, min(length, start + 3)))
        if not start == end == insertion:
            edits.append(Edit(start, end, draw(st.sampled_from(["", "x", "y", "xy", "zzz"]))))
            position, insertion = end, end if start == end else -1
    return edits


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[list[Edit]]]:
    raw = current = draw(st.text("abcdef", max_size=12))
    records = []
    for _ in range(draw(st.integers(1, 4))):
        edits = [edit for edit in draw(edit_lists(len(current))) if current[edit.start : edit.end] != edit.replacement]
        records.append(edits)
        current = apply_edits(current, edits)
    return raw, records


def aligned_of(raw: str, records: list[list[Edit]]) -> AlignedText:
    aligned = AlignedText(raw)
    for number, edits in enumerate(records):
        aligned = aligned.edit(f"step{number}", 1, edits)
    return aligned


@settings(deadline=None, max_examples=examples(1000))
@given(histories())
def test_every_character_maps_as_in_the_slow_reference(history):
    raw, records = history
    aligned = aligned_of(raw, records)
    to_raw, to_current = reference_maps(reference_atoms(raw, records))
    for start in range(len(aligned.current)):
        for end in range(start + 1, len(aligned.current) + 1):
            assert aligned.alignment.to_raw(start, end) == (to_raw[start][0], to_raw[end - 1][1])
    for start in range(len(raw)):
        for end in range(start + 1, len(raw) + 1):
            assert aligned.alignment.to_current(start, end) == (to_current[start][0], to_current[end - 1][1])


@settings(deadline=None, max_examples=examples(500))
@given(histories())
def test_both_directions_keep_order_and_stay_inside(history):
    aligned = aligned_of(*history)
    for length, other, mapped in (
        (len(aligned.current), len(aligned.raw), aligned.to_raw),
        (len(aligned.raw), len(aligned.current), aligned.to_current),
    ):
        spans = [mapped(at, at + 1) for at in range(length)]
        assert spans == sorted(spans)
        assert [end for _, end in spans] == sorted(end for _, end in spans)
        assert all(0 <= start <= end <= other for start, end in spans)


@settings(deadline=None, max_examples=examples(500))
@given(histories())
def test_a_span_that_no_edit_touched_maps_to_the_same_characters(history):
    raw, records = history
    aligned = aligned_of(raw, records)
    position = raw_position = 0
    for atom in reference_atoms(raw, records):
        if atom.raw == atom.current == 1 and raw[raw_position] == aligned.current[position]:
            assert aligned.to_raw(position, position + 1) == (raw_position, raw_position + 1)
            assert aligned.to_current(raw_position, raw_position + 1) == (position, position + 1)
        position, raw_position = position + atom.current, raw_position + atom.raw
    assert (position, raw_position) == (len(aligned.current), len(raw))


@settings(deadline=None, max_examples=examples(500))
@given(histories())
def test_replaying_the_records_gives_the_text_and_the_map(history):
    aligned = aligned_of(*history)
    replayed = AlignedText(aligned.raw, aligned.records)
    assert replayed.current == aligned.current
    for start in range(len(aligned.current)):
        assert replayed.to_raw(start, start + 1) == aligned.to_raw(start, start + 1)


@settings(deadline=None, max_examples=examples(500))
@given(histories())
def test_a_span_of_the_current_text_never_maps_to_nothing(history):
    aligned = aligned_of(*history)
    for start in range(len(aligned.current)):
        raw_start, raw_end = aligned.to_raw(start, start + 1)
        assert raw_start < raw_end or not aligned.raw


@pytest.mark.parametrize(
    ("raw", "records", "current", "span", "raw_span"),
    [
        pytest.param("abc", [], "abc", (1, 2), (1, 2), id="nothing done"),
        pytest.param("a&amp;b", [[(1, 6, "&")]], "a&b", (1, 2), (1, 6), id="replaced stretch"),
        pytest.param("a&amp;b", [[(1, 6, "&")]], "a&b", (2, 3), (6, 7), id="behind a replaced stretch"),
        pytest.param("ab", [[(0, 1, "xyz")]], "xyzb", (1, 2), (0, 1), id="middle of a longer replacement widens"),
        pytest.param("ABC", [[(0, 1, "a"), (2, 3, "c")]], "aBc", (0, 3), (0, 3), id="one for one is free"),
        pytest.param("a<b>c", [[(1, 4, "")]], "ac", (0, 1), (0, 1), id="before a deletion"),
        pytest.param("a<b>c", [[(1, 4, "")]], "ac", (1, 2), (4, 5), id="after a deletion"),
        pytest.param("a<b>c", [[(1, 4, "")]], "ac", (0, 2), (0, 5), id="across a deletion"),
        pytest.param("ab", [[(1, 1, "-")]], "a-b", (1, 2), (0, 1), id="inserted: the raw character before"),
        pytest.param("ab", [[(0, 0, "-")]], "-ab", (0, 1), (0, 1), id="inserted at the start: the one after"),
        pytest.param("", [[(0, 0, "-")]], "-", (0, 1), (0, 0), id="inserted into nothing"),
        pytest.param("a<b>c", [[(1, 4, "")], [(1, 1, " ")]], "a c", (1, 2), (1, 4), id="insertion at a deletion"),
        pytest.param("abcd", [[(1, 3, "xyz")], [(2, 3, "")]], "axzd", (1, 2), (1, 3), id="edit inside a stretch"),
        pytest.param("abcd", [[(1, 2, "xy")], [(2, 4, "Q")]], "axQd", (2, 3), (1, 3), id="edit half over a stretch"),
        pytest.param(
            "a  <b> x", [[(3, 6, "")], [(1, 4, " ")]], "a x", (1, 2), (1, 7), id="three levels of one run of blanks"
        ),
    ],
)
def test_exact_raw_spans(raw, records, current, span, raw_span):
    aligned = aligned_of(raw, [[Edit(*edit) for edit in edits] for edits in records])
    assert aligned.current == current
    assert aligned.to_raw(*span) == raw_span


@pytest.mark.parametrize(
    ("span", "current_span"),
    [((0, 1), (0, 1)), ((1, 4), (1, 1)), ((2, 3), (1, 1)), ((0, 5), (0, 2)), ((3, 5), (1, 2)), ((5, 5), (2, 2))],
)
def test_exact_current_spans_around_a_deletion(span, current_span):
    assert aligned_of("a<b>c", [[Edit(1, 4, "")]]).to_current(*span) == current_span


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([Edit(2, 3, ""), Edit(0, 1, "")], "in order"),
        ([Edit(0, 2, ""), Edit(1, 3, "")], "without overlap"),
        ([Edit(2, 1, "x")], "reversed"),
        ([Edit(1, 1, "x"), Edit(1, 1, "y")], "repeats an insertion"),
        ([Edit(2, 9, "")], "the text has 3 characters"),
        ([Edit(-1, 1, "x")], "starts before"),
        ([Edit(2, 1, "")], "reversed"),
        ([Edit(-1, 0, "")], "is reversed or outside the text of 3 characters"),
        ([Edit(-2, 3, "bc")], "is reversed or outside the text of 3 characters"),
        ([Edit(7, 9, "")], "is reversed or outside the text of 3 characters"),
        ([Edit(0, 1, "x"), Edit(3, 2, "")], "reversed"),
    ],
)
def test_edits_that_do_not_fit_are_refused_with_the_name_of_the_transform(edits, words):
    with pytest.raises(InvalidEditError, match=words) as caught:
        AlignedText("abc").edit("broken", 1, edits)
    assert "'broken'" in str(caught.value)


def test_edits_that_change_nothing_leave_no_record():
    text = AlignedText("abc")
    assert text.edit("none", 1, [Edit(0, 1, "a"), Edit(2, 2, "")]) is text
    assert text.edit("some", 3, [Edit(0, 1, "a"), Edit(1, 2, "B")]).records == (
        EditRecord("some", 3, (Edit(1, 2, "B"),)),
    )


@settings(deadline=None, max_examples=examples(500))
@given(
    pieces=st.lists(st.text("ab ", max_size=3), min_size=1, max_size=9).filter(lambda pieces: len(pieces) % 2 == 1),
    replacement=st.sampled_from(["", " ", "ab"]),
)
def test_cuts_are_the_edits_they_stand_for(pieces, replacement):
    text, cuts = AlignedText("".join(pieces)), Cuts(pieces, replacement=replacement)
    edits = list(cuts)
    assert [text.raw[edit.start : edit.end] for edit in edits] == pieces[1::2]
    insertions = [edit.start for edit in edits if edit.start == edit.end and replacement]
    if len(set(insertions)) == len(insertions):
        cut, edited = text.edit("cut", 1, cuts), text.edit("cut", 1, edits)
        assert (cut.current, cut.records) == (edited.current, edited.records)
        assert hash(cut.records) == hash(edited.records)
        for start in range(len(text.raw)):
            assert cut.to_current(start, start + 1) == edited.to_current(start, start + 1)


def test_cuts_that_are_not_the_text_are_refused_with_the_name_of_the_transform():
    for pieces in (["a", "b"], ["a", "b", "d"], ["a", "b", "c", "d", ""], ["abc", ""]):
        with pytest.raises(InvalidEditError, match=r"'broken': the \d pieces are not the text"):
            AlignedText("abc").edit("broken", 1, Cuts(pieces, replacement="x"))


def test_a_record_of_cuts_is_like_any_other():
    (record,) = AlignedText("a  b").edit("spaces", 2, Cuts(["a", "  ", "b"], replacement=" ")).records
    expected = EditRecord("spaces", 2, (Edit(1, 3, " "),))
    for same in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record), record):  # noqa: S301 - our own object
        assert (same, repr(same), same.edits[0].replacement) == (expected, repr(expected), " ")
    with pytest.raises(AttributeError, match="'EditRecord' object has no attribute 'color'"):
        _ = record.color


@pytest.mark.parametrize("span", [(-1, 1), (0, 4), (2, 1)])
def test_a_span_outside_the_text_is_refused(span):
    text = AlignedText("abc")
    with pytest.raises(InvalidEditError, match="current text of 3 characters"):
        text.to_raw(*span)
    with pytest.raises(InvalidEditError, match="raw text of 3 characters"):
        text.to_current(*span)
