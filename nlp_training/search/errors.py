"""What a search raises."""

from nlp_inference.errors import NlpInferenceError


class SearchError(NlpInferenceError):
    """A search cannot begin, go on, or say which trial is best."""


class DivergedError(NlpInferenceError):
    """The loss of a training is no number any more."""


class FailedTrialError(NlpInferenceError):
    """A trial has failed, or is not wanted; the search goes on without it."""
