"""Errors of other libraries: conversion to errors that name the file, and detection of out-of-memory errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from nlp_inference.errors import ArtefactError, NlpInferenceError


@contextmanager
def as_artefact_errors(what: str) -> Iterator[None]:
    """Convert the errors of other libraries in this block to `ArtefactError`; errors of this library are unchanged.

    A panic in the Rust code of `tokenizers` or `safetensors` is not an `Exception`, so `except Exception` does not
    catch it. Source: https://pyo3.rs/main/doc/pyo3/panic/struct.panicexception

    Args:
        what: the object that is read, for the beginning of the message.

    Raises:
        ArtefactError: the block raised an error.

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
    """Return whether a backend ran out of memory.

    The messages are `CUDA out of memory` (torch on a GPU), `DefaultCPUAllocator: can't allocate memory` (torch on a
    CPU), `CUBLAS_STATUS_ALLOC_FAILED` (cuBLAS), and `Failed to allocate memory` or `std::bad_alloc` (ONNX Runtime).

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. ...")), is_out_of_memory(KeyError("a"))
        (True, False)
    """
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
