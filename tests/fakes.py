"""Backends that are no models: one answers by a script, one writes down what it was asked."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Processor, TokenClassification
from nlp_inference.tasks.numeric import CERTAIN

Batch = Mapping[str, NDArray[np.int64]]


class ScriptedBackend:
    """Is certain of chosen phrases and of nothing else: their tokens get the tags of their label, all others `O`."""

    threads = 1

    def __init__(self, processor: Processor, phrases: Mapping[str, str], *, token_budget: int = 2048) -> None:
        assert isinstance(processor.task, TokenClassification)
        self.token_budget = token_budget
        self.scheme = processor.task.tag_scheme
        encode = processor.tokenizer.backend_tokenizer.encode
        self.phrases = {tuple(encode(phrase, add_special_tokens=False).ids): label for phrase, label in phrases.items()}

    def forward(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        tags = np.stack([self._tags(row.tolist()) for row in batch["input_ids"]])
        return {"logits": np.eye(len(self.scheme.tags), dtype=np.float32)[tags] * CERTAIN}

    def _tags(self, ids: list[int]) -> NDArray[np.int64]:
        found = [
            (start, start + len(phrase), label)
            for phrase, label in self.phrases.items()
            for start in range(len(ids))
            if tuple(ids[start : start + len(phrase)]) == phrase
        ]
        return self.scheme.encode(len(ids), found)


class RecordingBackend:
    """Writes down every batch and answers zeros."""

    threads = 1

    def __init__(self, processor: Processor, *, token_budget: int = 2048) -> None:
        self.token_budget = token_budget
        self.batches: list[dict[str, NDArray[np.int64]]] = []
        self._tasks = {f"{head}_" if head else "": task for head, task in processor.task.tasks.items()}

    def forward(self, batch: Batch) -> dict[str, NDArray[np.float32]]:
        self.batches.append({name: array.copy() for name, array in batch.items()})
        rows, tokens = batch["input_ids"].shape
        shapes = {
            prefix: (rows, *([tokens] if task.needs == "spans" else []), task.model_settings()["num_labels"])
            for prefix, task in self._tasks.items()
        }
        return {f"{prefix}logits": np.zeros(shape, dtype=np.float32) for prefix, shape in shapes.items()}
