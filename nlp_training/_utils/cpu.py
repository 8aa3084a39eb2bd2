"""What a process of a run takes of a CPU: threads, and memory that is not given back at every step."""

import ctypes
import os

import torch

from nlp_inference._utils.cores import available_cores


def use_cpu_threads(threads: int | None) -> None:
    """Set the threads of this process.

    `accelerate launch` and `torchrun` start processes with `OMP_NUM_THREADS=1` unless the variable is set, which leaves
    the other cores idle. So a value of 1 does not count in processes that they started; `threads` does.

    Args:
        threads: how many; `None` takes `OMP_NUM_THREADS`, as containers set it. Where it is not set, the cores that
            this process may use are shared among the processes of this machine.

    Example:
        >>> before = torch.get_num_threads()
        >>> use_cpu_threads(1)
        >>> torch.get_num_threads()
        1
        >>> use_cpu_threads(before)
    """
    torch.set_num_threads(threads or _threads_of_environment() or max(1, available_cores() // local_processes()))


def _threads_of_environment() -> int | None:
    """`OMP_NUM_THREADS`, whose first number counts where it names one for each level of nesting."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = int(first) if first.isdecimal() else 0
    is_default_of_launcher = threads == 1 and not _LAUNCHERS.isdisjoint(os.environ)
    return None if threads < 1 or is_default_of_launcher else threads


_LAUNCHERS = {"LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"}
"""Variables that torchrun and `accelerate launch` set."""


def local_processes() -> int:
    """The processes of this run on this machine, as their launcher says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep the memory of gradients and activations from one training step to the next.

    glibc gives large blocks back to the system as soon as they are free, and every step then pays for some twenty
    thousand page faults, about a tenth of its time with a small model. The peak of memory stays what it was, but what
    the process once took it keeps: this changes the whole process, for good. Where the C library is another, nothing is
    done. See mallopt(3), `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD`.

    Returns:
        Whether the C library took it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc, or not a system where a process can ask for itself
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER))
