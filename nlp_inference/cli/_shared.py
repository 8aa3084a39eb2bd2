"""What the commands of `nlp-inference` share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING

import typer
from rich.console import Console

from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.predictor import Predictor


class Dtype(StrEnum):
    """Precision of the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def load_predictor(model: str, *, device: str | None, dtype: Dtype, revision: str, messages: Console) -> "Predictor":
    from nlp_inference.predictor import Predictor
    from nlp_inference.quiet import one_line_warnings, quiet_libraries

    quiet_libraries()
    try:
        with one_line_warnings(messages):
            return Predictor.from_pretrained(model, device=device, dtype=dtype.value, revision=revision)
    except (NlpInferenceError, OSError, ImportError, ValueError, RuntimeError) as error:  # what transformers raises
        raise stop(error, messages, doing=f"cannot load the model {model!r}: ") from error


@contextmanager
def reading(source: str) -> Iterator[IO[bytes]]:
    """The lines of a file, or of standard input if `source` is `-`."""
    if source == "-":
        yield sys.stdin.buffer
    else:
        with Path(source).open("rb") as file:
            yield file


def stop(error: Exception, messages: Console, *, doing: str = "") -> typer.Exit:
    """Say on one line what happened; libraries' messages run over several."""
    line = f"{doing}{type(error).__name__}: {' '.join(str(error).split())}"
    messages.print(line, style="red", highlight=False, markup=False)
    return typer.Exit(1)
