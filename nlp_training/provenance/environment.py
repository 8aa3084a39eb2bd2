"""The machine, packages and environment variables of a run, limited to those that affect results."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import torch

from nlp_inference._utils.cores import available_cores, cpu_name
from nlp_training.provenance.manifest import Hardware

_PACKAGES = (
    "nlp-inference",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "regex",
    "ftfy",
    "rapidfuzz",
    "pydantic",
)
_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_LAUNCH_BLOCKING",
    "DNNL_DEFAULT_FPMATH_MODE",
    "KMP_DETERMINISTIC_REDUCTION",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "PYTHONHASHSEED",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)


def find_hardware() -> Hardware:
    """Return the hardware of this machine.

    Example:
        >>> find_hardware().threads == torch.get_num_threads()
        True
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    devices = range(torch.accelerator.device_count()) if accelerator is not None else ()
    return Hardware(
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        vector=torch.backends.cpu.get_cpu_capability(),
        cores=available_cores(),
        threads=torch.get_num_threads(),
        memory_bytes=_memory(),
        accelerators=tuple(_device_name(str(accelerator), index) for index in devices),
    )


def world_size() -> int:
    """Return the number of processes of this training.

    Example:
        >>> world_size()
        1
    """
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Return whether this is the main process, which writes and prints.

    Example:
        >>> is_main_process()
        True
    """
    return os.environ.get("RANK", "0") == "0"


def package_versions() -> dict[str, str]:
    """Return the versions, with their builds, of the packages that affect results.

    Example:
        >>> package_versions()["torch"] == torch.__version__
        True
    """
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def environment_lock() -> str:
    """Return all installed distributions with their versions, in the format of `pip install --requirement`.

    Example:
        >>> f"torch=={torch.__version__}" in environment_lock().splitlines()
        True
    """
    named = ((one["Name"], one["Version"]) for one in (found.metadata for found in distributions()))
    versions = {name.lower().replace("_", "-"): number for name, number in named if name and number}
    lines = [f"# Python {platform.python_version()}", *(f"{name}=={versions[name]}" for name in sorted(versions))]
    return "\n".join(lines) + "\n"


def deciding_variables() -> dict[str, str]:
    """Return the environment variables that affect results, if they are set."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def command_line() -> tuple[str, ...]:
    """Return the command line of this process, without the paths of the working and home directories."""
    here, home = str(Path.cwd()), str(Path.home())
    words = (word.replace(here + os.sep, "").replace(home + os.sep, f"~{os.sep}") for word in sys.argv[1:])
    return (Path(sys.argv[0]).name, *words)


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not supported by this system
        return None


def _device_name(accelerator: str, index: int) -> str:
    return torch.cuda.get_device_name(index) if accelerator == "cuda" else accelerator
