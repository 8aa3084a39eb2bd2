"""The number and the name of the CPU cores of this machine."""

import math
import os
import platform
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the number of cores that this process may use: its affinity, limited by the CPU limit of its container.

    A limit of Docker or Kubernetes is a share of the time of all cores and does not change the affinity. More threads
    than this share would be stopped for most of each period. A share of a core counts as a core.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files

    Example:
        >>> available_cores() >= 1
        True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _container_limit() or cores)


def _container_limit() -> int | None:
    """Return the limit of this container in cores, from version 2 or 1 of cgroups; `None` without a limit."""
    try:
        if (file := CGROUPS / "cpu.max").is_file():
            quota, period = file.read_text().split()
        else:
            quota, period = (
                (CGROUPS / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")
            )
        return max(1, math.ceil(int(quota) / int(period))) if quota != "max" and int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


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
