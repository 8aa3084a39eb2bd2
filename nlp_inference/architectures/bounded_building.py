"""Protection against an untrusted configuration that describes a model much larger than its weights."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules import module as torch_module

from nlp_inference.errors import ArtefactError

_TIMES = 8
"""Allowed factor, because quantized weights may pack up to eight numbers into one."""
_PARAMETERS, _MODULES, _NUMBERS, _BUFFER_NUMBERS = 10_000, 40_000, 2**24, 2**27
"""Allowed excess for any model, such as a newly initialized head."""


@contextmanager
def bounded_building(shapes: Collection[tuple[int, ...]], *, source: str) -> Iterator[None]:
    """Raise an error as soon as the modules that this thread builds are much larger than their weights.

    transformers first builds a model on the meta device and then loads the weights, so the error is raised before
    memory is allocated. Only the calling thread is monitored.

    Args:
        shapes: the shapes of the weight tensors.
        source: the location of the model, for the message.

    Raises:
        ArtefactError: the model exceeds the limits.

    Example:
        >>> with bounded_building([(2, 2)], source="model"), torch.device("meta"):
        ...     _ = torch.nn.Linear(10_000, 10_000)
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: config.json of 'model' describes a model of more than 16777248 numbers, ...
    """
    stored = sum(_numbers(shape) for shape in shapes)
    owner = threading.get_ident()
    limits = {
        "parameters": _TIMES * len(shapes) + _PARAMETERS,
        "modules": _TIMES * len(shapes) + _MODULES,
        "numbers": _TIMES * stored + _NUMBERS,
        "numbers in buffers": _TIMES * stored + _BUFFER_NUMBERS,
    }
    counts = dict.fromkeys(limits, 0)

    def count(kind: str, more: int) -> None:
        if threading.get_ident() != owner:
            return
        counts[kind] += more
        if counts[kind] > limits[kind]:
            raise ArtefactError(
                f"config.json of {source!r} describes a model of more than {limits[kind]} {kind}, but its weights are "
                f"{len(shapes)} tensors of {stored} numbers; nothing was loaded: fetch or save the model again"
            )

    def parameter(_: Any, __: str, value: torch.Tensor | None) -> None:
        if value is not None:
            count("parameters", 1)
            count("numbers", value.numel())

    def buffer(_: Any, __: str, value: torch.Tensor | None) -> None:
        if value is not None:
            count("numbers in buffers", value.numel())

    hooks = (
        torch_module.register_module_parameter_registration_hook(parameter),
        torch_module.register_module_buffer_registration_hook(buffer),
        torch_module.register_module_module_registration_hook(lambda *_: count("modules", 1)),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _numbers(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
