"""Our part of benchmarks/train.py: a run whose training is timed by what it does, and whose padding is counted.

python benchmarks/timed_training.py CONFIG key=value ...   # prints one line of JSON at the end
"""

import json
import sys
from collections import defaultdict
from time import perf_counter

from accelerate import Accelerator
from rich.console import Console

from nlp_inference.quiet import quiet_libraries
from nlp_training import load_config, train
from nlp_training.collator import DocumentCollator
from nlp_training.trainer import DocumentTrainer

SECONDS = defaultdict(float)
TOKENS = defaultdict(int)


def timed(name, function):
    def measured(*args, **kwargs):
        started = perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            SECONDS[name] += perf_counter() - started

    return measured


def with_timed_step(create):
    def created(trainer):
        optimizer = create(trainer)
        optimizer.step = timed("optimiser", optimizer.step)
        return optimizer

    return created


def counted(collate):
    def collated(collator, features):
        batch = collate(collator, features)
        mask = batch["attention_mask"]
        TOKENS["all"] += mask.numel()
        TOKENS["padding"] += mask.numel() - int(mask.sum())
        return batch

    return collated


def main(config, overrides):
    quiet_libraries()
    DocumentTrainer.compute_loss = timed("forward", DocumentTrainer.compute_loss)
    Accelerator.backward = timed("backward", Accelerator.backward)
    Accelerator.clip_grad_norm_ = timed("optimiser", Accelerator.clip_grad_norm_)
    DocumentTrainer.create_optimizer = with_timed_step(DocumentTrainer.create_optimizer)
    DocumentTrainer.evaluate = timed("evaluation", DocumentTrainer.evaluate)
    DocumentCollator.__call__ = counted(DocumentCollator.__call__)
    result = train(load_config(config, overrides), console=Console(file=sys.stderr))
    log = json.loads((result.model / "training_log.json").read_text())
    seconds = next(entry["train_runtime"] for entry in log if "train_runtime" in entry)
    within = SECONDS["forward"] + SECONDS["backward"] + SECONDS["optimiser"]
    training = seconds - SECONDS["evaluation"]
    measured = {
        "seconds": seconds,
        "training_seconds": training,
        "outside": 1 - within / training,
        "padding": TOKENS["padding"] / TOKENS["all"],
    }
    print(json.dumps({"metrics": result.metrics, **measured}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
