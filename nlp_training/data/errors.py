"""Errors and warnings of reading data, in addition to the errors of `nlp_inference`."""

from collections.abc import Callable

from nlp_inference.errors import InvalidDocumentError, NlpInferenceError

OnError = Callable[[InvalidDocumentError], None]
"""A callback that receives the error of an unreadable record; reading continues with the next record."""


class DataWarning(UserWarning):
    """A reader skipped annotations or records (`nlp_training.data.notes`), or a split has unknown labels."""


class BlankLabelError(InvalidDocumentError):
    """The label of a record is blank, so the record is skipped."""


class InvalidDataError(NlpInferenceError, ValueError):
    """A data source cannot be read, or its documents are inconsistent or do not match the task."""
