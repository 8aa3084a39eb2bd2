"""Where an artefact keeps its exported models; the names are those of optimum and transformers.js.

Source: https://huggingface.co/docs/transformers.js/guides/dtypes
"""

from pathlib import Path
from types import MappingProxyType

from nlp_inference.errors import InvalidSpecError

ONNX_FOLDER = "onnx"
"""The folder of the exported models, in the artefact."""

ONNX_STEMS = MappingProxyType({"float32": "model", "float16": "model_fp16", "int8": "model_int8"})
"""The names of the exported models by precision."""

WEIGHTS_KEY = "weights"
"""Where a file's metadata names the weights that it was made of: SHA-256 by file name, in JSON."""

LIMITS_KEY = "limits"
"""Where it states the `ModelLimits` of the model, in JSON."""

ROWS_APART_KEY = "rows_apart"
"""Where it says, with `true`, that its outputs depend on padding, so that every row must run alone."""


def onnx_file(dtype: str) -> str:
    """Where an exported model is in its artefact.

    Raises:
        InvalidSpecError: it is a precision that is not exported.

    Example:
        >>> onnx_file("int8")
        'onnx/model_int8.onnx'
    """
    return f"{ONNX_FOLDER}/{_stem(dtype)}.onnx"


def onnx_golden_file(dtype: str) -> str:
    """Where the golden records of an exported model are in its artefact.

    Example:
        >>> onnx_golden_file("float32")
        'onnx/model.golden.json'
    """
    return f"{ONNX_FOLDER}/{_stem(dtype)}.golden.json"


def exported(folder: Path) -> list[str]:
    """The precisions that an artefact was exported in."""
    return [dtype for dtype in ONNX_STEMS if (folder / onnx_file(dtype)).is_file()]


def _stem(dtype: str) -> str:
    if dtype not in ONNX_STEMS:
        raise InvalidSpecError(
            f"ONNX Runtime runs {', '.join(ONNX_STEMS)}, but got the precision {dtype!r}; give one of these"
        )
    return ONNX_STEMS[dtype]
