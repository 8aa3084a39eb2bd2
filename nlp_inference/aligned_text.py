"""Former name of `nlp_inference.document.aligned_text`: custom transforms that were saved with models import it."""

import warnings

from nlp_inference.document.aligned_text import *  # noqa: F403 - all public names

warnings.warn(f"{__name__} is now nlp_inference.document.aligned_text", DeprecationWarning, stacklevel=2)
