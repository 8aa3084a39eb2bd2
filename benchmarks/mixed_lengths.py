"""The data set `mixed` of benchmarks/train.py: made-up documents of log-normal length, as tokens and tags."""

import json
import re
from itertools import pairwise
from math import log
from pathlib import Path
from random import Random

from nlp_training.data import generate_documents
from nlp_training.data.tags import spans_to_tags

SIZES = {"train": 1200, "test": 300}
WORDS_MEAN, WORDS_SIGMA, WORDS_MAX = 49, 0.8, 200
WORD = re.compile(r"\S+")


def write_mixed(folder: Path, sizes: dict[str, int] = SIZES) -> None:
    """Write `mixed.train.jsonl` and `mixed.test.jsonl`, the same each time; the test set is of other templates."""
    for split, size in sizes.items():
        lines = (json.dumps({"tokens": tokens, "tags": tags}) for tokens, tags in mixed_documents(split, size))
        (folder / f"mixed.{split}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def mixed_documents(split: str, size: int):
    """Cut the made-up documents of a split, put behind one another, where no span is; no word is used twice."""
    rng = Random(0)
    stream = tagged_words(split)
    words = []
    for _ in range(size):
        length = drawn_length(rng)
        while len(words) <= 2 * WORDS_MAX:
            words.append(next(stream))
        end = next(place for place in (*range(length, 0, -1), *range(length, len(words))) if begins_here(words[place]))
        yield [token for token, _ in words[:end]], [tag for _, tag in words[:end]]
        words = words[end:]


def drawn_length(rng: Random, *, mean: float = WORDS_MEAN, sigma: float = WORDS_SIGMA, longest: int = WORDS_MAX) -> int:
    """Words of a document: `mean` in the mean, but for the few that would be longer than `longest`."""
    return min(longest, max(1, round(rng.lognormvariate(log(mean) - sigma**2 / 2, sigma))))


def begins_here(word: tuple[str, str]) -> bool:
    """Whether a document may begin with this word, as it does not go on with a span."""
    return not word[1].startswith("I-")


def tagged_words(split: str):
    """The words of the documents that are not messed up, also cut where spans begin and end, each with its tag."""
    for document in generate_documents(split=split, size=10**9):
        if document.metadata["mess"] or document.metadata["template"].startswith("html"):
            continue
        edges = {place for span in document.gold.spans for place in (span.start, span.end)}
        offsets = [
            piece for match in WORD.finditer(document.raw_text) for piece in cut(match.start(), match.end(), edges)
        ]
        tags = spans_to_tags(document.gold.spans, offsets)
        yield from ((document.raw_text[start:end], tag) for (start, end), tag in zip(offsets, tags, strict=True))


def cut(start: int, end: int, edges: set[int]) -> list[tuple[int, int]]:
    """A stretch of the text in parts, divided at the edges within it."""
    places = [start, *sorted(edge for edge in edges if start < edge < end), end]
    return list(pairwise(places))
