"""Detection of machines that compute in bfloat16 natively rather than by emulation."""

import warnings

import torch


class PrecisionWarning(UserWarning):
    """Weights are loaded in a precision that this machine emulates."""


def has_fast_bf16(*, on_cpu: bool) -> bool:
    """Return whether this machine multiplies bfloat16 matrices faster than float32 ones, according to PyTorch."""
    if not on_cpu:
        return torch.cuda.is_available() and bool(torch.cuda.is_bf16_supported(including_emulation=False))
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # missing in older versions of PyTorch
    capabilities = get_capabilities() if get_capabilities is not None else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def warn_of_emulation(dtype: str, device: torch.device) -> None:
    """Warn if a CPU without bfloat16 emulates it, because another precision is faster.

    Warns:
        PrecisionWarning: bfloat16 is emulated; measured at a third of the speed of float32 (docs/benchmarks.md).
    """
    if dtype == "bfloat16" and device.type == "cpu" and not has_fast_bf16(on_cpu=True):
        warnings.warn(
            "this CPU has no bfloat16, which is emulated at a third of the speed of float32; use float32, or int8 "
            "after `nlp-training export`",
            PrecisionWarning,
            stacklevel=2,
        )
