"""CPU settings of a process: its threads, and memory that is reused between training steps."""

import ctypes
import os

import torch

from nlp_inference._utils.cores import available_cores


def use_cpu_threads(threads: int | None) -> None:
    """Set the threads of this process.

    `accelerate launch` and `torchrun` start processes with `OMP_NUM_THREADS=1` unless the variable is set, which leaves
    the other cores idle. So a value of 1 in the environment is ignored in processes that they start.

    Args:
        threads: the number of threads. `None` means `OMP_NUM_THREADS`, which containers set. If it is not set, the
            processes of this machine share the cores that this process may use.

    Example:
        >>> before = torch.get_num_threads()
        >>> use_cpu_threads(1)
        >>> torch.get_num_threads()
        1
        >>> use_cpu_threads(before)
    """
    torch.set_num_threads(threads or _threads_of_environment() or max(1, available_cores() // local_processes()))


def _threads_of_environment() -> int | None:
    """Return the number in `OMP_NUM_THREADS`, or the first one if it has a number for each nesting level."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = int(first) if first.isdecimal() else 0
    is_default_of_launcher = threads == 1 and not _LAUNCHERS.isdisjoint(os.environ)
    return None if threads < 1 or is_default_of_launcher else threads


_LAUNCHERS = {"LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"}
"""Variables that torchrun and `accelerate launch` set."""


def local_processes() -> int:
    """Return the number of processes of this run on this machine, as set by the launcher."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Make the C library reuse the memory of gradients and activations in the next training step.

    glibc returns large freed blocks to the system, so every step causes about twenty thousand page faults, about a
    tenth of its time with a small model. The peak memory does not change, but the process keeps the memory that it once
    used. This changes the entire process permanently. With other C libraries this function does nothing. See
    mallopt(3), `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD`.

    Returns:
        Whether the C library accepted the setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc, or a system without `CDLL(None)`
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER))
