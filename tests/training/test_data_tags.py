"""Tags of words become spans of characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.tags import find_tokens, join_tokens, tags_to_spans


def spans_of(tags: str) -> list[tuple[int, int, str]]:
    """Spans over words of one letter, which stand at 0, 2, 4, ..."""
    offsets = [(2 * index, 2 * index + 1) for index in range(len(tags.split()))]
    return [(span.start, span.end, span.label) for span in tags_to_spans(tags.split(), offsets)]


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-A", [(0, 1, "A")]),
        ("B-A I-A O", [(0, 3, "A")]),
        ("B-A B-A", [(0, 1, "A"), (2, 3, "A")]),
        ("B-A I-B", [(0, 1, "A"), (2, 3, "B")]),
        ("O I-A I-A", [(2, 5, "A")]),
        ("I-A B-A I-A", [(0, 1, "A"), (2, 5, "A")]),
        ("B-A E-A", [(0, 3, "A")]),
        ("B-A L-A I-A", [(0, 3, "A"), (4, 5, "A")]),
        ("S-A S-A", [(0, 1, "A"), (2, 3, "A")]),
        ("U-A B-A I-A L-A", [(0, 1, "A"), (2, 7, "A")]),
        ("B-A S-A", [(0, 1, "A"), (2, 3, "A")]),
        ("E-A E-A", [(0, 1, "A"), (2, 3, "A")]),
        ("B-A-B I-A-B", [(0, 3, "A-B")]),
    ],
)
def test_spans_of_tags(tags, spans):
    assert spans_of(tags) == spans


@pytest.mark.parametrize("tag", ["", "B", "B-", "PER", "X-PER", "b-PER", "OO", "B_PER"])
def test_a_tag_that_cannot_be_read_is_named(tag):
    with pytest.raises(InvalidDocumentError, match=rf"tag 1 is '{tag}'; write 'O', 'B-LABEL'"):
        tags_to_spans(["O", tag], [(0, 1), (2, 3)])


def test_tags_and_tokens_are_counted():
    with pytest.raises(InvalidDocumentError, match="there are 2 tags for 1 tokens"):
        tags_to_spans(["O", "O"], [(0, 1)])


def test_an_empty_token_carries_no_tag():
    with pytest.raises(InvalidDocumentError, match="token 1 is empty, but is tagged 'A'"):
        tags_to_spans(["O", "B-A"], [(0, 1), (2, 2)])


def test_tokens_are_joined_by_single_spaces():
    assert join_tokens(["Zoë", "", "a b", "!"]) == ("Zoë  a b !", [(0, 3), (4, 4), (5, 8), (9, 10)])
    assert join_tokens([]) == ("", [])


def test_tokens_are_found_in_the_text_they_came_from():
    assert find_tokens(["a", "a", "b", "a"], "aa  ba") == [(0, 1), (1, 2), (4, 5), (5, 6)]
    assert find_tokens(["\n", "a", " ", "b "], " \n a\u00a0  b \t") == [(1, 2), (3, 4), (5, 6), (7, 9)]
    assert find_tokens(["", "a", ""], "a ") == [(0, 0), (0, 1), (1, 1)]
    assert find_tokens([], " \n") == []


@pytest.mark.parametrize(
    ("tokens", "text", "problem"),
    [
        (["is", "Rome"], "This is Rome", "token 0 is 'is', but the text at character 0 is 'This is Rome'"),
        (["This", "is", "Rom"], "This is Rome", "the text continues with 'e' at character 11"),
        (["This", "Rome"], "This is Rome", "token 1 is 'Rome', but the text at character 4 is ' is Rome'"),
        (["a", "x"], "xa", "token 0 is 'a', but the text at character 0 is 'xa'"),
        (["Ana", "s"], "Ana's", "token 1 is 's', but the text at character 3 is \"'s\""),
        (["a"], "a\u200b", "the text continues with '\\u200b' at character 1"),
        (["é"], "e\u0301", "token 0 is 'é', but the text at character 0 is"),
        ([], "a", "the text continues with 'a' at character 0"),
    ],
)
def test_between_tokens_only_white_space_is_allowed(tokens, text, problem):
    with pytest.raises(InvalidDocumentError) as error:
        find_tokens(tokens, text)
    assert problem in str(error.value)


@given(st.lists(st.tuples(st.text("aB'.é\U0001f600", min_size=1, max_size=4), st.text(" \t\n\u00a0", max_size=3))))
def test_tokens_with_white_space_between_are_found_where_they_are(parts):
    text, expected = "", []
    for token, space in parts:
        expected.append((len(text), len(text) + len(token)))
        text += token + space
    assert find_tokens([token for token, _ in parts], text) == expected


@given(st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=5), st.data())
def test_a_character_that_is_in_no_token_is_an_error(tokens, data):
    text = " ".join(tokens)
    position = data.draw(st.integers(0, len(text)))
    with pytest.raises(InvalidDocumentError):
        find_tokens(tokens, f"{text[:position]}x{text[position:]}")
