"""Errors of other libraries: those of reading saved files as one that names the file, and those of lack of memory."""

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


_NO_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a backend had not the memory for what it was asked.

    torch on a GPU says `CUDA out of memory`, on a CPU `DefaultCPUAllocator: can't allocate memory`, cuBLAS
    `CUBLAS_STATUS_ALLOC_FAILED`, ONNX Runtime `Failed to allocate memory` or `std::bad_alloc`.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. ...")), is_out_of_memory(KeyError("a"))
        (True, False)
    """
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
