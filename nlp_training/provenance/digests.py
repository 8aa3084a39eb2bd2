"""Hexadecimal digests of the initial weights and of the results of a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.utils import PROCESSOR_NAME

from nlp_inference._utils.digests import file_digest
from nlp_inference.errors import ArtefactError

METRICS_FILE = "metrics.json"
_OTHER = ("weights", "packages", "unicode")
"""The keys of a fingerprint that do not belong to the processor."""
_MODEL_SETTINGS = "config.json"


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors: of their sorted names, types, shapes and bytes.

    Example:
        >>> one, two = {"a": torch.zeros(2), "b": torch.ones(1)}, {"b": torch.ones(1), "a": torch.zeros(2)}
        >>> tensors_sha256(one) == tensors_sha256(two) != tensors_sha256({"a": torch.zeros(2)})
        True
    """
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def weights_digests(model: Path) -> dict[str, str]:
    """Return the digest of each weight file of a saved model from its fingerprint.

    Raises:
        ArtefactError: the settings of the model cannot be read.
    """
    digests: dict[str, str] = _fingerprint(model).get("weights", {})
    return digests


def processor_digest(model: Path) -> str:
    """Return the digest of everything saved that affects a prediction except weights and installed packages.

    This covers the settings of the processor with labels and temperature, the tokenizer, and the sources of transforms.

    Raises:
        ArtefactError: the processor cannot be read.
    """
    fingerprint = {name: value for name, value in _fingerprint(model).items() if name not in _OTHER}
    files = {name: value for name, value in fingerprint.get("settings", {}).items() if name != _MODEL_SETTINGS}
    content = _settings(model) | {"fingerprint": fingerprint | {"settings": files}}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def metrics_digest(model: Path) -> str:
    """Return the digest of the scores that were saved with a model."""
    return file_digest(model / METRICS_FILE)


def _settings(model: Path) -> dict[str, Any]:
    try:
        content = json.loads((model / PROCESSOR_NAME).read_bytes())
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{str(model / PROCESSOR_NAME)!r} cannot be read: {error}; train again") from error
    return dict(content)


def _fingerprint(model: Path) -> dict[str, Any]:
    return dict(_settings(model).get("fingerprint") or {})
