"""The descriptor of PyTorch, which runs the weights themselves; importing it does not import torch."""

from pathlib import Path
from types import MappingProxyType

from nlp_inference.backends.base import Backend
from nlp_inference.backends.descriptors import (
    BFLOAT16_TOLERANCE,
    FLOAT16_TOLERANCE,
    FLOAT32_TOLERANCE,
    BackendDescriptor,
)
from nlp_inference.hub import WEIGHT_FILES
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_inference.tasks import Task


def _load(
    folder: Path,
    *,
    task: Task,
    device: str | None,
    dtype: str,
    fingerprint: Fingerprint | None,
    trust_remote_code: bool,
) -> Backend:
    from nlp_inference.backends.torch import TorchBackend

    return TorchBackend.from_pretrained(
        folder, task=task, device=device, dtype=dtype, fingerprint=fingerprint, trust_remote_code=trust_remote_code
    )


TORCH = BackendDescriptor(
    name="torch",
    library="PyTorch",
    modules=("torch",),
    extra="torch",
    runtime="torch",
    tolerances=MappingProxyType(
        {"float32": FLOAT32_TOLERANCE, "float16": FLOAT16_TOLERANCE, "bfloat16": BFLOAT16_TOLERANCE}
    ),
    load=_load,
    weights=WEIGHT_FILES,
    auto_rank=0,  # the weights are what the evaluation scored
    auto_unseen=True,
    lower_precision="bfloat16",
)
