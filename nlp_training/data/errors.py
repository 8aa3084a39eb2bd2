"""What the data room raises on purpose, beside the errors of `nlp_inference`, and who may be told instead."""

from collections.abc import Callable

from nlp_inference.errors import InvalidDocumentError, NlpInferenceError

OnError = Callable[[InvalidDocumentError], None]
"""What is told of a record that cannot be read; reading goes on with the next."""


class InvalidDataError(NlpInferenceError, ValueError):
    """A data source cannot be read, or its documents do not fit together or do not fit the task."""
