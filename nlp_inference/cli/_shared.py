"""Options and helpers that the commands of `nlp-inference` share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlp_inference._utils.quick_imports import import_transformers
from nlp_inference._utils.terminal import Console
from nlp_inference.document.limits import MAX_CHARACTERS
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.document.inputs import Item
    from nlp_inference.predict.predictor import Predictor


AUTO = "auto"
"""The name that chooses the backend from the installed packages and the files of the model."""


def _backend(value: str) -> str:
    import_transformers()  # before others do
    from nlp_inference.backends.descriptors import backend_names

    return value if value == AUTO else _one_of([AUTO, *backend_names()], value)


def _precision(value: str | None) -> str | None:
    import_transformers()
    from nlp_inference.backends.descriptors import tolerances

    return None if value is None else _one_of(sorted({dtype for _, dtype in tolerances()}), value)


def _one_of(known: Sequence[str], value: str) -> str:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, known))}")
    return value


Model = Annotated[str, typer.Argument(help="The 'model' folder of a training run, or a Hub id.")]
Device = Annotated[str | None, typer.Option(help="Device such as cpu or cuda:1. Default: a GPU if there is one.")]
Precision = Annotated[
    str | None,
    typer.Option(
        callback=_precision,
        metavar="float32|bfloat16|float16|int8",
        help="Precision of the model; int8 requires an exported model. Default: float32, or the exported precision.",
        show_default=False,
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        callback=_backend,
        metavar="auto|torch|onnx|openvino",
        help="Backend that runs the model, also one of an installed package; auto uses torch if it is installed.",
    ),
]
Revision = Annotated[str, typer.Option(help="Branch, tag or commit on the Hub.")]
Trust = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Allow code that was saved with the model to run. Read the code first."),
]


def _token_budget(value: str) -> int | str:
    if value == "measured":
        return value
    if not value.isdecimal() or not int(value):
        raise typer.BadParameter(f"{value!r} is neither a positive number of tokens nor 'measured'")
    return int(value)


TokenBudgetOption = Annotated[
    Any,
    typer.Option(
        parser=_token_budget,
        metavar="N|measured",
        help="Tokens of a batch; `measured` tests several sizes for some seconds and caches the fastest one.",
    ),
]

FAILED = 1
"""Exit status of a command that failed."""

NOT_CHECKED = 2
"""Exit status of a check that could not run; status 1 is for a check that found a difference."""


@dataclass(frozen=True)
class Loading:
    """The model that a command loads, and its options; see `Predictor.from_pretrained`."""

    model: str
    device: str | None
    dtype: str | None
    revision: str
    trust_remote_code: bool
    backend: str = AUTO
    token_budget: int | Literal["measured"] | None = None
    max_characters: int = MAX_CHARACTERS


def load_predictor(loading: Loading, *, messages: Console, status: int = FAILED) -> "Predictor":
    """Load a model, or print the error on one line and exit with `status`."""
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
    except (NlpInferenceError, OSError, ImportError, ValueError, RuntimeError) as error:  # transformers raises these
        raise stop(error, messages, doing=f"cannot load the model {loading.model!r}: ", status=status) from error


@contextmanager
def reading(source: str) -> Iterator[Iterator["Item"]]:
    """Open the items of a file, or of standard input if `source` is `-`."""
    from nlp_inference.files.reading import open_source

    with open_source(source) as opened:
        yield opened.items


def stop(error: Exception, messages: Console, *, doing: str = "", status: int = FAILED) -> typer.Exit:
    """Print an error on one line, because messages of libraries have several, and return the exit with `status`."""
    line = f"{doing}{type(error).__name__}: {' '.join(str(error).split())}"
    messages.print(line, style="red", highlight=False, markup=False)
    return typer.Exit(status)
