"""Descriptor of the PyTorch backend, which runs the weights directly. This module does not import torch."""

from functools import partial
from types import MappingProxyType

from nlp_inference.backends.descriptors import (
    BFLOAT16_TOLERANCE,
    FLOAT16_TOLERANCE,
    FLOAT32_TOLERANCE,
    BackendDescriptor,
    load_class,
)
from nlp_inference.hub import WEIGHT_FILES

TORCH = BackendDescriptor(
    name="torch",
    library="PyTorch",
    modules=("torch",),
    extra="torch",
    runtime="torch",
    tolerances=MappingProxyType(
        {"float32": FLOAT32_TOLERANCE, "float16": FLOAT16_TOLERANCE, "bfloat16": BFLOAT16_TOLERANCE}
    ),
    load=partial(load_class, "nlp_inference.backends.torch:TorchBackend"),
    weights=WEIGHT_FILES,
    auto_rank=0,  # the weights are what the evaluation scored
    auto_unseen=True,
    lower_precision="bfloat16",
)
