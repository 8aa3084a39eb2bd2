"""Characters and words of a text, independent of the tokenizer.

A character is an extended grapheme cluster, such as a letter with its combining marks (`\\X`, Unicode Standard Annex
#29, https://www.unicode.org/reports/tr29/), with two exceptions. White space never shares a cluster with other
characters. Every combining mark belongs to the character before it: `\\X` separates some vowel signs and tone marks of
Myanmar, Tai Tham and Ahom from their consonants, so that a name would end before its last vowel.
"""

from typing import Literal, NamedTuple, Self

import numpy as np
import regex
from numpy.typing import NDArray

WordRule = Literal["unicode", "whitespace", "tokenizer"]
"""The definition of a word.

`unicode`: a run of letters and digits with their combining marks. Every other character that is not white space is a
word of its own: punctuation, symbols, and the letters of scripts without spaces between words. This is the
`BasicTokenizer` of BERT (https://github.com/google-research/bert, tokenization.py), but symbols, kana, Hangul and the
scripts of South East Asia are treated like punctuation and Chinese characters.
`whitespace`: the text between white space, as in `str.split`.
`tokenizer`: the words of the tokenizer, the default of format version 1.
"""

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

_SPACE, _IN_WORD, _SEPARATE = 0, 1, 2
_KIND_BITS = 2
_CLASSES = ("Other", "Control", "Extend", "SpacingMark", "Prepend", "L", "V", "T", "LV", "LVT", "Sequence")
"""Classes of code points that decide where a cluster begins, in the bits above the kind.

`Control` includes white space. `Sequence` depends on more than its neighbors: joiners of emoji, letters of flags, and
the signs that join consonants of Indic scripts.
"""
_BLOCK = 256
_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}\p{M}]")
_NO_SPACES = regex.compile(
    r"(?V1)[[\p{L}\p{Nl}]&&[\p{lb=SA}\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{scx=Hang}\p{scx=Yiii}]]"
)
"""Letters of scripts without spaces between words, and Hangul, because Korean particles follow a word without one."""
_OF_CLASS = regex.compile(
    r"(?P<Sequence>[\p{GCB=ZWJ}\p{RI}\p{ccc=9}])|(?P<Control>[\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}])|"
    + "|".join(rf"(?P<{name}>\p{{GCB={name}}})" for name in _CLASSES[2:-1])
    + r"|(?P<SpacingMark>\p{M})"
)
_CLUSTER = regex.compile(r"\p{GCB=Control}|\X(?:(?=\p{M})\X)*+")

_kinds = np.zeros(0x110000, dtype=np.uint8)
_known = np.zeros(len(_kinds) // _BLOCK, dtype=bool)


class Words(NamedTuple):
    """The words of a text that have their own token.

    Attributes:
        tokens: `[words]`, the position of the token that represents each word, in order.
        starts: `[words]`, the offset of its first character in the text.
        ends: `[words]`, the end offset of its last character.
        rule: the definition of a word.
    """

    tokens: Positions
    starts: Positions
    ends: Positions
    rule: WordRule


class Characters(NamedTuple):
    """Properties of each code point of a text.

    Attributes:
        space: `[characters]`, whether it is white space.
        begins: `[characters]`, whether it starts a grapheme cluster.
        kinds: `[characters]`, whether it is white space, part of a word, or a word of its own.
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
                _fill_block(block)
        kinds = _kinds[codes]
        classes = kinds >> _KIND_BITS
        kinds &= _SPACE | _IN_WORD | _SEPARATE
        space = kinds == _SPACE
        begins = np.ones(len(kinds), dtype=bool)
        if classes.max(initial=0) > _CONTROL:
            begins[1:] = ~_JOINED[classes[:-1], classes[1:]]
            sequences = np.flatnonzero(classes == _IN_SEQUENCE)
            if len(sequences):
                _mark_clusters(text, sequences, space, begins)
        return cls(space, begins, kinds)


def _fill_block(block: int) -> None:
    """Fill the table for 256 code points; concurrent threads write the same values."""
    start = block * _BLOCK
    text = "".join(map(chr, range(start, start + _BLOCK)))
    kinds = np.full(_BLOCK, _SEPARATE, dtype=np.uint8)
    kinds[[match.start() for match in _LETTER_OR_DIGIT.finditer(text)]] = _IN_WORD
    kinds[[match.start() for match in _NO_SPACES.finditer(text)]] = _SEPARATE
    for match in _OF_CLASS.finditer(text):
        kinds[match.start()] |= _CLASSES.index(match.lastgroup or "Other") << _KIND_BITS
    kinds[[index for index, character in enumerate(text) if character.isspace()]] = _CONTROL << _KIND_BITS
    _kinds[start : start + _BLOCK] = kinds
    _known[block] = True


def _joined() -> Flags:
    """Return `[classes, classes]`, whether two consecutive code points share a cluster: rules GB4 to GB9b of #29."""
    joined = np.zeros((len(_CLASSES), len(_CLASSES)), dtype=bool)
    joined[:, [_CLASSES.index("Extend"), _CLASSES.index("SpacingMark")]] = True
    joined[_CLASSES.index("Prepend")] = True
    for first, second in (("L", "L V LV LVT"), ("LV", "V T"), ("V", "V T"), ("LVT", "T"), ("T", "T")):
        joined[_CLASSES.index(first), [_CLASSES.index(name) for name in second.split()]] = True
    joined[_CONTROL, :] = joined[:, _CONTROL] = False
    return joined


_CONTROL, _IN_SEQUENCE = _CLASSES.index("Control"), _CLASSES.index("Sequence")
_JOINED = _joined()


def _mark_clusters(text: str, sequences: Positions, space: Flags, begins: Flags) -> None:
    """Mark the clusters of the text between white space around `sequences`, in place."""
    spaces = np.flatnonzero(space)
    bounds = np.concatenate(([-1], spaces, [len(text)]))
    for after in np.unique(np.searchsorted(spaces, sequences)).tolist():
        start, end = int(bounds[after]) + 1, int(bounds[after + 1])
        begins[start:end] = False
        begins[[start + match.start() for match in _CLUSTER.finditer(text[start:end])]] = True


def word_bounds(characters: Characters, rule: Literal["unicode", "whitespace"]) -> tuple[Positions, Positions]:
    """Return the start and end offsets of the words of a text, in order.

    Args:
        characters: the characters of the text.
        rule: the definition of a word.

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
    """Widen ranges that are not empty to the nearest cluster edges.

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
    """Return `[characters]`, the start of the cluster of each code point."""
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
