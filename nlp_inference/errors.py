"""The exceptions that this library raises.

NlpInferenceError
├── InvalidDocumentError      a text or an annotation is invalid (offsets, surrogates, overlaps)
│   └── TooLargeError             a document, a line or a transformed text exceeds a limit
├── InvalidInputError         the input of a prediction is not a collection of texts (also a TypeError)
├── InvalidEditError          a transform proposed edits that do not fit the text
├── InvalidSpecError          a specification is invalid (also a ValueError)
│   └── UnknownTypeError          a name is not registered
├── PatternTimeoutError       a regular expression ran longer than its limit
├── ArtefactError             a saved model cannot be loaded
│   ├── CheckpointMismatchError   weights do not fit the architecture
│   └── VerificationError         a saved model does not reproduce its golden records on this machine
├── CheckFailedError          a transform violates an invariant (also an AssertionError); see nlp_inference.testing
├── MissingExtraError         an optional dependency is not installed (also an ImportError)
├── SourceError               the input file cannot be read to its end (also an OSError)
├── OutputError               predictions cannot be written or resumed (also an OSError)
│   └── OutputLockedError         another process writes the same output
├── JobError                  a distributed job did not complete; every file that it wrote is complete
├── PredictionError           one document failed; names it and carries the cause
├── ServerError               a server (`nlp_inference.serving`) returned an error
├── ForkedProcessError        this process was forked in a state in which it cannot predict (also a RuntimeError)
└── PublishError              a model must not, or cannot, be published

Every message states the input, what was expected, and what to do.
"""


class NlpInferenceError(Exception):
    """Base class of the exceptions of this library."""


class InvalidDocumentError(NlpInferenceError, ValueError):
    """A text or an annotation is invalid."""


class TooLargeError(InvalidDocumentError):
    """A document, a line, or the output of a transform exceeds a limit; see `nlp_inference.document.limits`."""


class InvalidInputError(NlpInferenceError, TypeError):
    """The input of a prediction is not a collection of texts or documents."""


class InvalidEditError(NlpInferenceError, ValueError):
    """A transform proposed edits that do not fit the text they were proposed for."""


class InvalidSpecError(NlpInferenceError, ValueError):
    """A specification (YAML, JSON, keyword arguments) does not describe a valid object."""


class UnknownTypeError(InvalidSpecError):
    """A specification names a type that is not registered."""


class PatternTimeoutError(NlpInferenceError, TimeoutError):
    """A regular expression ran longer than its time limit on one text."""


class ArtefactError(NlpInferenceError, OSError):
    """A saved model or processor cannot be loaded."""


class CheckpointMismatchError(ArtefactError):
    """Weights do not fit the architecture into which they are loaded."""


class VerificationError(ArtefactError):
    """A saved model does not reproduce its golden records on this machine."""


class CheckFailedError(NlpInferenceError, AssertionError):
    """A transform violates an invariant of all transforms."""


class MissingExtraError(NlpInferenceError, ImportError):
    """A required optional dependency is not installed."""


class SourceError(NlpInferenceError, OSError):
    """The input file cannot be read to its end."""


class OutputError(NlpInferenceError, OSError):
    """Predictions cannot be written to a file, or an existing file cannot be resumed."""


class OutputLockedError(OutputError):
    """Another process writes the same output; the message names the process."""


class JobError(NlpInferenceError):
    """A distributed job did not complete; every file that it wrote is complete, and the job can be resumed."""


class PredictionError(NlpInferenceError):
    """Prediction of one document failed."""


class ServerError(NlpInferenceError):
    """A server returned an error, which the message contains."""


class ForkedProcessError(NlpInferenceError, RuntimeError):
    """A forked process cannot predict: native code was running at the fork, or the batches belong to the parent."""


class PublishError(NlpInferenceError):
    """A model must not be published in its current state, or the Hub rejected it."""
