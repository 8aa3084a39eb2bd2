"""What the data room raises on purpose, beside the errors of `nlp_inference`, and who may be told instead."""

from collections.abc import Callable

from nlp_inference.errors import InvalidDocumentError, NlpInferenceError

OnError = Callable[[InvalidDocumentError], None]
"""What is told of a record that cannot be read; reading goes on with the next."""


class DataWarning(UserWarning):
    """A reader left something out, which it counted; see `nlp_training.data.notes`."""


class BlankLabelError(InvalidDocumentError):
    """The label of a record is blank, and such records are skipped."""


class InvalidDataError(NlpInferenceError, ValueError):
    """A data source cannot be read, or its documents do not fit together or do not fit the task."""
