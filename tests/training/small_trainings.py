"""Trainings of a model of ten numbers, with which a test can stop in many ways in little time."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

EXAMPLES = 24
TIMES = ("runtime", "per_second")


class Small(torch.nn.Module):
    """A linear classifier with dropout, so that weights depend on the state of the random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.linear(self.dropout(x))
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def examples(count: int, seed: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 4, generator=generator)
    return [{"x": one, "labels": (one.sum() > 0).long()} for one in inputs]


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "num_train_epochs": 3,
        "learning_rate": 0.1,
        "report_to": "none",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "seed": 1,
    }
    return TrainingArguments(**values | changes)


def small_trainer(
    kind: type[Trainer], folder: Path, *, callbacks: Sequence[TrainerCallback] = (), **changes: Any
) -> Trainer:
    """A Trainer of the model, six batches an epoch."""
    torch.manual_seed(7)
    trainer = kind(
        Small(),
        arguments(folder, **changes),
        train_dataset=examples(EXAMPLES, 1),
        eval_dataset=examples(8, 2),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


def without_times(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if not key.endswith(TIMES)} for one in log]


def state_in(checkpoint: Path) -> dict[str, Any]:
    state = json.loads((checkpoint / "trainer_state.json").read_bytes())
    best = state["best_model_checkpoint"]
    return state | {
        "log_history": without_times(state["log_history"]),
        "best_model_checkpoint": best and Path(best).name,
    }
