"""The laws of the design for every built-in transform of text, alone and in random chains, over Unicode-heavy text."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messy_texts

from nlp_inference import transforms
from nlp_inference.aligned_text import apply_edits
from nlp_inference.document import Document
from nlp_inference.errors import UnknownTypeError
from nlp_inference.transforms import (
    Casefold,
    CollapseWhitespace,
    Compose,
    FixEncoding,
    Lowercase,
    Mask,
    NormalizePunctuation,
    NormalizeUnicode,
    RemoveControl,
    ReplaceRegex,
    StripAccents,
    StripHtml,
    Transform,
)

TRANSFORMS = [
    Casefold(),
    CollapseWhitespace(),
    CollapseWhitespace(keep_newlines=True),
    FixEncoding(),
    Lowercase(),
    Mask(),
    Mask(kinds=("number", "user"), number="0"),
    NormalizePunctuation(),
    NormalizePunctuation(quotes=False, spaces=False),
    NormalizeUnicode(),
    NormalizeUnicode(form="NFD"),
    NormalizeUnicode(form="NFKC"),
    NormalizeUnicode(form="NFKD"),
    RemoveControl(),
    RemoveControl(keep_joiners=False),
    ReplaceRegex(pattern=r"\s+", replacement=" "),
    ReplaceRegex(pattern=r"(\w)(\W*)", replacement=r"\2\1"),
    ReplaceRegex(pattern=r"x*", replacement="-"),
    StripAccents(),
    StripHtml(),
    StripHtml(separator=" "),
]
of_every_transform = pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)


def check_the_laws(document: Document) -> None:
    """Laws 1 and 2: the records replay to the text, and what no edit touched maps to the same characters."""
    aligned = document.aligned
    current, origin = document.raw_text, list(range(len(document.raw_text)))
    for record in document.edits:
        for edit in reversed(record.edits):
            assert current[edit.start : edit.end] != edit.replacement
            origin[edit.start : edit.end] = [-1] * len(edit.replacement)
        current = apply_edits(current, record.edits)
    assert current == document.text
    for at, raw_at in enumerate(origin):
        if raw_at >= 0:
            inside = aligned.to_raw(at, at + 1)
            assert inside[0] <= raw_at < inside[1]
            assert inside != (raw_at, raw_at + 1) or document.raw_text[raw_at] == document.text[at]
    spans = [aligned.to_raw(at, at + 1) for at in range(len(current))]
    assert spans == sorted(spans)
    assert all(start < end for start, end in spans) or not document.raw_text


@of_every_transform
@settings(deadline=None, max_examples=150)
@given(text=messy_texts)
def test_a_transform_keeps_the_laws(transform, text):
    before = Document(raw_text=text)
    after = transform(before)
    assert after.raw_text == text
    check_the_laws(after)
    assert Document.model_validate_json(after.model_dump_json()) == after


@of_every_transform
@settings(deadline=None, max_examples=100)
@given(text=messy_texts)
def test_what_one_transform_did_not_touch_maps_to_itself(transform, text):
    document = transform(Document(raw_text=text))
    edits = document.edits[0].edits if document.edits else ()
    position = shift = 0
    for start, end, replacement in [*edits, (len(text), len(text), "")]:
        for at in range(position, start):
            assert document.aligned.to_raw(at + shift, at + shift + 1) == (at, at + 1)
            assert document.aligned.to_current(at, at + 1) == (at + shift, at + shift + 1)
        position, shift = end, shift + len(replacement) - (end - start)


@settings(deadline=None, max_examples=500)
@given(text=messy_texts, steps=st.lists(st.sampled_from(TRANSFORMS), max_size=7))
def test_random_chains_keep_the_laws(text, steps):
    document = Compose(steps)(Document(raw_text=text))
    check_the_laws(document)
    assert Compose(steps)(document.unannotated()) == document


@of_every_transform
def test_a_transform_survives_its_specification(transform):
    assert Transform.from_spec(transform.to_spec()) == transform
    assert Compose([transform.to_spec()]) == Compose([transform])


IDEMPOTENT = [step for step in TRANSFORMS if not isinstance(step, (StripHtml, ReplaceRegex, FixEncoding, Mask))]


@pytest.mark.parametrize("transform", IDEMPOTENT, ids=repr)
@settings(deadline=None, max_examples=150)
@given(text=messy_texts)
def test_a_second_time_changes_nothing(transform, text):
    once = transform(Document(raw_text=text)).text
    assert transform(Document(raw_text=once)).text == once


REFERENCES = [
    (Casefold(), str.casefold),
    (CollapseWhitespace(), lambda text: " ".join(text.split())),
    (
        CollapseWhitespace(keep_newlines=True),
        lambda text: "\n".join(filter(None, map(" ".join, map(str.split, text.splitlines())))),
    ),
    (Lowercase(), str.lower),
    *(
        (NormalizeUnicode(form=form), lambda text, form=form: unicodedata.normalize(form, text))
        for form in ("NFC", "NFD", "NFKC", "NFKD")
    ),
    (ReplaceRegex(pattern="[a-z]+", replacement="<>"), lambda text: re.sub("[a-z]+", "<>", text)),
    (ReplaceRegex(pattern="x*", replacement="-"), lambda text: re.sub("x*", "-", text)),
    (
        ReplaceRegex(pattern="([a-z])([A-Z]?)", replacement=r"\2\g<1>\\"),
        lambda text: re.sub("([a-z])([A-Z]?)", r"\2\g<1>\\", text),
    ),
]


@pytest.mark.parametrize(("transform", "reference"), REFERENCES, ids=[repr(transform) for transform, _ in REFERENCES])
@settings(deadline=None, max_examples=300)
@given(text=messy_texts)
def test_the_result_is_that_of_the_obvious_reference(transform, reference, text):
    assert transform(Document(raw_text=text)).text == reference(text)


@settings(deadline=None, max_examples=300)
@given(text=messy_texts, form=st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_normalization_proposes_edits_for_sequences_and_never_falls_back_to_a_diff(text, form):
    assert not isinstance(NormalizeUnicode(form=form).propose(text), str)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UnknownTypeError, match="did you mean 'collapse_whitespace'"):
        Transform.from_spec("colapse_whitespace")


def test_every_exported_transform_is_registered_and_tested_here():
    exported = {getattr(transforms, name) for name in transforms.__all__}
    concrete = {member for member in Transform.members.values() if member in exported}
    assert concrete == {type(transform) for transform in TRANSFORMS}
    assert transforms.__all__ == sorted(transforms.__all__)
