"""Training: data, metrics, the trainer, runs. Production does not install this package.

Names are loaded on first use. Without the `train` extra, importing this package or any of its modules raises a
`MissingExtraError` with the pip command.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlp_inference._utils.extras import require_installed

if TYPE_CHECKING:
    __version__: str
    from nlp_training.batches.collator import DocumentCollator
    from nlp_training.config import RunConfig, load_config
    from nlp_training.data import load_documents, read_jsonl
    from nlp_training.runs.run import RunResult, train
    from nlp_training.trainer import DocumentTrainer

_MODULES = {
    "DocumentCollator": "batches.collator",
    "DocumentTrainer": "trainer",
    "RunConfig": "config",
    "load_config": "config",
    "load_documents": "data",
    "read_jsonl": "data",
    "RunResult": "runs.run",
    "train": "runs.run",
}

__all__ = [
    "DocumentCollator",
    "DocumentTrainer",
    "RunConfig",
    "RunResult",
    "load_config",
    "load_documents",
    "read_jsonl",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from nlp_inference._utils.version import distribution_version

        return distribution_version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


_NEEDED = ("yaml", "torch", "accelerate", "datasets", "evaluate", "scipy", "sklearn", "jinja2", "markupsafe", "psutil")
"""Modules of the `train` extra that several sub-packages import; `export` also needs onnx and onnxscript."""

require_installed(_NEEDED, extra="train")
