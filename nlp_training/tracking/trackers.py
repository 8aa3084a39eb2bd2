"""The trackers of a run, which transformers ends with training, but a run ends with its scores."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import Trainer
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, MLflowCallback, TensorBoardCallback

from nlp_training._utils.complete_checkpoints import step_of
from nlp_training._utils.report_failure import report_failure
from nlp_training.config import RunConfig
from nlp_training.tracking import mlflow, tensorboard
from nlp_training.tracking.results import Metrics, flat_scores

LOGS = "logs"
"""The folder of a run that TensorBoard's event files are in."""

_KINDS = tuple(INTEGRATION_TO_CALLBACK.values())


class _KeptOpen:
    """A tracker that does not hear of the end of training until the run has its scores."""

    def __init__(self, tracker: Any) -> None:
        self.tracker = tracker
        self._end: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tracker, name)

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Keep what the tracker would have been told."""
        self._end = lambda: self.tracker.on_train_end(*args, **kwargs)

    def end(self) -> None:
        """Tell the tracker now."""
        if self._end is not None:
            self._end()

    def fail(self, *, killed: bool) -> None:
        """Close what would look like a good run, or not be readable."""
        if isinstance(self.tracker, MLflowCallback):
            mlflow.end_failed(self.tracker, killed=killed)
        elif isinstance(self.tracker, TensorBoardCallback) and self.tracker.tb_writer is not None:
            self.tracker.tb_writer.close()


def place_logs(trainer: Trainer, run: Path) -> None:
    """Let the logs of a trainer be written to the folder of its run, also if it only evaluates."""
    for tracker in trainer.callback_handler.callbacks:
        if isinstance(tracker, TensorBoardCallback):
            tensorboard.log_into(tracker, run / LOGS)


@contextmanager
def tracked(
    config: RunConfig, trainer: Trainer, *, checkpoint: str | None = None, console: Console | None = None
) -> Iterator[Callable[[Metrics], None]]:
    """Keep the trackers of a trainer open until the run is over, and tell them how it ended.

    A tracker that cannot be told of the end, as when its server is away, is named, and the run has not failed.

    Args:
        config: the resolved run.
        trainer: which has the trackers that `training.report_to` names.
        checkpoint: from which the run goes on: what was logged after it counts no more; of a run that begins, nothing
            that an earlier one logged is kept.
        console: where to say what failed.

    Yields:
        What to call with the scores of each data set, when the run's files are written; in the main process.
    """
    console = console or Console(stderr=True)
    handler = trainer.callback_handler
    handler.callbacks = [_KeptOpen(one) if isinstance(one, _KINDS) else one for one in handler.callbacks]
    trackers = [one for one in handler.callbacks if isinstance(one, _KeptOpen)]
    for one in trackers:
        if isinstance(one.tracker, TensorBoardCallback) and trainer.is_world_process_zero():
            if checkpoint is None:
                tensorboard.forget_logs(one.tracker)
            else:
                tensorboard.go_on_after(one.tracker, step_of(Path(checkpoint)))

    def log_results(metrics: Metrics) -> None:
        for one in trackers:
            with _told_of(one, console):
                _log_results(one.tracker, config, metrics, trainer)

    try:
        yield log_results
    except BaseException as error:
        for one in trackers:
            one.fail(killed=isinstance(error, KeyboardInterrupt))
        raise
    for one in trackers:
        with _told_of(one, console):
            one.end()


def _told_of(tracker: _KeptOpen, console: Console) -> AbstractContextManager[None]:
    name = type(tracker.tracker).__name__.removesuffix("Callback")
    return report_failure(console, f"{name} was not told how the run ended", advice="the run's folder has all of it")


def _log_results(tracker: Any, config: RunConfig, metrics: Metrics, trainer: Trainer) -> None:
    if isinstance(tracker, TensorBoardCallback):
        tensorboard.log_results(tracker, config, metrics)
    elif isinstance(tracker, MLflowCallback):
        mlflow.log_results(tracker, config, metrics)
    else:  # `test_` is what transformers makes a group of its own of
        logs = {f"test_{name}": value for name, value in flat_scores(metrics).items()}
        tracker.on_log(trainer.args, trainer.state, trainer.control, logs=logs, model=trainer.model)
