"""diff_edits: applying the edits always gives the other text; long and hostile pairs stay cheap."""

from itertools import pairwise

import pytest
from cpu_time import takes_less_than
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.document.aligned_text import Edit, apply_edits
from nlp_inference.transforms import diff
from nlp_inference.transforms.diff import character_edits, diff_edits

SIMILAR = st.text("ab \n", max_size=30)
WORDS = [f"word{number * 7919 % 100_003}" for number in range(60_000)]
LONG = " ".join(WORDS)
JOINED = "".join(WORDS)


@settings(deadline=None, max_examples=examples(500))
@given(SIMILAR | st.text(max_size=30), SIMILAR | st.text(max_size=30))
def test_applying_the_edits_gives_the_other_text(before, after):
    edits = list(diff_edits(before, after))
    assert apply_edits(before, edits) == after
    assert all(before[edit.start : edit.end] != edit.replacement for edit in edits)
    assert all(first.end < second.start for first, second in pairwise(edits)), "touching edits are one edit"


@settings(deadline=None, max_examples=examples(300))
@given(before=SIMILAR, after=SIMILAR, cells=st.integers(0, 30), few=st.integers(0, 3))
def test_applying_the_edits_gives_the_other_text_when_both_count_as_long(before, after, cells, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "LEVENSHTEIN_CELLS", cells)
        patch.setattr(diff, "FEW_CHANGES", few)
        assert apply_edits(before, diff_edits(before, after)) == after


@pytest.mark.parametrize(
    ("before", "after", "edits"),
    [
        ("", "", []),
        ("same", "same", []),
        ("", "new", [(0, 0, "new")]),
        ("old", "", [(0, 3, "")]),
        ("cafÃ© noir", "café noir", [(3, 5, "é")]),
        ("a--b--c", "a–b–c", [(1, 3, "–"), (4, 6, "–")]),
        ("<b>Ana</b>", "Ana", [(0, 3, ""), (6, 10, "")]),
        ("aXYb", "a12b", [(1, 3, "12")]),
    ],
)
def test_exact_edits(before, after, edits):
    assert list(diff_edits(before, after)) == [Edit(*edit) for edit in edits]


@pytest.mark.parametrize(
    ("before", "after", "most_replaced"),
    [
        pytest.param(LONG, LONG.replace("word1", "w1"), 80_000, id="an edit in every tenth word"),
        pytest.param(LONG, LONG.replace(" ", "\n"), 60_000, id="other separators"),
        pytest.param(JOINED, JOINED.replace("word123", "w"), 400, id="no words to anchor at, few changes"),
        pytest.param(LONG, LONG.upper(), len(LONG), id="nothing in common"),
        pytest.param(LONG, LONG[::-1], len(LONG), id="reversed"),
        pytest.param("a" * 500_000, "b" * 500_000, 500_000, id="one long word"),
        pytest.param("ab" * 250_000, "ba" * 250_000, 500_000, id="shifted by one"),
        pytest.param("a " * 250_000, "a" * 250_000, 500_000, id="nothing is unique"),
        pytest.param(LONG, "", len(LONG), id="all deleted"),
    ],
)
def test_half_a_million_characters_take_little_time(before, after, most_replaced):
    with takes_less_than(5):
        edits = list(diff_edits(before, after))
    assert apply_edits(before, edits) == after
    assert sum(edit.end - edit.start for edit in edits) <= most_replaced


@settings(deadline=None)
@given(st.text("aAbB", max_size=20))
def test_character_edits_replace_single_characters(text):
    edits = list(character_edits(text, text.lower()))
    assert apply_edits(text, edits) == text.lower()
    assert [edit.start for edit in edits] == [at for at, character in enumerate(text) if character.isupper()]
    assert all(edit.end == edit.start + 1 for edit in edits)
