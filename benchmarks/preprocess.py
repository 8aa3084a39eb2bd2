"""Compare characters per second of six regular expressions: with alignment, with `re.sub`, and in two other libraries.

    python benchmarks/preprocess.py [--input texts.jsonl] [--rounds 9]  # with medkit-lib and edsnlp installed

One process, the same texts, interleaved rounds, median of the rounds. This library processes each text as a Document
and creates the map between raw and current text. `re.sub` keeps no offsets, so it is the upper limit. medkit's
RegexpReplacer keeps them in its segments. The normalizer of edsnlp keeps them in its tokens and supports five of the
six patterns: it removes links, tags, entities and spaces, and straightens quotes, but replaces nothing; its time
includes tokenization.
"""

import argparse
import json
import random
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nlp_inference.document import Document
from nlp_inference.transforms import Compose, ReplaceRegex

RULES = [
    (r"https?://\S+", "[URL]"),
    (r"<[^>]+>", ""),
    (r"&(\w+);", ""),
    ("[“”]", '"'),
    (r"\d+", "0"),
    (r"\s+", " "),
]
Run = Callable[[str], str]


def generated_texts(*, count: int, seed: int) -> list[str]:
    """Generate messages with HTML of a few hundred characters each."""
    rng = random.Random(seed)
    sentence = "please see the recipe “here” it takes about boil water&nbsp;then add salt and wait for the pasta"
    words = sentence.split()
    extras = ["https://example.org/a?b=1", "<p>", "</p>", "<b>hot</b>", "250", "10&deg;C", "\n", "  ", "\u00a0"]
    return [
        " ".join(rng.choice(extras) if rng.random() < 0.1 else rng.choice(words) for _ in range(rng.randint(20, 200)))
        for _ in range(count)
    ]


def read_texts(path: Path) -> list[str]:
    """Return the "text" of every record of a JSON Lines file."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line)["text"] for line in lines if line.strip()]


def ours() -> Run:
    """Return a function that runs the chain on Documents, including the map between both texts."""
    chain = Compose([ReplaceRegex(pattern=pattern, replacement=replacement) for pattern, replacement in RULES])

    def run(text: str) -> str:
        aligned = chain(Document(raw_text=text)).aligned
        _ = aligned.alignment
        return aligned.current

    return run


def plain() -> Run:
    """Return a function that applies `re.sub` for each pattern, without offsets."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in RULES]

    def run(text: str) -> str:
        for pattern, replacement in compiled:
            text = pattern.sub(replacement, text)
        return text

    return run


def medkit() -> Run | None:
    """Return a function that uses medkit's RegexpReplacer, if it is installed."""
    try:
        from medkit.core.text import Segment, Span
        from medkit.text.preprocessing import RegexpReplacer
    except ImportError:
        return None
    replacers = [RegexpReplacer(output_label="clean", rules=[rule]) for rule in RULES]

    def run(text: str) -> str:
        segments = [Segment(label="raw", text=text, spans=[Span(0, len(text))])]
        for replacer in replacers:
            segments = replacer.run(segments)
        return segments[0].text

    return run


def edsnlp() -> Run | None:
    """Return a function that uses edsnlp's normalizer with the patterns it supports, if it is installed."""
    try:
        import edsnlp as eds
        from edsnlp.matchers.utils import get_text
        from edsnlp.pipes.core.normalizer.pollution.patterns import default_enabled
    except ImportError:
        return None
    links, tags, entities = (pattern for pattern, _ in RULES[:3])
    pollution = {**dict.fromkeys(default_enabled, False), "links": links, "tags": tags, "entities": entities}
    normalizer = eds.blank("eds")
    config = {"lowercase": False, "accents": False, "quotes": True, "spaces": True, "pollution": pollution}
    normalizer.add_pipe("eds.normalizer", config=config)
    return lambda text: get_text(normalizer(text), attr="NORM", ignore_excluded=True)


def seconds(run: Run, texts: list[str]) -> float:
    """Return the wall time of one pass over all texts."""
    start = time.perf_counter()
    for text in texts:
        run(text)
    return time.perf_counter() - start


def measure(contenders: dict[str, Run | None], *, texts: list[str], rounds: int) -> dict[str, float]:
    """Return the characters per second of every installed contender: the median of interleaved rounds."""
    characters = sum(map(len, texts))
    times: dict[str, list[float]] = {name: [] for name, run in contenders.items() if run is not None}
    for _ in range(rounds):
        for name, run in contenders.items():
            if run is not None:
                times[name].append(seconds(run, texts))
    return {name: characters / statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help='JSON Lines with "text"; default: generated texts')
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    texts = read_texts(arguments.input) if arguments.input else generated_texts(count=800, seed=0)
    limit, us, peers = "re.sub, no alignment", "nlp_inference, aligned", {"medkit-lib": medkit(), "edsnlp": edsnlp()}
    contenders = {limit: plain(), us: ours(), **peers}
    speeds = measure(contenders, texts=texts, rounds=arguments.rounds)
    table = Table(title=f"six patterns on {len(texts)} texts, {sum(map(len, texts)):,} characters")
    for heading in ("", "M characters/s", "of re.sub", *(f"times {peer}" for peer in peers)):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in contenders:
        if name in speeds:
            ratios = (f"{speeds[name] / speeds[peer]:.1f}" if peer in speeds else "–" for peer in peers)
            table.add_row(name, f"{speeds[name] / 1e6:.2f}", f"{speeds[name] / speeds[limit]:.2f}", *ratios)
        else:
            table.add_row(name, f"not installed (pip install {name})")
    differing = sum(contenders[limit](text) != contenders[us](text) for text in texts)
    Console().print(table)
    print(f"texts on which nlp_inference and re.sub differ: {differing}")


if __name__ == "__main__":
    main()
