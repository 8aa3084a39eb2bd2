"""What two texts share: character n-grams, words, subsequences and edits, as numbers that add up over documents."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq, Levenshtein

from nlp_inference.encoding.words import Characters, word_bounds

CHARACTER_ORDER = 6
"""The longest n-grams of chrF, in characters."""

_BETA = 2
"""How much more recall counts than precision in chrF."""

_Floats = NDArray[np.float64]


class Overlap(NamedTuple):
    """How many units two texts have in common, and how many each has."""

    shared: int
    found: int
    gold: int

    @property
    def f1(self) -> float:
        """The F1; 0 for two texts without units, as in `rouge-score`."""
        return 2 * self.shared / max(1, self.found + self.gold)


def with_single_spaces(text: str) -> str:
    """Return a text with one space for each run of white space, and none at its edges.

    Tokenizers such as that of T5 do not keep white space, so it is no difference between texts.
    """
    return " ".join(text.split())


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, for ROUGE.

    A word is a run of letters and digits with their combining marks; every letter of a script without spaces between
    words, such as Japanese, Chinese or Thai, and of Korean, is a word. Punctuation and symbols are omitted. For ASCII
    texts these are the tokens of the package `rouge-score` without its stemmer, which finds no words in other scripts.

    Example:
        >>> words_of("It's 5 o'clock!"), words_of("東京に3日")
        (['it', 's', '5', 'o', 'clock'], ['東', '京', 'に', '3', '日'])
    """
    lowered = text.lower()
    starts, ends = word_bounds(Characters.of(lowered), "unicode")
    found = (lowered[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return [word for word in found if any(map(str.isalnum, word))]


def ngram_overlap(found: Sequence[str], gold: Sequence[str], size: int) -> Overlap:
    """Return how many n-grams two sequences share, each as often as it occurs in both.

    Example:
        >>> ngram_overlap("the cat sat".split(), "the cat ran".split(), 2)
        Overlap(shared=1, found=2, gold=2)
    """
    one, other = (Counter(zip(*(units[start:] for start in range(size)), strict=False)) for units in (found, gold))
    return Overlap((one & other).total(), one.total(), other.total())


def longest_subsequence(found: Sequence[str], gold: Sequence[str]) -> Overlap:
    """Return the length of the longest common subsequence of two sequences, and their lengths.

    Example:
        >>> longest_subsequence("the big cat".split(), "the cat".split())
        Overlap(shared=2, found=3, gold=2)
    """
    return Overlap(LCSseq.similarity(found, gold), len(found), len(gold))


def edits(found: Sequence[str], gold: Sequence[str]) -> int:
    """Return the least number of insertions, deletions and substitutions that make one sequence the other.

    Example:
        >>> edits("a big cat".split(), "the cat".split())
        2
    """
    return int(Levenshtein.distance(found, gold))


def chrf_counts(found: str, gold: str) -> _Floats:
    """Return the counts of chrF `[CHARACTER_ORDER, 3]`: shared, found and gold n-grams of each length.

    White space is omitted. The counts of documents add up to those of a data set.
    """
    one, other = ("".join(text.split()) for text in (found, gold))
    sizes = range(1, CHARACTER_ORDER + 1)
    return np.array([ngram_overlap(one, other, size) for size in sizes], dtype=np.float64)


def chrf(counts: _Floats) -> _Floats:
    """Return chrF of counts, from 0 to 1 (Popović, 2015, https://aclanthology.org/W15-3049/).

    The mean precision and the mean recall are over the lengths of n-grams that both texts have; recall counts four
    times. It is the chrF2 of sacrebleu, which returns it times 100.

    Args:
        counts: `[..., CHARACTER_ORDER, 3]`, sums of `chrf_counts`.

    Returns:
        `[...]`.

    Example:
        >>> chrf(chrf_counts("the cat", "the cat")).item(), round(chrf(chrf_counts("a cat", "the cat")).item(), 3)
        (1.0, 0.312)
    """
    shared, found, gold = (counts[..., index] for index in range(3))
    both = (found > 0) & (gold > 0)
    lengths = np.maximum(both.sum(axis=-1), 1)
    precision, recall = (
        np.divide(shared, total, out=np.zeros_like(shared), where=both).sum(axis=-1) / lengths
        for total in (found, gold)
    )
    total = _BETA**2 * precision + recall
    score: _Floats = np.divide((1 + _BETA**2) * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return score
