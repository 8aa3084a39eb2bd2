"""The trackers of a run, which stay open after training until the final scores are logged."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import Trainer
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, MLflowCallback, TensorBoardCallback

from nlp_inference._utils import terminal
from nlp_training._utils.complete_checkpoints import step_of
from nlp_training._utils.report_failure import report_failure
from nlp_training.config import RunConfig
from nlp_training.tracking import mlflow, tensorboard
from nlp_training.tracking.results import Metrics, flat_scores

LOGS = "logs"
"""The folder of TensorBoard's event files in the folder of a run."""

_KINDS = tuple(INTEGRATION_TO_CALLBACK.values())


class _KeptOpen:
    """A wrapper of a tracker that delays the end of training until the run has its scores."""

    def __init__(self, tracker: Any) -> None:
        self.tracker = tracker
        self._end: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tracker, name)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Store the call for later."""
        self._end = lambda: self.tracker.on_train_end(*args, **kwargs)

    def end(self) -> None:
        """Make the stored call."""
        if self._end is not None:
            self._end()

    def fail(self, *, killed: bool) -> None:
        """Mark the run as failed in MLflow, and close the TensorBoard writer."""
        if isinstance(self.tracker, MLflowCallback):
            mlflow.end_failed(self.tracker, killed=killed)
        elif isinstance(self.tracker, TensorBoardCallback) and self.tracker.tb_writer is not None:
            self.tracker.tb_writer.close()


def place_logs(trainer: Trainer, run: Path) -> None:
    """Write the logs of a trainer to the folder of its run, even if it only evaluates."""
    for tracker in trainer.callback_handler.callbacks:
        if isinstance(tracker, TensorBoardCallback):
            tensorboard.log_into(tracker, run / LOGS)


@contextmanager
def tracked(
    config: RunConfig, trainer: Trainer, *, checkpoint: str | None = None, console: Console | None = None
) -> Iterator[Callable[[Metrics], None]]:
    """Keep the trackers of a trainer open until the run ends, and report its end to them.

    An error of a tracker at the end, such as an unreachable server, is printed and does not fail the run.

    Args:
        config: the resolved configuration of the run.
        trainer: the trainer with the trackers that `training.report_to` names.
        checkpoint: the checkpoint to resume from. Later logs are discarded; without a checkpoint, all logs of an
            earlier run are removed.
        console: the console for errors.

    Yields:
        A function to call in the main process with the scores of each data set after the run's files are written.
    """
    console = console or terminal.Console(stderr=True)
    handler = trainer.callback_handler
    handler.callbacks = [_KeptOpen(one) if isinstance(one, _KINDS) else one for one in handler.callbacks]
    trackers = [one for one in handler.callbacks if isinstance(one, _KeptOpen)]
    for one in trackers:
        if isinstance(one.tracker, TensorBoardCallback) and trainer.is_world_process_zero():
            if checkpoint is None:
                tensorboard.forget_logs(one.tracker)
            else:
                tensorboard.resume_after(one.tracker, step_of(Path(checkpoint)))

    def log_results(metrics: Metrics) -> None:
        for one in trackers:
            with _reporting_failure(one, console):
                _log_results(one.tracker, config, metrics, trainer)

    try:
        yield log_results
    except BaseException as error:
        for one in trackers:
            one.fail(killed=isinstance(error, KeyboardInterrupt))
        raise
    for one in trackers:
        with _reporting_failure(one, console):
            one.end()


def _reporting_failure(tracker: _KeptOpen, console: Console) -> AbstractContextManager[None]:
    name = type(tracker.tracker).__name__.removesuffix("Callback")
    return report_failure(
        console, f"{name} did not record the end of the run", advice="the run's folder contains all results"
    )


def _log_results(tracker: Any, config: RunConfig, metrics: Metrics, trainer: Trainer) -> None:
    if isinstance(tracker, TensorBoardCallback):
        tensorboard.log_results(tracker, config, metrics)
    elif isinstance(tracker, MLflowCallback):
        mlflow.log_results(tracker, config, metrics)
    else:  # transformers groups names with the prefix `test_`
        logs = {f"test_{name}": value for name, value in flat_scores(metrics).items()}
        tracker.on_log(trainer.args, trainer.state, trainer.control, logs=logs, model=trainer.model)
