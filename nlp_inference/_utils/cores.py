"""The cores of this machine, and what they are called."""

import os
import platform
from functools import cache
from pathlib import Path


def available_cores() -> int:
    """The cores that this process may use.

    Example:
        >>> available_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_name() -> str:
    """What the processor is called, as Linux says, or the kind that it is of.

    Example:
        >>> bool(cpu_name())
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    parts = [f"{key} {told[key]}" for key in ("CPU implementer", "CPU part") if key in told]  # what ARM has for a name
    return told.get("model name") or platform.processor() or ", ".join([platform.machine(), *parts])
