"""Train a run for benchmarks/train.py and measure the time of its parts and its padding.

    python benchmarks/timed_training.py CONFIG key=value ...   # prints one line of JSON at the end

Evaluations, checkpoints and logging, which the baselines do not have, are subtracted from the seconds and the share
outside.
"""

import json
import sys
from collections import defaultdict
from time import perf_counter

import torch
from accelerate import Accelerator
from rich.console import Console

from nlp_inference._utils.quiet import quiet_libraries
from nlp_training import load_config, train
from nlp_training.trainer import DocumentTrainer

SECONDS = defaultdict(float)
OF_TRAINING = {}
TOKENS = defaultdict(int)
RUNNING = []


def timed(name, function):
    """Count the seconds of a function under a name, without counting nested timed calls twice."""

    def measured(*args, **kwargs):
        if RUNNING:
            return function(*args, **kwargs)
        RUNNING.append(name)
        started = perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            SECONDS[name] += perf_counter() - started
            RUNNING.pop()

    return measured


def ending_training(finalize):
    """Freeze the counts at the last step, because Trainer's training seconds end there."""

    def ended(*args, **kwargs):
        OF_TRAINING.update(SECONDS)
        return finalize(*args, **kwargs)

    return ended


def with_timed_step(create):
    def created(trainer):
        optimizer = create(trainer)
        optimizer.step = timed("optimizer", optimizer.step)
        return optimizer

    return created


def counted(compute_loss):
    """Count the tokens of each batch in the process that trains; on a GPU, loader workers make the batches.

    The sums stay on the device until the end, because reading them would wait for it.
    """

    def computed(trainer, model, inputs, *args, **kwargs):
        mask = inputs["attention_mask"]
        TOKENS["all"] += mask.numel()
        TOKENS["read"] += mask.sum()
        return compute_loss(trainer, model, inputs, *args, **kwargs)

    return computed


def main(config, overrides):
    quiet_libraries()
    DocumentTrainer.compute_loss = timed("forward", counted(DocumentTrainer.compute_loss))
    Accelerator.backward = timed("backward", Accelerator.backward)
    Accelerator.clip_grad_norm_ = timed("optimizer", Accelerator.clip_grad_norm_)
    DocumentTrainer.create_optimizer = with_timed_step(DocumentTrainer.create_optimizer)
    for name in ("evaluate", "_save_checkpoint", "log"):
        setattr(DocumentTrainer, name, timed("taken off", getattr(DocumentTrainer, name)))
    ends = "_finalize_training"
    setattr(DocumentTrainer, ends, ending_training(getattr(DocumentTrainer, ends)))
    result = train(load_config(config, overrides), console=Console(file=sys.stderr))
    log = json.loads((result.model / "training_log.json").read_text())
    seconds = next(entry["train_runtime"] for entry in log if "train_runtime" in entry)
    within = sum(OF_TRAINING[part] for part in ("forward", "backward", "optimizer"))
    training = seconds - OF_TRAINING.get("taken off", 0)
    measured = {
        "seconds": seconds,
        "training_seconds": training,
        "outside": 1 - within / training,
        "padding": 1 - int(TOKENS["read"]) / TOKENS["all"],
        "tokens": int(TOKENS["read"]),
        "memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }
    print(json.dumps({"metrics": result.metrics, **measured}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
