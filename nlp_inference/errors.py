"""Everything this library raises on purpose.

NlpInferenceError
├── InvalidDocumentError      a text or an annotation that cannot be used (offsets, surrogates, overlaps)
│   └── TooLargeError             a document, a line or a transformed text that exceeds a limit
├── InvalidInputError         what was given to predict is no collection of texts (also a TypeError)
├── InvalidEditError          a transform proposed edits that do not fit the text
├── InvalidSpecError          a saved or written specification that does not fit (also a ValueError)
│   └── UnknownTypeError      a name that no registry knows
├── PatternTimeoutError       a regular expression ran longer than its limit
├── ArtefactError             a saved model that cannot be loaded
│   ├── CheckpointMismatchError   weights that do not fit the architecture
│   └── VerificationError         a saved model that does not predict here what it predicted when it was recorded
├── CheckFailedError          a transform breaks a law (also an AssertionError); see nlp_inference.testing
├── MissingExtraError         an optional dependency is not installed (also an ImportError)
├── SourceError               what is to be predicted cannot be read to its end (also an OSError)
├── OutputError               predictions cannot be written there, or not be gone on with (also an OSError)
│   └── OutputLockedError         another process writes there
├── JobError                  a job on many machines did not complete; what it wrote is whole
├── PredictionError           one document failed; names it and carries the cause
├── ForkedProcessError        this process was forked in a state in which it cannot predict (also a RuntimeError)
└── PublishError              a model that must not, or cannot, be published

Every message says what came, what was expected, and what to do.
"""


class NlpInferenceError(Exception):
    """Base class of every error that the library raises on purpose."""


class InvalidDocumentError(NlpInferenceError, ValueError):
    """A text or an annotation cannot be used as it is."""


class TooLargeError(InvalidDocumentError):
    """A document, a line, or the output of a transform exceeds a limit; see `nlp_inference.document.limits`."""


class InvalidInputError(NlpInferenceError, TypeError):
    """What was given to predict is no collection of texts or documents."""


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
    """Weights do not fit the architecture they are loaded into."""


class VerificationError(ArtefactError):
    """A saved model does not predict here what it predicted when its golden records were made."""


class CheckFailedError(NlpInferenceError, AssertionError):
    """A transform breaks a law that every transform must keep."""


class MissingExtraError(NlpInferenceError, ImportError):
    """An optional dependency is needed and not installed."""


class SourceError(NlpInferenceError, OSError):
    """What is to be predicted cannot be read to its end."""


class OutputError(NlpInferenceError, OSError):
    """Predictions cannot be written to a file, or what is there cannot be gone on with."""


class OutputLockedError(OutputError):
    """Another process writes the same output; the message names it."""


class JobError(NlpInferenceError):
    """A job on many machines did not complete; what it wrote is whole, and it can be gone on with."""


class PredictionError(NlpInferenceError):
    """Prediction of one document failed."""


class ForkedProcessError(NlpInferenceError, RuntimeError):
    """A forked process cannot predict: native code was running in its parent, or the batches belong to its parent."""


class PublishError(NlpInferenceError):
    """A model must not be published as it is, or the Hub did not take it."""
