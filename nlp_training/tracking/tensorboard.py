"""TensorBoard: event files in the run's folder; nothing has to be started to write them."""

import os
from pathlib import Path
from typing import Any

from transformers.integrations.integration_utils import TensorBoardCallback

from nlp_training.config import RunConfig, config_text
from nlp_training.tracking.results import Metrics, flat_scores, flat_settings, score_lines

_FOLDER = "TENSORBOARD_LOGGING_DIR"
"""The variable by which transformers lets people choose another folder."""


def log_into(callback: TensorBoardCallback, folder: Path) -> None:
    """Let event files be written to `folder`, unless people chose another one."""
    if not os.environ.get(_FOLDER):
        callback.logging_dir = str(folder)


def forget_logs(callback: TensorBoardCallback) -> None:
    """Remove the event files of an earlier run from the run's own folder."""
    if not os.environ.get(_FOLDER) and callback.logging_dir is not None:
        for old in Path(callback.logging_dir).glob("events.out.tfevents.*"):
            old.unlink()


def go_on_after(callback: TensorBoardCallback, step: int) -> None:
    """Let what an interrupted run logged after the step that it goes on from count no more, as it is logged again."""
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
