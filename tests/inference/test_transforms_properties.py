"""What every built-in transform keeps: the laws, and what is true of some of them by what they are for."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import POST_TRANSFORMS, TRANSFORMS, chains, messy_texts
from thorough import examples

from nlp_inference import transforms
from nlp_inference.document import Document
from nlp_inference.errors import CheckFailedError, UnknownTypeError
from nlp_inference.testing import check_post_transform, check_transform
from nlp_inference.transforms import (
    Casefold,
    CollapseWhitespace,
    Compose,
    Lowercase,
    NormalizeUnicode,
    ReplaceRegex,
    Transform,
)

QUADRATIC = "<[^>]*>"
"""A pattern that looks from each `<` to the end of a text without `>`."""


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=3)
@given(data=st.data())
def test_every_transform_keeps_every_law(name, data):
    check_transform(data.draw(TRANSFORMS[name].filter(lambda drawn: getattr(drawn, "pattern", "") != QUADRATIC)))


def test_a_pattern_of_quadratic_time_is_found_out():
    with pytest.raises(CheckFailedError, match=r"its time grows with the length of the input.*on '< again and again'"):
        check_transform(ReplaceRegex(pattern=QUADRATIC, replacement=""))


@pytest.mark.parametrize("name", POST_TRANSFORMS)
@settings(max_examples=3)
@given(data=st.data())
def test_every_post_transform_keeps_every_law(name, data):
    check_post_transform(data.draw(POST_TRANSFORMS[name]))


@settings(max_examples=examples(500))
@given(text=messy_texts, chain=chains)
def test_a_chain_begins_with_the_raw_text_again(text, chain):
    document = Compose(chain)(Document(raw_text=text))
    assert Compose(chain)(document.unannotated()) == document


IDEMPOTENT = sorted(set(TRANSFORMS) - {"strip_html", "replace_regex", "fix_encoding", "mask"})


@pytest.mark.parametrize("name", IDEMPOTENT)
@settings(max_examples=examples(200))
@given(text=messy_texts, data=st.data())
def test_a_second_time_changes_nothing(name, text, data):
    transform = data.draw(TRANSFORMS[name])
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
@settings(max_examples=examples(300))
@given(text=messy_texts)
def test_the_result_is_that_of_the_obvious_reference(transform, reference, text):
    assert transform(Document(raw_text=text)).text == reference(text)


@settings(max_examples=examples(300))
@given(text=messy_texts, form=st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_normalization_proposes_edits_for_sequences_and_never_falls_back_to_a_diff(text, form):
    assert not isinstance(NormalizeUnicode(form=form).propose(text), str)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UnknownTypeError, match="did you mean 'collapse_whitespace'"):
        Transform.from_spec("colapse_whitespace")


def test_every_built_in_transform_is_exported():
    exported = {getattr(transforms, name) for name in transforms.__all__}
    built_in = {member for member in Transform.members.values() if member.__module__.startswith("nlp_inference.")}
    assert built_in <= exported
    assert transforms.__all__ == sorted(transforms.__all__)
