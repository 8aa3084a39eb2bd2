"""Compare the CPU seconds of the near-duplicate search with comparing every pair.

    python benchmarks/check_data.py [--texts 100000] [--pairs 2000]

The texts are generated utterances of about sixty characters; one in twenty is an earlier one with a changed word.
Comparing every pair is exact, but its time grows with the square of the number of texts: it is measured on `--pairs`
texts and extrapolated to `--texts`. The table also shows what each method finds among the first `--pairs` texts.
"""

import argparse
import random
import time
from itertools import combinations

from rich.console import Console
from rich.table import Table

from nlp_training.data_report.near_duplicates import THRESHOLD, NearDuplicates, NearText, shingles

WORDS = "where is my new card please why was the transfer to another account declined today and how long will it take"
CHUNK = 256


def generated_texts(*, count: int, seed: int) -> list[str]:
    """Generate utterances of eleven words, one of which is unique."""
    rng = random.Random(seed)
    words = WORDS.split()
    texts: list[str] = []
    for number in range(count):
        if texts and rng.random() < 0.05:
            texts.append(rng.choice(texts).replace(rng.choice(words), "", 1))
        else:
            texts.append(" ".join([*rng.choices(words, k=10), f"{number:06x}"]))
    return texts


def search(texts: list[str]) -> set[int]:
    """Return the positions of the texts that are near-duplicates of an earlier one, found by `check-data`."""
    near = NearDuplicates(texts.__getitem__)
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        near.add([NearText(text, start + index) for index, text in enumerate(chunk)], group=0)
    return {found.position for found in near.find()}


def every_pair(texts: list[str]) -> set[int]:
    """Return the same positions by comparing every pair."""
    sets = [shingles(text) for text in texts]
    return {
        later
        for earlier, later in combinations(range(len(texts)), 2)
        if len(sets[earlier] & sets[later]) >= THRESHOLD * len(sets[earlier] | sets[later])
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    arguments = parser.parse_args()
    texts = generated_texts(count=arguments.texts, seed=0)
    few = texts[: arguments.pairs]
    started = time.process_time()
    found = search(texts)
    ours = time.process_time() - started
    started = time.process_time()
    exact = every_pair(few)
    theirs = (time.process_time() - started) * (len(texts) / len(few)) ** 2
    characters = sum(map(len, texts)) / len(texts)
    table = Table(title=f"near-duplicates among {len(texts):,} texts of {characters:.0f} characters")
    for name in ("", "seconds", "ratio", "found", f"found of the first {len(few):,}"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("check-data", f"{ours:.1f}", "1", f"{len(found):,}", f"{len(search(few)):,}")
    table.add_row("every pair", f"{theirs:,.0f} (estimated)", f"{theirs / ours:,.0f}", "", f"{len(exact):,}")
    Console().print(table)


if __name__ == "__main__":
    main()
