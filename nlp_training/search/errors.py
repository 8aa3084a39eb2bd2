"""The errors of a search."""

from nlp_inference.errors import NlpInferenceError


class SearchError(NlpInferenceError):
    """A search cannot start, continue, or determine the best trial."""


class DivergedError(NlpInferenceError):
    """The loss of a training is not finite."""


class FailedTrialError(NlpInferenceError):
    """A trial failed or is surplus; the search continues without it."""
