"""Former name of `nlp_inference.integrations.mlflow_model`: MLflow models that were saved earlier import it."""

import warnings

from nlp_inference.integrations.mlflow_model import _load_pyfunc  # noqa: F401 - MLflow calls it

warnings.warn(f"{__name__} is now nlp_inference.integrations.mlflow_model", DeprecationWarning, stacklevel=2)
