"""The hyperparameter search of transformers with a separate configuration and trainer for each trial."""

import torch
from optuna import Trial, TrialPruned
from transformers import Trainer, TrainingArguments

from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import NlpInferenceError
from nlp_training.config import RunConfig
from nlp_training.runs.materials import Materials
from nlp_training.search.counting import ERROR
from nlp_training.search.errors import FailedTrialError, SearchError
from nlp_training.search.progress import TrialProgress
from nlp_training.search.space import values_of, with_values
from nlp_training.search.study import SharedStudy
from nlp_training.search.trial import run_trial

FAILS = (NlpInferenceError, RuntimeError, MemoryError, ArithmeticError)
"""Errors that fail a trial but not the search: invalid combinations of values, out of memory, arithmetic errors."""

_HOPELESS = 3


class SearchTrainer(Trainer):
    """A Trainer for `hyperparameter_search`, which trains each trial with its own trainer.

    A standard Trainer sets fields of its TrainingArguments to the values of a trial, with a fixed model, loss and data
    set. This one builds the trainer that a run with these values would have, so any key of a configuration can be
    searched, and derived values are computed again.

    Args:
        config: the configuration of the run, with the section `search`.
        study: the study.
        materials: the documents.
        progress: the progress display.
        metric: the name of the score to show.
    """

    objective: float | None

    def __init__(
        self, config: RunConfig, study: SharedStudy, *, materials: Materials, progress: TrialProgress, metric: str
    ) -> None:
        on_cpu = bool(config.training.get("use_cpu", False))
        args = TrainingArguments(output_dir=str(config.folder), seed=config.seed, report_to="none", use_cpu=on_cpu)
        super().__init__(args=args, model_init=_no_model)  # type: ignore[arg-type]
        self.config = config
        self.study = study
        self.materials = materials
        self.progress = progress
        self.metric = metric

    def train(  # type: ignore[override]  # a search asks for the objective only
        self,
        resume_from_checkpoint: str | bool | None = None,  # noqa: FBT001 - the Trainer's signature
        trial: Trial | None = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> None:
        """Train a trial, and store its score as `objective`.

        Args:
            resume_from_checkpoint: not used.
            trial: the trial, for which values are drawn.
            ignore_keys_for_eval: not used.

        Raises:
            FailedTrialError: the trial failed, which is recorded in it, or is surplus.
            TrialPruned: the trial was pruned.
            SearchError: all trials so far failed.
        """
        if trial is None:
            raise SearchError("a SearchTrainer trains the trials of hyperparameter_search, and nothing else")
        if not self.study.wants(trial):
            trial.study.stop()
            raise FailedTrialError(f"trial {trial.number} is surplus; other processes began the last one")
        self.is_in_train = True
        try:
            config = with_values(self.config, self.hp_space(trial))
            score = run_trial(self.materials, config, trial, callbacks=[self.progress])
        except TrialPruned as pruned:
            self._end(trial, f"pruned at {pruned}")
            raise
        except FAILS as error:
            self._fail(trial, f"{type(error).__name__}: {error}")
            raise FailedTrialError(f"trial {trial.number} failed") from error
        except (Exception, KeyboardInterrupt):  # the search ends as if killed, so the trial must be repeated
            trial.study.enqueue_trial(trial.params)
            raise
        self.objective = score
        self._end(trial, f"{self.metric} {score:.4f}")

    def _fail(self, trial: Trial, why: str) -> None:
        trial.set_user_attr(ERROR, shorten(why, width=1000))
        self._end(trial, f"failed: {trial.user_attrs[ERROR]}")
        failed = len(self.study.ended()) + 1
        if failed >= _HOPELESS and all(ERROR in other.user_attrs for other in self.study.ended()):
            raise SearchError(f"all of the first {failed} trials failed, the last one with {trial.user_attrs[ERROR]}")

    def _end(self, trial: Trial, how: str) -> None:
        self.is_in_train = False
        self.progress.end(trial.number, values_of(trial, self.study.settings.space), how=how)


def _no_model() -> torch.nn.Module:
    """Return an empty model, which the Trainer requires; each trial builds its own model."""
    return torch.nn.Module()
