"""How many threads a process of a run takes on a CPU."""

import os

import torch


def use_cpu_threads(threads: int | None) -> None:
    """Set the threads of this process.

    `accelerate launch` starts processes with one thread (`OMP_NUM_THREADS=1`) unless it is told otherwise, which leaves
    the other cores idle.

    Args:
        threads: how many; `None` shares the cores that this process may use among the processes of this machine.

    Example:
        >>> before = torch.get_num_threads()
        >>> use_cpu_threads(1)
        >>> torch.get_num_threads()
        1
        >>> use_cpu_threads(before)
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, cores // local_processes))
