"""Settings of a run that depend on the machine: data loader workers, and rows per forward pass."""

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
from nlp_training.trainer.base_files import reading_base

SHARE_OF_MEMORY = 0.6
"""The usable share; the rest is for batches, buffers, fragmentation and other programs, which the formula ignores."""

MAX_WORKERS = 4
_BYTES_PER_PARAMETER = 16
"""Weight, gradient and two moments of Adam in 32 bit (Rajbhandari et al., 2020, https://arxiv.org/abs/1910.02054)."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def loader_workers(*, on_cpu: bool) -> int:
    """Return the number of data loader workers: none on a CPU, because the model needs the cores.

    On other devices, each training process gets its share of the free cores, up to `MAX_WORKERS`.
    """
    return 0 if on_cpu else max(0, min(MAX_WORKERS, available_cores() // local_processes() - 1))


def divide_step(training: Mapping[str, Any], model: ModelConfig, *, max_length: int, on_cpu: bool) -> dict[str, int]:
    """Divide a step into batches that fit in memory, so that training does not depend on the machine.

    Args:
        training: the section; a step has `per_device_train_batch_size` times `gradient_accumulation_steps` rows.
        model: the configuration of the model.
        max_length: tokens of the longest row.
        on_cpu: whether training runs on a CPU.

    Returns:
        The two keys with the same product: as many rows as fit, in equal parts.
    """
    rows, steps = int(training["per_device_train_batch_size"]), int(training.get("gradient_accumulation_steps", 1))
    undivided = {"per_device_train_batch_size": rows, "gradient_accumulation_steps": steps}
    if (
        training.get("auto_find_batch_size")
        or training.get("gradient_checkpointing")
        or training.get("activation_checkpointing")
    ):
        return undivided
    with reading_base(model.base):
        config: PretrainedConfig = AutoConfig.from_pretrained(locate_base(model.base), revision=model.revision)
    fit = rows_that_fit(
        config,
        tokens=max_length,
        bytes_per_number=2 if training.get("bf16") or training.get("fp16") else 4,
        keeps_scores=model.training_attention == "eager",
        memory=_memory(on_cpu=on_cpu),
    )
    if fit is None or fit >= rows:
        return undivided
    parts = next(parts for parts in range(2, rows + 1) if not rows % parts and (rows // parts <= fit or parts == rows))
    return {"per_device_train_batch_size": rows // parts, "gradient_accumulation_steps": steps * parts}


def rows_that_fit(
    config: PretrainedConfig, *, tokens: int, bytes_per_number: int, keeps_scores: bool, memory: float | None
) -> int | None:
    """Return how many rows of `tokens` tokens fit in memory, from the size of the activations of a transformer.

    A layer keeps `tokens * hidden * (34 + 5 * heads * tokens / hidden)` bytes per row for its backward pass in 16 bit
    (Korthikanti et al., 2022, https://arxiv.org/abs/2205.05198, equation 1), twice that in 32 bit; attention that is
    computed in blocks does not need the second term.

    Args:
        config: the configuration of the model.
        tokens: tokens of a row.
        bytes_per_number: 2 for 16 bit, 4 for 32 bit.
        keeps_scores: whether attention keeps its scores, as `eager` does.
        memory: the memory in bytes; `None` if it is unknown.

    Returns:
        The number of rows, at least one; `None` if the memory or the size of the model is unknown.

    Example:
        >>> from transformers import BertConfig
        >>> rows_that_fit(BertConfig(), tokens=512, bytes_per_number=4, keeps_scores=True, memory=16e9)
        11
    """
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    hidden, layers, heads, words = (getattr(config, name, None) for name in names)
    if memory is None or not (hidden and layers and heads and words):
        return None
    parameters = words * hidden + layers * 12 * hidden**2
    scores = 5 * heads * tokens / hidden if keeps_scores else 0
    bytes_per_row = layers * tokens * hidden * (34 + scores) * bytes_per_number / 2
    return max(1, int((SHARE_OF_MEMORY * memory - _BYTES_PER_PARAMETER * parameters) // bytes_per_row))


def _memory(*, on_cpu: bool) -> float | None:
    """Return the total memory for this process, not the free memory, so a resumed run divides its steps equally."""
    if not on_cpu:
        return float(torch.accelerator.get_memory_info()[1]) if hasattr(torch.accelerator, "get_memory_info") else None
    limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip() if _CGROUP_LIMIT.is_file() else "max"
    installed = psutil.virtual_memory().total
    return (installed if limit == "max" else min(installed, int(limit))) / local_processes()
