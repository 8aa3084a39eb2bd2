"""Errors of the libraries that read saved files, as one error of this library that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

from nlp_inference.errors import ArtefactError, NlpInferenceError


@contextmanager
def as_artefact_errors(what: str) -> Iterator[None]:
    """Raise whatever a library raises in this block as an `ArtefactError`; what this library raises stays as it is.

    A panic in the Rust code of `tokenizers` or `safetensors` is no `Exception`, and would pass every `except Exception`
    on its way up. Source: https://pyo3.rs/main/doc/pyo3/panic/struct.panicexception

    Args:
        what: what is being read, to begin the message with.

    Raises:
        ArtefactError: something in the block failed.

    Example:
        >>> with as_artefact_errors("tokenizer.json of 'model'"):
        ...     {}["vocab"]
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: tokenizer.json of 'model' cannot be used: KeyError: 'vocab'
    """
    try:
        yield
    except NlpInferenceError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ArtefactError(f"{what} cannot be used: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
