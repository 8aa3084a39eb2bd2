"""Conversion between tags of words, as in data sets, and spans of characters."""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from unicodedata import normalize

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Span
from nlp_inference.errors import InvalidDocumentError

_BEGIN, _INSIDE, _END, _SINGLE = frozenset("B"), frozenset("I"), frozenset("LE"), frozenset("US")
_LETTERS = _BEGIN | _INSIDE | _END | _SINGLE
_NO_SPACE = re.compile(r"\S")


def join_tokens(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens by single spaces and return the text with the offsets of each token.

    Example:
        >>> join_tokens(["Ana", "lives", "here"])
        ('Ana lives here', [(0, 3), (4, 9), (10, 14)])
    """
    ends = [end - 1 for end in accumulate(len(token) + 1 for token in tokens)]
    return " ".join(tokens), [(end - len(token), end) for token, end in zip(tokens, ends, strict=True)]


def find_tokens(tokens: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Return the offsets of tokens in `text`. The text must consist of the tokens and white space.

    Args:
        tokens: the tokens in the order of the text.
        text: the tokens, with optional white space before, between and after them.

    Returns:
        Start and end of each token, in characters.

    Raises:
        InvalidDocumentError: there is more than white space before a token or after the last one.

    Example:
        >>> find_tokens(["Ana", "'s"], "Ana's")
        [(0, 3), (3, 5)]
        >>> find_tokens(["is"], "This is")
        Traceback (most recent call last):
        nlp_inference.errors.InvalidDocumentError: token 0 is 'is', but the text at character 0 is 'This is'; ...
    """
    offsets: list[tuple[int, int]] = []
    position = 0
    for index, token in enumerate(tokens):
        start = text.find(token, position, _skip_space(text, position) + len(token))
        if start < 0:
            shown = shorten(repr(text[position : position + 60]), width=40)
            raise InvalidDocumentError(
                f"token {index} is {token!r}, but the text at character {position} is {shown}"
                f"{_other_form(token, text[_skip_space(text, position) :])}; between tokens only white space is "
                "allowed. Correct one of them, or remove the text to join the tokens by single spaces"
            )
        position = start + len(token)
        offsets.append((start, position))
    rest = _skip_space(text, position)
    if rest < len(text):
        shown = shorten(repr(text[rest : rest + 60]), width=40)
        raise InvalidDocumentError(
            f"after the last token the text continues with {shown} at character {rest}; the tokens must cover the "
            "complete text. Correct the tokens or the text, or remove the text"
        )
    return offsets


def _other_form(token: str, rest: str) -> str:
    """Return a hint if the text continues with the token in another Unicode form, because both look the same."""
    composed = normalize("NFC", token)
    is_same = normalize("NFC", rest[: 2 * len(token) + 2]).startswith(composed)
    return " in another Unicode normalization form, such as NFC and NFD: normalize both alike" if is_same else ""


def _skip_space(text: str, position: int) -> int:
    """Return the first position from `position` that is not white space, or the length of the text."""
    found = _NO_SPACE.search(text, position)
    return len(text) if found is None else found.start()


def tags_to_spans(tags: Sequence[str], offsets: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    """Convert a sequence of tags to spans.

    BIO2 (IOB2), IOB1, IO, BILOU and BIOES need not be distinguished: `B`, `U` and `S` always begin a span, `L`, `E`,
    `U` and `S` end it, and `I`, `L` or `E` continues the span of its label, or begins one if there is none.

    Args:
        tags: one tag per token: `O`, or a letter of a scheme, a hyphen and a label.
        offsets: start and end of each token, in characters.

    Raises:
        InvalidDocumentError: there are more or fewer tags than tokens, a tag cannot be read, or a span would be empty.

    Example:
        >>> [(span.start, span.end, span.label) for span in tags_to_spans(["B-PER", "O"], [(0, 3), (4, 9)])]
        [(0, 3, 'PER')]
    """
    if len(tags) != len(offsets):
        raise InvalidDocumentError(f"there are {len(tags)} tags for {len(offsets)} tokens; write one tag per token")
    return tuple(
        _span(offsets[first][0], offsets[last][1], label, token=first) for first, last, label in _token_spans(tags)
    )


def spans_to_tags(spans: Sequence[Span], offsets: Sequence[tuple[int, int]]) -> list[str]:
    """Return the BIO2 tags that `tags_to_spans` converts to these spans.

    Args:
        spans: spans in any order, without overlap, that start and end at token boundaries.
        offsets: start and end of each token, in characters, in order.

    Raises:
        InvalidDocumentError: a span overlaps another, or does not start and end at token boundaries.

    Example:
        >>> spans_to_tags([Span(start=0, end=9, label="PER")], [(0, 3), (4, 9), (10, 14)])
        ['B-PER', 'I-PER', 'O']
    """
    tags = ["O"] * len(offsets)
    begins = {start: index for index, (start, _) in enumerate(offsets)}
    ends = {end: index for index, (_, end) in enumerate(offsets)}
    for span in spans:
        shown = f"the span {span.start}:{span.end} {span.label!r}"
        if span.start not in begins or span.end not in ends:
            raise InvalidDocumentError(f"{shown} does not start and end at word boundaries")
        first, last = begins[span.start], ends[span.end]
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise InvalidDocumentError(f"{shown} overlaps another span, but a word can have only one tag")
        tags[first : last + 1] = [f"B-{span.label}", *[f"I-{span.label}"] * (last - first)]
    return tags


def _token_spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the first token, the last token and the label of each span."""
    first, label = 0, ""
    for index, tag in enumerate(tags):
        letter, name = _split_tag(tag, index)
        continues = bool(label) and name == label and letter in _INSIDE | _END
        if label and not continues:
            yield first, index - 1, label
        if not continues:
            first, label = index, name
        if letter in _END | _SINGLE:
            yield first, index, label
            label = ""
    if label:
        yield first, len(tags) - 1, label


def _split_tag(tag: str, index: int) -> tuple[str, str]:
    if tag == "O":
        return "O", ""
    letter, hyphen, label = tag.partition("-")
    if letter not in _LETTERS or not hyphen or not label:
        raise InvalidDocumentError(
            f"tag {index} is {tag!r}; write 'O', 'B-LABEL' or 'I-LABEL' (or the letters L, U, E, S of BILOU and BIOES)"
        )
    return letter, label


def _span(start: int, end: int, label: str, *, token: int) -> Span:
    if start >= end:
        raise InvalidDocumentError(f"token {token} is empty, but is tagged {label!r}; tag it 'O' or remove it")
    return Span(start=start, end=end, label=label)
