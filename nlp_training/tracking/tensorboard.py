"""TensorBoard: event files in the folder of the run, which need no server."""

import os
from pathlib import Path
from typing import Any

from transformers.integrations.integration_utils import TensorBoardCallback

from nlp_training.config import RunConfig, config_text
from nlp_training.tracking.results import Metrics, flat_scores, flat_settings, score_lines

_FOLDER = "TENSORBOARD_LOGGING_DIR"
"""The environment variable with which users of transformers choose another folder."""


def log_into(callback: TensorBoardCallback, folder: Path) -> None:
    """Write event files to `folder`, unless the user chose another folder."""
    if not os.environ.get(_FOLDER):
        callback.logging_dir = str(folder)


def forget_logs(callback: TensorBoardCallback) -> None:
    """Remove the event files of an earlier run from the folder of the run."""
    if not os.environ.get(_FOLDER) and callback.logging_dir is not None:
        for old in Path(callback.logging_dir).glob("events.out.tfevents.*"):
            old.unlink()


def resume_after(callback: TensorBoardCallback, step: int) -> None:
    """Purge events that an interrupted run logged after the step to resume from because they are logged again."""
    if not os.environ.get(_FOLDER) and callback.logging_dir is not None and step:
        write: Any = callback._SummaryWriter  # noqa: SLF001 - the class, as transformers imported it
        callback.tb_writer = write(log_dir=callback.logging_dir, purge_step=step + 1)


def log_results(callback: TensorBoardCallback, config: RunConfig, metrics: Metrics) -> None:
    """Write the configuration, the final scores with their intervals, and both as hyperparameters."""
    writer: Any = callback.tb_writer
    if writer is None:
        return
    writer.add_text("config", f"```yaml\n{config_text(config)}```")
    writer.add_text("scores", score_lines(metrics))
    scores = {f"final/{name}": value for name, value in flat_scores(metrics).items()}
    writer.add_hparams(flat_settings(config.model_dump(mode="json")), scores, run_name=".")
    writer.flush()
