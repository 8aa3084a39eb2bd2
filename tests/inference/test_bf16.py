"""Weights in bfloat16 on a CPU that has none are said to be slow."""

import warnings

import pytest
import torch

from nlp_inference import Processor
from nlp_inference.backends.bf16 import PrecisionWarning, warn_of_emulation
from nlp_inference.backends.torch import TorchBackend


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_a_cpu_without_bfloat16_warns(dtype, saved_model, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True}, raising=False)
    with pytest.warns(PrecisionWarning, match="use float32, or int8"):
        TorchBackend.from_pretrained(
            saved_model, task=Processor.from_pretrained(saved_model).task, device="cpu", dtype=dtype
        )


@pytest.mark.parametrize(
    ("dtype", "device", "capabilities"),
    [("float32", "cpu", {}), ("bfloat16", "cuda", {}), ("bfloat16", "cpu", {"avx512_bf16": True})],
)
def test_all_else_is_silent(dtype, device, capabilities, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_emulation(dtype, torch.device(device))
