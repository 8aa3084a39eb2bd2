"""Former name of `nlp_inference.encoding.input_rows`: custom tasks that were saved with models import it."""

import warnings

from nlp_inference.encoding.input_rows import *  # noqa: F403 - all public names

warnings.warn(f"{__name__} is now nlp_inference.encoding.input_rows", DeprecationWarning, stacklevel=2)
