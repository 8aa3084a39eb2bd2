"""MLflow: settings, final scores and files, in addition to the curves that transformers logs."""

import re
from pathlib import Path
from typing import Any

from transformers.integrations.integration_utils import MLflowCallback

from nlp_inference.errors import NlpInferenceError
from nlp_training.config import RunConfig, config_text
from nlp_training.provenance.manifest import RunManifest
from nlp_training.provenance.module_files import MODULES_FOLDER
from nlp_training.tracking.results import Metrics, flat_scores, flat_settings, score_lines

_LOGGED_BY_TRANSFORMERS = ("training", "seed", "output_dir")  # MLflow refuses another value under the same name
_NOT_ALLOWED = re.compile(r"[^0-9A-Za-z_\-. :/]")
"""In the names of MLflow: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html#mlflow.log_metric"""
_FILES = ("metrics.json", "README.md", "training_log.json", "data_report.json", "processor_config.json")
_OF_RUN = ("report.html", "run.json", "environment.txt", "code.diff")


def log_results(callback: MLflowCallback, config: RunConfig, metrics: Metrics) -> None:
    """Log the settings, final scores, origin and files of a run.

    The weights are not uploaded; the tag `model` is their path, and `processor` is the digest of the processor.
    """
    client: Any = callback._ml_flow  # noqa: SLF001 - the module, as transformers imported it
    if client.active_run() is None:
        return
    longest = int(callback._MAX_PARAM_VAL_LENGTH)  # noqa: SLF001 - depends on the version of MLflow
    settings = flat_settings(config.model_dump(mode="json"), without=_LOGGED_BY_TRANSFORMERS)
    client.log_params({_name(key): _shortened(str(value), longest) for key, value in settings.items()})
    client.log_metrics({_name(f"final/{name}"): value for name, value in flat_scores(metrics).items()})
    client.set_tags({"model": str(config.folder / "model"), "mlflow.note.content": score_lines(metrics)})
    client.set_tags(_origin(config.folder))
    client.log_text(config_text(config), "config.yaml")
    for path in (*(config.folder / "model" / name for name in _FILES), *(config.folder / name for name in _OF_RUN)):
        if path.is_file():
            client.log_artifact(str(path), "model" if path.parent.name == "model" else None)
    if (modules := config.folder / MODULES_FOLDER).is_dir():
        client.log_artifacts(str(modules), MODULES_FOLDER)


def end_failed(callback: MLflowCallback, *, killed: bool) -> None:
    """End the run that transformers began as failed or killed."""
    client: Any = callback._ml_flow  # noqa: SLF001 - the module, as transformers imported it
    if callback._auto_end_run and client.active_run() is not None:  # noqa: SLF001 - else it is the caller's own run
        client.end_run("KILLED" if killed else "FAILED")


def _origin(folder: Path) -> dict[str, str]:
    """Return the commit and digests from the manifest, if there is one."""
    try:
        manifest = RunManifest.load(folder)
    except NlpInferenceError:
        return {}
    project = manifest.project or manifest.code.checkout
    tags = {
        "mlflow.source.git.commit": None if project is None else project.commit,
        "code.dirty": None if project is None else str(project.dirty).lower(),
        "nlp-inference.version": manifest.code.version,
        "nlp-inference.commit": manifest.code.commit,
        "processor": manifest.processor,
        "run.id": manifest.id,
    }
    return {name: value for name, value in tags.items() if value is not None}


def _name(text: str) -> str:
    return _NOT_ALLOWED.sub("_", text)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
