"""Former name of `nlp_inference.encoding.input_rows`, which custom tasks that were saved with a model earlier import."""

import warnings

from nlp_inference.encoding.input_rows import *  # noqa: F403 - all public names

warnings.warn(f"{__name__} is now nlp_inference.encoding.input_rows", DeprecationWarning, stacklevel=2)
