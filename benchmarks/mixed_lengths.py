"""Data set `mixed` of benchmarks/train.py: generated documents of log-normal length, as tokens and tags."""

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
    """Write `mixed.train.jsonl` and `mixed.test.jsonl` deterministically; the test set has other templates."""
    for split, size in sizes.items():
        lines = (json.dumps({"tokens": tokens, "tags": tags}) for tokens, tags in mixed_documents(split, size))
        (folder / f"mixed.{split}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def mixed_documents(split: str, size: int):
    """Concatenate the generated documents of a split and cut them outside spans; no word is used twice."""
    rng = Random(0)
    stream = tagged_words(split)
    words = []
    for _ in range(size):
        length = drawn_length(rng)
        while len(words) <= 2 * WORDS_MAX:
            words.append(next(stream))
        end = next(index for index in (*range(length, 0, -1), *range(length, len(words))) if begins_here(words[index]))
        yield [token for token, _ in words[:end]], [tag for _, tag in words[:end]]
        words = words[end:]


def drawn_length(rng: Random, *, mean: float = WORDS_MEAN, sigma: float = WORDS_SIGMA, longest: int = WORDS_MAX) -> int:
    """Draw the number of words of a document, with the mean `mean` except for truncation at `longest`."""
    return min(longest, max(1, round(rng.lognormvariate(log(mean) - sigma**2 / 2, sigma))))


def begins_here(word: tuple[str, str]) -> bool:
    """Return whether a document may begin with this word, which does not continue a span."""
    return not word[1].startswith("I-")


def tagged_words(split: str):
    """Yield each word of the clean documents with its tag, split at the edges of spans."""
    for document in generate_documents(split=split, size=10**9):
        if document.metadata["mess"] or document.metadata["template"].startswith("html"):
            continue
        edges = {edge for span in document.gold.spans for edge in (span.start, span.end)}
        offsets = [
            piece for match in WORD.finditer(document.raw_text) for piece in cut(match.start(), match.end(), edges)
        ]
        tags = spans_to_tags(document.gold.spans, offsets)
        yield from ((document.raw_text[start:end], tag) for (start, end), tag in zip(offsets, tags, strict=True))


def cut(start: int, end: int, edges: set[int]) -> list[tuple[int, int]]:
    """Split a range of the text at the edges inside it."""
    bounds = [start, *sorted(edge for edge in edges if start < edge < end), end]
    return list(pairwise(bounds))
