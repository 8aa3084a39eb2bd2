"""Training on a CPU keeps the memory of a step for the next one."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from nlp_training._utils.cpu import keep_freed_memory

if {keep}:
    assert keep_freed_memory()

def step():
    blocks = [torch.ones(2**20) for _ in range(30)]  # 4 MiB each, all of them free after the step

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


def _faults_per_step(*, keep: bool) -> int:
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_of_a_step_serves_the_next_one() -> None:
    """A step of 30 blocks of 4 MiB touches 30 720 pages, every time anew unless the C library keeps them."""
    is_glibc = platform.libc_ver()[0] == "glibc"
    assert _faults_per_step(keep=is_glibc) < (5_000 if is_glibc else 40_000)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from nlp_training._utils import cpu

    monkeypatch.setattr(cpu.ctypes, "CDLL", lambda _: object())
    assert cpu.keep_freed_memory() is False
