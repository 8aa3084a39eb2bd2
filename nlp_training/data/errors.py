"""What the data room raises on purpose, beside the errors of `nlp_inference`."""

from nlp_inference.errors import NlpInferenceError


class InvalidDataError(NlpInferenceError, ValueError):
    """A data source cannot be read, or its documents do not fit together or do not fit the task."""
