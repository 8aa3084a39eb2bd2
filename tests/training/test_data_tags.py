"""Tags of words become spans of characters."""

import pytest

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
    assert find_tokens(["a", "a", "b"], "aa  ba") == [(0, 1), (1, 2), (4, 5)]
    with pytest.raises(InvalidDocumentError, match="token 1, 'x', does not occur in the text after character 2"):
        find_tokens(["a", "x"], "xa")
