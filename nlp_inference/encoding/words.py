"""Characters and words of a text, as they are the same for every tokenizer.

A character is an extended grapheme cluster, such as a letter with its combining marks (`\\X`, Unicode Standard Annex
#29, https://www.unicode.org/reports/tr29/), but white space is never in one with anything else.
"""

from typing import Literal, NamedTuple, Self

import numpy as np
import regex
from numpy.typing import NDArray

WordRule = Literal["unicode", "whitespace", "tokenizer"]
"""What a word is.

`unicode`: a run of letters and digits with the marks on them. Everything else that is not white space stands apart,
character by character: punctuation, symbols, and the letters of scripts in which a word need not end at a space. That
is the `BasicTokenizer` of BERT (https://github.com/google-research/bert, tokenization.py), with symbols, kana, Hangul
and the scripts of South East Asia treated as it treats punctuation and Chinese characters.
`whitespace`: what stands between white space, as `str.split` says.
`tokenizer`: what the tokenizer says. It was the default of format version 1.
"""

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

_SPACE, _IN_WORD, _APART = 0, 1, 2
_JOINS = 4
"""Flag of the code points that may be in one cluster with another, line breaks left out."""
_BLOCK = 256
_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}\p{M}]")
_NO_SPACES = regex.compile(
    r"(?V1)[[\p{L}\p{Nl}]&&[\p{lb=SA}\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Hang}\p{scx=Yiii}]]"
)
"""Letters of scripts without spaces between words; in Korean, particles follow a word without one."""
_MAY_JOIN = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{RI}]"
)
_CLUSTER = regex.compile(r"\X")

_kinds = np.zeros(0x110000, dtype=np.uint8)
_known = np.zeros(len(_kinds) // _BLOCK, dtype=bool)


class Words(NamedTuple):
    """The words of a text that have a token of their own.

    Attributes:
        tokens: `[words]`, position of the token that stands for each word, in order.
        starts: `[words]`, where its first character is in the text.
        ends: `[words]`, where its last character ends.
        rule: what a word is.
    """

    tokens: Positions
    starts: Positions
    ends: Positions
    rule: WordRule


class Characters(NamedTuple):
    """What is known of each code point of a text.

    Attributes:
        space: `[characters]`, whether it is white space.
        begins: `[characters]`, whether a grapheme cluster begins with it.
        kinds: `[characters]`, how it makes up words.
    """

    space: Flags
    begins: Flags
    kinds: NDArray[np.uint8]

    @classmethod
    def of(cls, text: str) -> Self:
        """Look up the characters of a text.

        Example:
            >>> Characters.of("e\\u0301 x").begins.tolist()
            [True, False, True, True]
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        blocks = codes // _BLOCK
        if not _known[blocks].all():
            for block in np.unique(blocks[~_known[blocks]]).tolist():
                _learn(block)
        kinds = _kinds[codes]
        joins = np.flatnonzero(kinds & _JOINS)
        kinds &= _SPACE | _IN_WORD | _APART
        space = kinds == _SPACE
        begins = np.ones(len(kinds), dtype=bool)
        if len(joins):
            _mark_clusters(text, joins, space, begins)
        return cls(space, begins, kinds)


def _learn(block: int) -> None:
    """Fill the table for 256 code points; threads that do so at once write the same."""
    start = block * _BLOCK
    for code in range(start, start + _BLOCK):
        character = chr(code)
        if character.isspace():
            continue
        in_word = _LETTER_OR_DIGIT.match(character) and not _NO_SPACES.match(character)
        _kinds[code] = (_IN_WORD if in_word else _APART) | (_JOINS if _MAY_JOIN.match(character) else 0)
    _known[block] = True


def _mark_clusters(text: str, joins: Positions, space: Flags, begins: Flags) -> None:
    """Find the clusters of what stands between white space around `joins`."""
    spaces = np.flatnonzero(space)
    bounds = np.concatenate(([-1], spaces, [len(text)]))
    for after in np.unique(np.searchsorted(spaces, joins)).tolist():
        start, end = int(bounds[after]) + 1, int(bounds[after + 1])
        begins[start:end] = False
        begins[[start + match.start() for match in _CLUSTER.finditer(text[start:end])]] = True


def word_bounds(characters: Characters, rule: Literal["unicode", "whitespace"]) -> tuple[Positions, Positions]:
    """Where the words of a text start and end, in order.

    Args:
        characters: of the text.
        rule: what a word is.

    Example:
        >>> text = "Ana's 東京, 5€"
        >>> starts, ends = word_bounds(Characters.of(text), "unicode")
        >>> [text[start:end] for start, end in zip(starts, ends)]
        ['Ana', "'", 's', '東', '京', ',', '5', '€']
        >>> starts, ends = word_bounds(Characters.of(text), "whitespace")
        >>> [text[start:end] for start, end in zip(starts, ends)]
        ["Ana's", '東京,', '5€']
    """
    space, begins, kinds = characters
    if not len(space):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts = ~space
    if rule == "whitespace":
        starts[1:] &= space[:-1]
    else:
        if not begins.all():
            kinds = kinds[_first_of_cluster(begins)]
            starts &= begins
        in_word = kinds == _IN_WORD
        starts[1:] &= ~(in_word[1:] & in_word[:-1])
    ends = ~space
    ends[:-1] &= space[1:] | starts[1:]
    return np.flatnonzero(starts), np.flatnonzero(ends) + 1


def widen_to_clusters(characters: Characters, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Move ranges that are not empty outward to the nearest cluster edges.

    Example:
        >>> widen_to_clusters(Characters.of("Jose\\u0301"), np.array([0, 4]), np.array([4, 5]))
        (array([0, 3]), array([5, 5]))
    """
    begins = characters.begins
    if begins.all():
        return starts, ends
    bounds = np.append(np.flatnonzero(begins), len(begins))
    return _first_of_cluster(begins)[starts], bounds[np.searchsorted(bounds, ends)]


def _first_of_cluster(begins: Flags) -> Positions:
    """`[characters]`: where the cluster of each code point begins."""
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
