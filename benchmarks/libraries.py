"""CPU time of readers and searches of this library next to packages that could replace them.

    pip install conllu datasketch
    python benchmarks/libraries.py --data FOLDER  # FOLDER/clinc150.{train,test}.jsonl, for texts with near-duplicates

Both search near-duplicates with 24 bands of 5 hashes and compare candidates exactly. CoNLL-U is generated: 3,000
sentences of 20 words, with entities in MISC; this library also makes Documents with spans of it. Medians of rounds that
are interleaved.
"""

import io
import json
from pathlib import Path
from statistics import median
from time import process_time
from typing import Annotated

import conllu
import typer
from datasketch import MinHash, MinHashLSH

from nlp_training.data.formats.conllu_reader import read_conllu
from nlp_training.data_report.near_duplicates import THRESHOLD, NearDuplicates, NearText

SHINGLE = 5
SENTENCES, WORDS = 3000, 20


def our_near_duplicates(texts: list[str]) -> int:
    """Return the number of texts with an earlier near-duplicate."""
    near = NearDuplicates(texts.__getitem__)
    near.add([NearText(text, index) for index, text in enumerate(texts)], group=0)
    return len({found.position for found in near.find()})


def datasketch_near_duplicates(texts: list[str]) -> int:
    """The same with `datasketch`."""
    index = MinHashLSH(threshold=THRESHOLD, num_perm=120, params=(24, 5))
    shingles: list[set[bytes]] = []
    found = 0
    for number, text in enumerate(texts):
        own = {text[at : at + SHINGLE].encode() for at in range(max(1, len(text) - SHINGLE + 1))}
        sketch = MinHash(num_perm=120)
        sketch.update_batch(list(own))
        others = (shingles[other] for other in index.query(sketch))
        found += any(len(own & other) / len(own | other) >= THRESHOLD for other in others)
        index.insert(number, sketch)
        shingles.append(own)
    return found


def generated_conllu() -> str:
    """Return sentences whose third word is a person."""
    rows = (
        f"{number}\tword\t_\t_\t_\t_\t_\t_\t_\tner={'B-PER' if number == 3 else 'O'}" for number in range(1, WORDS + 1)
    )
    sentence = f"# text = {' '.join(['word'] * WORDS)}\n" + "\n".join(rows)
    return "\n\n".join([sentence] * SENTENCES) + "\n\n"


def main(
    data: Annotated[Path, typer.Option(help="Folder with clinc150.train.jsonl and clinc150.test.jsonl.")],
    rounds: Annotated[int, typer.Option(help="Rounds; the median ratio is printed.")] = 3,
) -> None:
    """Print how much more CPU time each package takes."""
    lines = [line for split in ("train", "test") for line in (data / f"clinc150.{split}.jsonl").open(encoding="utf-8")]
    texts = [" ".join(json.loads(line)["text"].split()) for line in lines[:12_000]]
    words = generated_conllu()
    pairs = {
        "near-duplicates, datasketch": (
            lambda: our_near_duplicates(texts),
            lambda: datasketch_near_duplicates(texts),
        ),
        "CoNLL-U, conllu": (
            lambda: sum(
                bool(unit.make().gold) for unit in read_conllu(enumerate(words.split("\n"), 1), "words.conllu")
            ),
            lambda: sum(1 for _ in conllu.parse_incr(io.StringIO(words))),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        ratios = []
        for _ in range(rounds):
            times = [process_time()]
            counts = []
            for run in (ours, theirs):
                counts.append(run())
                times.append(process_time())
            ratios.append((times[2] - times[1]) / (times[1] - times[0]))
        print(f"{name}: {median(ratios):.1f} x the CPU time of this library; found {counts[1]} and {counts[0]}")


if __name__ == "__main__":
    typer.run(main)
