"""text_transform: a plain function on texts becomes an aligned, registered transform."""

import pickle

import pytest

from nlp_inference.document import Document
from nlp_inference.errors import InvalidEditError, InvalidSpecError
from nlp_inference.transforms import Compose, Transform, text_transform


@text_transform(name="test_expand_titles", version=3)
def expand_titles(text: str) -> str:
    """Write titles out."""
    return text.replace("Dr.", "Doctor").replace("Mr.", "Mister")


@text_transform(name="test_returns_bytes")
def returns_bytes(text: str) -> str:
    return text.encode()  # type: ignore[return-value]  # the mistake under test


def test_the_edits_are_found_by_a_diff():
    document = expand_titles(Document(raw_text="Dear Dr. Ana, dear Mr. Bo"))
    assert document.text == "Dear Doctor Ana, dear Mister Bo"
    assert (document.edits[0].transform, document.edits[0].version) == ("test_expand_titles", 3)
    start = document.text.index("Ana")
    assert document.aligned.to_raw(start, start + 3) == (9, 12)


def test_it_is_still_a_function_of_texts():
    assert expand_titles("Mr. Bo") == "Mister Bo"
    assert type(expand_titles).__doc__ == "Write titles out."


def test_it_is_saved_by_name():
    chain = Compose([expand_titles, "collapse_whitespace"])
    assert chain.to_spec() == ["test_expand_titles", "collapse_whitespace"]
    assert Compose(chain.to_spec()) == chain
    assert Transform.from_spec("test_expand_titles") == expand_titles
    assert chain(Document(raw_text="Mr.  Bo")).text == "Mister Bo"


def test_it_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(expand_titles)) is expand_titles  # noqa: S301 - our own object


def test_a_result_that_is_no_text_is_refused():
    with pytest.raises(InvalidEditError, match="'test_returns_bytes' returned b'x'; its function must return a str"):
        returns_bytes(Document(raw_text="x"))


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(InvalidSpecError, match="the transform name 'lowercase' belongs to"):
        text_transform(name="lowercase")(lambda text: text.lower())
