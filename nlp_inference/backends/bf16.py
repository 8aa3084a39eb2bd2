"""Whether a machine computes in bfloat16, or only pretends to."""

import warnings

import torch


class PrecisionWarning(UserWarning):
    """Weights are loaded in a precision that this machine has to emulate."""


def has_fast_bf16(*, on_cpu: bool) -> bool:
    """Whether this machine multiplies bfloat16 matrices faster than float32 ones, as far as PyTorch can tell."""
    if not on_cpu:
        return torch.cuda.is_available() and bool(torch.cuda.is_bf16_supported(including_emulation=False))
    ask = getattr(torch.cpu, "get_capabilities", None)  # older versions of PyTorch cannot tell
    capabilities = ask() if ask is not None else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def warn_of_emulation(dtype: str, device: torch.device) -> None:
    """Say that another precision is the faster one, where a CPU has no bfloat16.

    Warns:
        PrecisionWarning: it is emulated; measured at a third of the speed of float32 (docs/benchmarks.md).
    """
    if dtype == "bfloat16" and device.type == "cpu" and not has_fast_bf16(on_cpu=True):
        warnings.warn(
            "this processor has no bfloat16, which is emulated at a third of the speed of float32; take float32, or "
            "int8 after `nlp-training export`",
            PrecisionWarning,
            stacklevel=2,
        )
