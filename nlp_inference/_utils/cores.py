"""The number and the name of the CPU cores of this machine."""

import os
import platform
from functools import cache
from pathlib import Path


def available_cores() -> int:
    """Return the number of cores that are available to this process.

    Example:
        >>> available_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_name() -> str:
    """Return the name of the CPU that Linux reports, or its architecture.

    Example:
        >>> bool(cpu_name())
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    parts = [f"{key} {fields[key]}" for key in ("CPU implementer", "CPU part") if key in fields]  # ARM has no name
    return fields.get("model name") or platform.processor() or ", ".join([platform.machine(), *parts])
