"""`requirements.txt` of an artefact: the packages for inference with the model, in the versions of the training."""

import json
from importlib.metadata import PackageNotFoundError, distribution, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nlp_inference.processor.fingerprint import Fingerprint

REQUIREMENTS_FILE = "requirements.txt"
LIBRARY = "nlp-inference"
_INDIRECT = ("tokenizers",)
"""Indirect dependencies whose version affects predictions."""
_RUNTIME_NOTE = """\
# The model runs on torch (model.safetensors) or, without torch, on onnxruntime (after `nlp-training export`).
# Remove the line of torch if you serve only the exported model. For a CPU build of torch, see docs/install.md.
"""


def inference_requirements(fingerprint: Fingerprint) -> str:
    """Return the content of `requirements.txt`, pinned to the installed versions.

    Args:
        fingerprint: the fingerprint of the model, which names the packages of custom transforms.

    Returns:
        The text of the file: this library, its base dependencies, packages of custom code and torch.

    Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/

    Example:
        >>> text = inference_requirements(Fingerprint(unicode="15.0.0"))
        >>> [line.partition("==")[0] for line in text.splitlines() if line.startswith("transf")]
        ['transformers']
    """
    base = [Requirement(line) for line in requires(LIBRARY) or ()]
    names = {canonicalize_name(one.name) for one in base if one.marker is None or one.marker.evaluate({"extra": ""})}
    names |= {canonicalize_name(name) for name in (*_INDIRECT, *fingerprint.packages)} - {LIBRARY, "torch"}
    pinned = [f"{name}=={_public(name)}" for name in sorted(names) if _public(name)]
    torch = [f"torch=={_public('torch')}"] if "torch" in fingerprint.packages else []
    header = f"# Packages for inference with this model, in the versions of the training.\n{_library_line()}\n"
    return header + "\n".join(pinned) + "\n" + (_RUNTIME_NOTE + "\n".join(torch) + "\n" if torch else "")


def _public(name: str) -> str:
    """Return the installed version without its local part, such as `+cpu`; empty if the package is not installed."""
    try:
        return Version(version(name)).public
    except PackageNotFoundError:
        return ""


def _library_line() -> str:
    """Return the requirement of this library at its commit if it was installed from a repository, else a comment."""
    url = library_url()
    return f"{LIBRARY} @ {url}" if url else f"# {LIBRARY}=={version(LIBRARY)}: install it from its repository"


def library_url() -> str | None:
    """Return the URL of the commit from which this library was installed; `None` without a repository.

    Source: https://packaging.python.org/en/latest/specifications/direct-url/
    """
    recorded = json.loads(distribution(LIBRARY).read_text("direct_url.json") or "{}")
    vcs = recorded.get("vcs_info")
    return f"{vcs['vcs']}+{recorded['url']}@{vcs['commit_id']}" if vcs else None
