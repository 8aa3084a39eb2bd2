"""What the commands of `nlp-inference` share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from nlp_inference.document.limits import MAX_CHARACTERS
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.document.inputs import Item
    from nlp_inference.predict.predictor import Predictor


AUTO = "auto"
"""The backend that is chosen by what is installed and what the model has."""


def _backend(written: str) -> str:
    from nlp_inference.backends.descriptors import backend_names

    return written if written == AUTO else _one_of([AUTO, *backend_names()], written)


def _precision(written: str | None) -> str | None:
    from nlp_inference.backends.descriptors import tolerances

    return None if written is None else _one_of(sorted({dtype for _, dtype in tolerances()}), written)


def _one_of(known: Sequence[str], written: str) -> str:
    if written not in known:
        raise typer.BadParameter(f"{written!r} is not one of {', '.join(map(repr, known))}")
    return written


Model = Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")]
Device = Annotated[str | None, typer.Option(help="Such as cpu or cuda:1; a GPU if there is one.")]
Precision = Annotated[
    str | None,
    typer.Option(
        callback=_precision,
        metavar="float32|bfloat16|float16|int8",
        help="Precision of the weights; int8 is for exported models. By default float32, or the one that was exported.",
        show_default=False,
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        callback=_backend,
        metavar="auto|torch|onnx|openvino",
        help="What runs the model, a backend of an installed package too; auto takes torch where it is installed.",
    ),
]
Revision = Annotated[str, typer.Option(help="Branch, tag or commit on the Hub.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that was saved with the model, if it needs any. Read it before you do."
    ),
]


def _token_budget(written: str) -> int | str:
    if written == "measured":
        return written
    if not written.isdecimal() or not int(written):
        raise typer.BadParameter(f"{written!r} is neither a number of tokens from 1 on, nor measured")
    return int(written)


TokenBudgetOption = Annotated[
    Any,
    typer.Option(
        parser=_token_budget,
        metavar="N|measured",
        help="Tokens of a batch; `measured` tries several for some seconds, and remembers what is fast here.",
    ),
]

FAILED = 1
"""Exit status of a command that could not do what it was asked."""

NOT_CHECKED = 2
"""Exit status of a check that could not be made; 1 is for one that was made and found something."""


@dataclass(frozen=True)
class Loading:
    """Which model a command loads, and how; see `Predictor.from_pretrained`."""

    model: str
    device: str | None
    dtype: str | None
    revision: str
    trust_remote_code: bool
    backend: str = AUTO
    token_budget: int | Literal["measured"] | None = None
    max_characters: int = MAX_CHARACTERS


def load_predictor(loading: Loading, *, messages: Console, status: int = FAILED) -> "Predictor":
    """Load a model, or say on one line why it cannot be loaded and exit with `status`."""
    from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
    from nlp_inference.predict.predictor import Predictor

    quiet_libraries()
    try:
        with one_line_warnings(messages):
            return Predictor.from_pretrained(
                loading.model,
                backend=loading.backend,
                device=loading.device,
                dtype=loading.dtype,
                revision=loading.revision,
                trust_remote_code=loading.trust_remote_code,
                token_budget=loading.token_budget,
                max_characters=loading.max_characters,
            )
    except (NlpInferenceError, OSError, ImportError, ValueError, RuntimeError) as error:  # what transformers raises
        raise stop(error, messages, doing=f"cannot load the model {loading.model!r}: ", status=status) from error


@contextmanager
def reading(source: str) -> Iterator[Iterator["Item"]]:
    """The items of a file, or of standard input if `source` is `-`."""
    from nlp_inference.files.reading import open_source

    with open_source(source) as opened:
        yield opened.items


def stop(error: Exception, messages: Console, *, doing: str = "", status: int = FAILED) -> typer.Exit:
    """Say on one line what happened, as libraries' messages run over several, and give the exit with `status`."""
    line = f"{doing}{type(error).__name__}: {' '.join(str(error).split())}"
    messages.print(line, style="red", highlight=False, markup=False)
    return typer.Exit(status)
