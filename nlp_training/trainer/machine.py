"""What the machine decides of a run: workers that make batches, and how many rows go through the model at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, PretrainedConfig

from nlp_inference._utils.cores import available_cores
from nlp_training._utils.base_model import locate_base
from nlp_training._utils.cpu import local_processes
from nlp_training.config import ModelConfig

SHARE_OF_MEMORY = 0.6
"""Of all there is; the rest is for what the formula does not see: batches, buffers, fragments, other programs."""

MOST_WORKERS = 4
_BYTES_A_PARAMETER = 16
"""Weight, gradient and the two moments of Adam, in 32 bit (Rajbhandari et al., 2020, https://arxiv.org/abs/1910.02054)."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def loader_workers(*, on_cpu: bool) -> int:
    """Processes that make batches beside the training: none on a CPU, whose cores the model needs itself.

    Elsewhere each training process gets its share of the cores that it leaves free, up to `MOST_WORKERS`.
    """
    return 0 if on_cpu else max(0, min(MOST_WORKERS, available_cores() // local_processes() - 1))


def divide_step(training: Mapping[str, Any], model: ModelConfig, *, max_length: int, on_cpu: bool) -> dict[str, int]:
    """Divide a step into batches that fit the memory, so that what is learnt does not depend on the machine.

    Args:
        training: the section; `per_device_train_batch_size` rows times `gradient_accumulation_steps` make a step.
        model: what is trained.
        max_length: tokens of the longest row.
        on_cpu: where.

    Returns:
        The two keys, with the same product: the rows are as many as fit, in equal parts.
    """
    rows, steps = int(training["per_device_train_batch_size"]), int(training.get("gradient_accumulation_steps", 1))
    undivided = {"per_device_train_batch_size": rows, "gradient_accumulation_steps": steps}
    if (
        training.get("auto_find_batch_size")
        or training.get("gradient_checkpointing")
        or training.get("activation_checkpointing")
    ):
        return undivided
    config: PretrainedConfig = AutoConfig.from_pretrained(locate_base(model.base), revision=model.revision)
    fit = rows_that_fit(
        config,
        tokens=max_length,
        bytes_a_number=2 if training.get("bf16") or training.get("fp16") else 4,
        keeps_scores=model.training_attention == "eager",
        memory=_memory(on_cpu=on_cpu),
    )
    if fit is None or fit >= rows:
        return undivided
    parts = next(parts for parts in range(2, rows + 1) if not rows % parts and (rows // parts <= fit or parts == rows))
    return {"per_device_train_batch_size": rows // parts, "gradient_accumulation_steps": steps * parts}


def rows_that_fit(
    config: PretrainedConfig, *, tokens: int, bytes_a_number: int, keeps_scores: bool, memory: float | None
) -> int | None:
    """How many rows of `tokens` tokens can be trained at once, by the activations of a transformer.

    A layer keeps `tokens * hidden * (34 + 5 * heads * tokens / hidden)` bytes a row for its backward pass in 16 bit
    (Korthikanti et al., 2022, https://arxiv.org/abs/2205.05198, equation 1), twice that in 32 bit; attention that is
    computed in blocks keeps nothing of the second term.

    Args:
        config: of the model.
        tokens: of a row.
        bytes_a_number: 2 for 16 bit, 4 for 32.
        keeps_scores: whether attention keeps its scores, as `eager` does.
        memory: bytes that there are; `None`, if that is not known.

    Returns:
        Rows, at least one; `None`, if the memory is not known or the configuration does not say how large the model is.

    Example:
        >>> from transformers import BertConfig
        >>> rows_that_fit(BertConfig(), tokens=512, bytes_a_number=4, keeps_scores=True, memory=16e9)
        11
    """
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    hidden, layers, heads, words = (getattr(config, name, None) for name in names)
    if memory is None or not (hidden and layers and heads and words):
        return None
    parameters = words * hidden + layers * 12 * hidden**2
    scores = 5 * heads * tokens / hidden if keeps_scores else 0
    of_row = layers * tokens * hidden * (34 + scores) * bytes_a_number / 2
    return max(1, int((SHARE_OF_MEMORY * memory - _BYTES_A_PARAMETER * parameters) // of_row))


def _memory(*, on_cpu: bool) -> float | None:
    """All memory that this process may take: not what is free now, so that a resumed run divides its steps alike."""
    if not on_cpu:
        return float(torch.accelerator.get_memory_info()[1]) if hasattr(torch.accelerator, "get_memory_info") else None
    limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip() if _CGROUP_LIMIT.is_file() else "max"
    installed = psutil.virtual_memory().total
    return (installed if limit == "max" else min(installed, int(limit))) / local_processes()
